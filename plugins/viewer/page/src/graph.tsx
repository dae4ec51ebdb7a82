// The operators of a program, in layers; a run of equal layers is one of them, times its trips.

import { useCallback, useMemo, useState } from "preact/hooks";
import { pressed, tone } from "./charts";
import { sized, type Symbols } from "./expression";
import { percent, shorten, time } from "./format";
import { HEIGHT, type Placed, WIDTH } from "./layout";
import { place } from "./placing";
import type { OpRow, Sketch } from "./types";
import { openAtFirst, partOfRow, type Seen, type View, view } from "./view";

type Of = ((key: string) => OpRow | undefined) | undefined;

interface Props {
  sketch: Sketch;
  hash: string;
  of?: Of; // the figures of a row; none while passes run
  symbols: Symbols;
  chosen: string; // the key of a row
  choose: (key: string, node: string) => void;
  marked?: ReadonlySet<string>; // nodes to stress: what a pass changed
  numbers: boolean;
}

const opened = new Map<string, Set<string>>();

export function OperatorGraph({ sketch, hash, of, symbols, chosen, choose, marked, numbers }: Props) {
  const [, refresh] = useState(0);
  const open = useMemo(() => {
    if (!opened.has(hash)) opened.set(hash, openAtFirst(sketch));
    return opened.get(hash)!;
  }, [hash, sketch]);
  const stamp = [...open].join("\n");
  const seen = useMemo(() => view(sketch, open), [hash, sketch, stamp]);
  const parts = useMemo(() => partOfRow(sketch), [hash, sketch]);
  const [late, setLate] = useState<{ structure: string; placed: Placed } | null>(null);
  const placed = useMemo(
    () => place(seen.structure, { nodes: seen.seen.map((s) => s.id), edges: seen.edges }, (found) => setLate({ structure: seen.structure, placed: found })),
    [seen.structure, late?.structure === seen.structure],
  );
  const toggle = useCallback((id: string): void => {
    if (open.has(id)) open.delete(id);
    else open.add(id);
    refresh((n) => n + 1);
  }, [open]);
  if (!placed) return <p class="quiet" role="status">Laying out {seen.seen.length} operators …</p>;
  return <Placing seen={seen} placed={placed} parts={parts} of={of} symbols={symbols} chosen={chosen} choose={choose} toggle={toggle} marked={marked} numbers={numbers} />;
}

interface Drawn extends Pick<Props, "of" | "symbols" | "chosen" | "choose" | "marked" | "numbers"> {
  seen: View;
  placed: Placed;
  parts: ReadonlyMap<string, number>;
  toggle: (id: string) => void;
}

/** What is placed: boxes, edges and their shapes stay as they are while figures change. */
function Placing({ seen, placed, parts, of, symbols, chosen, choose, toggle, marked, numbers }: Drawn) {
  const { width, height, at } = placed;
  const under = useMemo(() => <><Boxes seen={seen} placed={placed} toggle={toggle} /><Edges seen={seen} placed={placed} /></>, [seen, placed]);
  const shapes = useMemo(() => <Shapes seen={seen} placed={placed} symbols={numbers ? symbols : null} />, [seen, placed, numbers && symbols]);
  return (
    <svg class="graph" role="group" aria-label={`Operator graph, ${seen.seen.length} nodes`} width={width} height={height} viewBox={`0 0 ${width} ${height}`} data-nodes={seen.seen.length}>
      {under}
      {seen.seen.map((item) => at[item.id] && <NodeMark key={item.id} item={item} at={at[item.id]} parts={parts} of={of} chosen={chosen} choose={choose} toggle={toggle} changed={marked?.has(item.id) ?? false} />)}
      {shapes}
    </svg>
  );
}

function Boxes({ seen, placed: { at }, toggle }: Pick<Drawn, "seen" | "placed" | "toggle">) {
  return (
    <>
      {seen.boxes.map((box) => {
        const inside = box.inside.map((id) => at[id]).filter(Boolean);
        const left = Math.min(...inside.map((p) => p.x)) - WIDTH / 2 - 14;
        const right = Math.max(...inside.map((p) => p.x)) + WIDTH / 2 + 14;
        const top = Math.min(...inside.map((p) => p.y)) - HEIGHT / 2 - 15;
        const bottom = Math.max(...inside.map((p) => p.y)) + HEIGHT / 2 + 15;
        const words = box.node.trips ? `${box.node.name} × ${box.node.trips}` : `${box.node.name}${box.node.share ? `, share ${box.node.share}` : ""}`;
        return (
          <g key={box.id}>
            <rect class="box" x={left} y={top} width={right - left} height={bottom - top} rx="10" />
            <g class="fold" role="button" tabindex={0} aria-expanded="true" onClick={() => toggle(box.id)} onKeyDown={(e) => pressed(e, () => toggle(box.id))} data-fold={box.id}>
              <rect x={left + 8} y={top - 10} width={Math.min(right - left - 16, 7 * words.length + 34)} height="20" rx="10" />
              <text x={left + 18} y={top + 4}>− {shorten(words, 26)}</text>
            </g>
          </g>
        );
      })}
    </>
  );
}

function Edges({ seen, placed }: { seen: View; placed: Placed }) {
  return <>{placed.paths.map((path, k) => <path key={k} class="edge" d={smooth(path)}><title>{seen.edges[k].type}</title></path>)}</>;
}

