// From a drawing to what is visible: regions open or closed, long graphs in clusters.

import type { Node, Sketch } from "./types";

export const MOST_VISIBLE = 250;
const OPEN_AT_FIRST = 120;
const [MOST_RUNS, PARTS] = [120, 100]; // closed, so that some can be opened

export interface Seen {
  id: string;
  name: string;
  node: Node | null; // null: an input, an output, or a cluster
  kind: "op" | "region" | "cluster" | "end";
  members: Node[]; // the kernels that it stands for
  parent: string; // of the open region around it
}

export interface Edge {
  from: string;
  to: string;
  type: string;
}

export interface View {
  seen: Seen[];
  edges: Edge[];
  boxes: { id: string; node: Node; inside: string[] }[];
  structure: string;
}

/** Regions that are open until somebody closes them: as many as leave the graph readable. */
export function openAtFirst(sketch: Sketch): Set<string> {
  const open = new Set<string>();
  let visible = sketch.nodes.filter((n) => !n.parent && (n.row || n.region)).length;
  for (const region of sketch.nodes.filter((n) => n.region)) {
    const inside = sketch.nodes.filter((n) => n.parent === region.id && (n.row || n.region)).length;
    if (visible + inside > OPEN_AT_FIRST || (region.parent && !open.has(region.parent))) continue;
    open.add(region.id);
    visible += inside;
  }
  return open;
}

/** Which part of its row a node is: equal kernels have one row, whose figures are those of all of them. */
export function partOfRow(sketch: Sketch): Map<string, number> {
  const byId = new Map(sketch.nodes.map((n) => [n.id, n]));
  const runs = (node: Node): number => {
    let times = 1;
    for (let at = byId.get(node.parent ?? ""); at; at = byId.get(at.parent ?? "")) times *= Number(at.trips ?? 1) || 1;
    return times;
  };
  const all = new Map<string, number>();
  for (const node of sketch.nodes) if (node.row) all.set(node.row, (all.get(node.row) ?? 0) + runs(node));
  return new Map(sketch.nodes.filter((n) => n.row).map((n) => [n.id, runs(n) / all.get(n.row!)!]));
}

export function view(sketch: Sketch, open: ReadonlySet<string>): View {
  const byId = new Map(sketch.nodes.map((n) => [n.id, n]));
  const below = new Map<string, Node[]>();
  for (const node of sketch.nodes) {
    for (let at = node.parent; at; at = byId.get(at)?.parent) {
      const found = below.get(at);
      if (found) found.push(node);
      else below.set(at, [node]);
    }
  }
  const isOpen = (id: string | undefined): boolean => !id || (open.has(id) && isOpen(byId.get(id)?.parent));
  const visible = sketch.nodes.filter((n) => isOpen(n.parent) && !(n.region && open.has(n.id)));
  const shown = visible.filter((n) => n.region || n.row);
  const views = visible.filter((n) => !n.region && !n.row); // they move nothing: looked through
  const group = clusters(shown, open);
  const seen: Seen[] = [];
  const holder = new Map<string, string>(); // node → what shows it
  for (const node of shown) {
    const cluster = group.get(node.id);
    const within = below.get(node.id) ?? [];
    const members = within.length ? within.filter((n) => n.row) : [node];
    for (const inner of [node, ...within]) holder.set(inner.id, cluster ?? node.id);
    if (!cluster) {
      seen.push({ id: node.id, name: node.name, node, kind: node.region ? "region" : "op", members, parent: node.parent ?? "" });
    } else {
      const last = seen[seen.length - 1];
      if (last?.id === cluster) last.members.push(...members);
      else seen.push({ id: cluster, name: cluster.replace(/^cluster:/, ""), node: null, kind: "cluster", members: [...members], parent: node.parent ?? "" });
    }
  }
  return { seen, ...linked(sketch, shown, views, holder, seen, open, isOpen), ...boxed(sketch, open, isOpen, seen) };
}

/** Who makes each value, regions that are open looked through; then one edge a pair and type. */
function linked(sketch: Sketch, shown: Node[], views: Node[], holder: Map<string, string>, seen: Seen[], open: ReadonlySet<string>, isOpen: (id?: string) => boolean): { edges: Edge[]; structure: string } {
  const alias = new Map<number, number>();
  for (const region of sketch.nodes.filter((n) => n.region && open.has(n.id) && isOpen(n.parent))) {
    (region.body_ins ?? []).forEach((inner, k) => region.ins?.[k] !== undefined && alias.set(inner, region.ins[k]));
    (region.makes ?? []).forEach((outer, k) => region.body_outs?.[k] !== undefined && alias.set(outer, region.body_outs[k]));
  }
  for (const node of views) for (const made of node.makes ?? []) if (node.reads?.length) alias.set(made, node.reads[0]);
  const settled = (value: number): number => {
    let at = value;
    for (let steps = 0; alias.has(at) && steps < 99; steps += 1) at = alias.get(at)!;
    return at;
  };
  const maker = new Map<number, string>();
  const ends = sketch.inputs.filter((v) => !alias.has(v));
  ends.forEach((value, k) => {
    const id = `input ${k}`;
    maker.set(value, id);
    seen.unshift({ id, name: "input", node: null, kind: "end", members: [], parent: "" });
  });
  for (const node of shown) for (const value of node.makes ?? []) maker.set(value, holder.get(node.id)!);
  const edges: Edge[] = [];
  const done = new Set<string>();
  const order = new Map(seen.map((s, k) => [s.id, k]));
  const add = (value: number, to: string): void => {
    const from = maker.get(settled(value));
    if (from === undefined || from === to || (order.get(from) ?? 0) > (order.get(to) ?? 1e9)) return;
    const key = `${from}\0${to}`;
    if (done.has(key)) return;
    done.add(key);
    edges.push({ from, to, type: sketch.values[value] });
  };
  for (const node of shown) for (const value of node.region ? (node.ins ?? []) : (node.reads ?? [])) add(value, holder.get(node.id)!);
  const used = new Set(edges.map((e) => e.from));
  for (let k = seen.length - 1; k >= 0; k -= 1) if (seen[k].kind === "end" && !used.has(seen[k].id)) seen.splice(k, 1);
  return { edges, structure: seen.map((s) => s.id).join("\n") + edges.map((e) => `${e.from}>${e.to}`).join("\n") };
}

function boxed(sketch: Sketch, open: ReadonlySet<string>, isOpen: (id?: string) => boolean, seen: Seen[]): { boxes: View["boxes"] } {
  const byId = new Map(sketch.nodes.map((n) => [n.id, n]));
  const inside = (id: string, region: string): boolean => {
    for (let at: string | undefined = id; at; at = byId.get(at)?.parent) if (at === region) return true;
    return false;
  };
  const boxes = sketch.nodes
    .filter((n) => n.region && open.has(n.id) && isOpen(n.parent))
    .map((node) => ({ id: node.id, node, inside: seen.filter((s) => inside(s.parent, node.id)).map((s) => s.id) }));
  return { boxes: boxes.filter((b) => b.inside.length) };
}

/** Where too much would be visible: runs of neighbours that share the head of their name, closed. */
function clusters(shown: Node[], open: ReadonlySet<string>): Map<string, string> {
  const found = new Map<string, string>();
  if (shown.length <= MOST_VISIBLE) return found;
  let runs: Run[] = [];
  for (let depth = 8; depth >= 1; depth -= 1) {
    runs = inRuns(shown, (node) => head(node.name, depth));
    if (runs.length <= MOST_RUNS) break;
  }
  if (runs.length > MOST_RUNS) runs = [{ id: "cluster:part", nodes: shown }];
  runs = runs.flatMap((run) => parts(run, Math.ceil(shown.length / PARTS)));
  let left = MOST_VISIBLE - runs.length;
  for (const run of runs) {
    const fits = open.has(run.id) && run.nodes.length - 1 <= left;
    if (fits) left -= run.nodes.length - 1;
    else if (run.nodes.length > 1) for (const node of run.nodes) found.set(node.id, run.id);
  }
  return found;
}

/** A long run in parts that can be opened one by one. */
function parts(run: Run, size: number): Run[] {
  if (run.nodes.length <= 2 * size) return [run];
  return Array.from({ length: Math.ceil(run.nodes.length / size) }, (_, k) => ({ id: `${run.id} ${k + 1}`, nodes: run.nodes.slice(k * size, (k + 1) * size) }));
}

interface Run {
  id: string;
  nodes: Node[];
}

function inRuns(shown: Node[], label: (node: Node) => string): Run[] {
  const runs: Run[] = [];
  const names = new Map<string, number>();
  let before = "";
  for (const node of shown) {
    const name = label(node);
    if (name !== before || !runs.length) {
      const again = (names.get(name) ?? 0) + 1;
      names.set(name, again);
      runs.push({ id: `cluster:${name}${again > 1 ? ` (${again})` : ""}`, nodes: [] });
      before = name;
    }
    runs[runs.length - 1].nodes.push(node);
  }
  return runs;
}

function head(name: string, depth: number): string {
  return name.split(/(?<=[./])/).slice(0, depth).join("") || name;
}