/** The type on one edge of each value, as the program has it or with its sizes as numbers, where there is room. */
function Shapes({ seen, placed, symbols }: { seen: View; placed: Placed; symbols: Symbols | null }) {
  const shown = new Set<string>();
  const taken = Object.entries(placed.at).map(([id, p]) => ({ x: p.x - WIDTH / 2, y: p.y - (id.startsWith("input ") ? 13 : HEIGHT / 2), w: WIDTH, h: id.startsWith("input ") ? 26 : HEIGHT }));
  const free = (x: number, y: number, w: number): boolean => taken.every((t) => x + w <= t.x || t.x + t.w <= x || y + 10 <= t.y || t.y + t.h <= y);
  return (
    <>
      {seen.edges.map((edge, k) => {
        const key = `${edge.from}\0${edge.type}`;
        if (shown.has(key)) return null;
        const type = symbols ? sized(edge.type, symbols) : edge.type;
        const text = shorten(brief(type), 28);
        const [a, b] = placed.paths[k];
        const x = (a.x * 2 + b.x) / 3 + 5;
        const y = [a.y + 3, a.y + 14, a.y + 25].find((top) => free(x, top, 5.9 * text.length));
        if (y === undefined) return null;
        shown.add(key);
        taken.push({ x, y, w: 5.9 * text.length, h: 11 });
        return (
          <text key={k} class="shape" x={x} y={y + 10}>
            {text}
            <title>{type === edge.type ? type : `${type}\n${edge.type}`}</title>
          </text>
        );
      })}
    </>
  );
}

/** What a node is called inside the box that already names its layer. */
function own(item: Seen): string {
  const around = item.parent.split("/").pop() ?? "";
  return around && item.name.startsWith(`${around}.`) ? item.name.slice(around.length + 1) : item.name;
}

/** A type without what its encoding adds to the dtype, which a pointer over it shows. */
function brief(type: string): string {
  return type.replace(/^([a-z]+\d*)[^[]*\[/, "$1[");
}

function smooth(points: { x: number; y: number }[]): string {
  const at = (p: { x: number; y: number }): string => `${p.x.toFixed(1)},${p.y.toFixed(1)}`;
  if (points.length < 3) return `M${points.map(at).join("L")}`;
  let path = `M${at(points[0])}`;
  for (let k = 1; k < points.length - 1; k += 1) {
    const [here, next] = [points[k], points[k + 1]];
    const middle = k === points.length - 2 ? next : { x: (here.x + next.x) / 2, y: (here.y + next.y) / 2 };
    path += `Q${at(here)} ${at(middle)}`;
  }
  return path;
}

function NodeMark({ item, at, parts, of, chosen, choose, toggle, changed }: { item: Seen; at: { x: number; y: number }; parts: Drawn["parts"]; of: Of; chosen: string; choose: Props["choose"]; toggle: (id: string) => void; changed: boolean }) {
  if (item.kind === "end") {
    return (
      <g class="node end" transform={`translate(${at.x - 40},${at.y - 13})`}>
        <rect width="80" height="26" rx="13" />
        <text x="40" y="17" text-anchor="middle">{item.name}</text>
      </g>
    );
  }
  const folded = item.kind !== "op";
  const keys = [...new Set(item.members.map((m) => m.row).filter((k): k is string => !!k))];
  const rows = keys.map((k) => of?.(k)).filter((r): r is OpRow => !!r);
  const share = folded ? item.members.reduce((sum, m) => sum + (of?.(m.row ?? "")?.share ?? 0) * (parts.get(m.id) ?? 1), 0) : (rows[0]?.share ?? 0);
  const busiest = rows.reduce<OpRow | null>((best, r) => (!best || r.share > best.share ? r : best), null);
  const row = folded ? null : (rows[0] ?? null);
  const key = item.node?.row ?? "";
  const on = !folded && key !== "" && key === chosen;
  const free = !folded && !row && !!of;
  const detail = row ? `${time(row.time_s)}${row.count !== 1 ? ` × ${row.count < 1 ? row.count.toPrecision(2) : Number.isInteger(row.count) ? row.count : row.count.toFixed(1)}` : ""}` : folded ? `${item.members.length} operators` : of ? "not in this phase" : (item.node?.kind ?? "").replaceAll("_", " ");
  const title = item.kind === "region" && item.node?.trips ? `${item.name} × ${item.node.trips}` : own(item);
  const act = (): void => (folded ? toggle(item.id) : choose(key, item.id));
  const bar = Math.max(0, Math.min(1, share)) * (WIDTH - 16);
  return (
    <g
      class={`node ${busiest ? tone(busiest.bound) : "b-none"} ${on ? "chosen" : ""} ${folded ? "folded" : ""} ${free ? "free" : ""} ${changed ? "changed" : ""}`}
      role="button"
      tabindex={0}
      aria-pressed={folded ? undefined : on}
      aria-expanded={folded ? false : undefined}
      data-op={item.name}
      data-node={item.id}
      transform={`translate(${at.x - WIDTH / 2},${at.y - HEIGHT / 2})`}
      onClick={act}
      onKeyDown={(e) => pressed(e, act)}
    >
      <rect class="body" width={WIDTH} height={HEIGHT} rx="6" />
      <rect class="side" width="4" height={HEIGHT - 12} x="0" y="6" rx="2" />
      <text class="name" x="12" y="17">{folded ? "+ " : ""}{shorten(title, folded ? 19 : 21)}</text>
      <text class="sub" x="12" y="32">{detail}</text>
      {rows.length > 0 && <text class="sub right" x={WIDTH - 10} y="32" text-anchor="end">{percent(share)}</text>}
      {rows.length > 0 && <rect class="share" x="12" y={HEIGHT - 7} width={bar} height="3" rx="1.5" />}
      <desc>{`${item.node?.kind ?? "closed"}${busiest ? `, ${busiest.bound} bound, share of the time ${percent(share)}` : ""}${changed ? ", changed by this pass" : ""}`}</desc>
    </g>
  );
}
