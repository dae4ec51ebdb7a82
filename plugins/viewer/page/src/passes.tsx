// What each pass changed: step through the pipeline and watch the program.

import { Problem, type Tell, useAnswer, useTold } from "./answer";
import { drawing, passes } from "./api";
import { Card, type Table } from "./card";
import { Legend, Stack } from "./charts";
import { memoryParts } from "./explore";
import * as f from "./format";
import { OperatorGraph } from "./graph";
import { options } from "./scenario";
import { Stale } from "./stale";
import type { Drawing, Question, Stage, Staged } from "./types";

type Look = (part: Record<string, string>) => void;

export function Passes({ question, rest, look, tell }: { question: Question; rest: Record<string, string>; look: Look; tell: Tell }) {
  const answer = useAnswer<Question, Staged>(question, passes);
  const stages = answer.value?.stages ?? [];
  useTold(Problem(answer.error), tell);
  return (
    <Stale error={answer.error} of={() => answer.asked && options(answer.asked)}>
      {stages.length > 0 ? <Pipeline stages={stages} rest={rest} look={look} /> : !answer.error && <p class="quiet" role="status">{answer.busy ? "Running the passes …" : "No pass runs: the level is O0 and no technique is asked for."}</p>}
    </Stale>
  );
}

function Pipeline({ stages, rest, look }: { stages: Stage[]; rest: Record<string, string>; look: Look }) {
  const at = Math.min(stages.length - 1, Math.max(0, Number(rest.stage ?? stages.length - 1)));
  const stage = stages[at];
  const before = at ? stages[at - 1] : null;
  const phases = Object.keys(stages[0].phases);
  const now = drawing(stage.graph);
  const name = now?.graphs[rest.graph] ? rest.graph : Object.keys(now?.graphs ?? {})[0];
  const step = (by: number): void => look({ stage: String(Math.min(stages.length - 1, Math.max(0, at + by))) });
  return (
    <>
      <header class="page-head">
        <h1>Passes</h1>
        <p class="quiet">A technique is a rewrite of the graph. Each row is the program after one; figures are of the whole program then.</p>
      </header>
      <Card title="The pipeline" name="passes" drawn={false} table={() => table(stages, phases)}>
        <div class="scroll" role="region" aria-label="Pipeline, table" tabIndex={0}>
          <table class="data passes">
            <thead>
              <tr>
                <th scope="col">after</th><th scope="col" class="words">what it changed</th><th scope="col">memory</th>
                {phases.map((p) => <><th scope="col" key={p}>{p}</th><th scope="col" key={`${p} bytes`} class="less">traffic</th></>)}
                <th scope="col" class="less">kernels</th><th scope="col">ops</th>
              </tr>
            </thead>
            <tbody>
              {stages.map((s, k) => {
                const old = k ? stages[k - 1] : null;
                return (
                  <tr key={k} class={`${k === at ? "chosen" : ""} ${s.same ? "same" : ""}`}>
                    <th scope="row"><button type="button" class="link" aria-pressed={k === at} onClick={() => look({ stage: String(k) })}>{k ? `${k}. ${s.title}` : s.title}</button></th>
                    <td class="words">{s.changed}</td>
                    <Figure value={s.memory.total} old={old?.memory.total} show={f.bytes} />
                    {phases.map((p) => <><Figure key={p} value={s.phases[p]?.time_s} old={old?.phases[p]?.time_s} show={f.time} /><Figure key={`${p} bytes`} less value={s.phases[p]?.bytes} old={old?.phases[p]?.bytes} show={f.bytes} /></>)}
                    <Figure less value={s.phases[phases[phases.length - 1]]?.kernels} old={old?.phases[phases[phases.length - 1]]?.kernels} show={f.count} />
                    <Figure value={s.ops} old={old?.ops} show={f.count} />
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      </Card>
      <div class="phase">
        <div class="column">
          <Card title={at ? `Graph after ${stage.name}` : "Graph as loaded"} name={`graph-after-${stage.name ?? "loading"}`} extra={
            <span class="segmented small" role="group" aria-label="Step through the pipeline">
              <button type="button" disabled={at === 0} onClick={() => step(-1)}>‹ before</button>
              <button type="button" disabled={at === stages.length - 1} onClick={() => step(1)}>next ›</button>
            </span>
          }>
            <div class="graph-frame" tabIndex={0} role="region" aria-label="Operator graph, scrolls">
              {now && name && <OperatorGraph sketch={now.graphs[name]} hash={`${stage.graph}/${name}`} symbols={{}} chosen="" choose={() => undefined} marked={changed(now, before ? drawing(before.graph) : undefined, name)} numbers={false} />}
            </div>
          </Card>
        </div>
        <div class="column">
          <Card title={before ? `What ${stage.name} did` : "The program as loaded"} name="pass" drawn={false}>
            {stage.source && <p class="quiet">Source: {stage.source}</p>}
            <p>{stage.changed || (before ? "nothing to change" : "no pass has run yet")}</p>
            {(stage.notes ?? []).map((n) => <p key={n} class="quiet small">{n}</p>)}
            <table class="data">
              <thead><tr><th scope="col">figure</th><th scope="col">before</th><th scope="col">after</th><th scope="col">change</th></tr></thead>
              <tbody>
                {figures(stage, before, phases).map(([label, old, value, by]) => <tr key={label}><th scope="row">{label}</th><td>{old}</td><td>{value}</td><td>{by}</td></tr>)}
              </tbody>
            </table>
            <h3>Memory of a device</h3>
            {[before, stage].map((s, k) => s && <div key={k} class="stacked"><span class="stack-name">{k ? "after" : "before"}</span><span class="num">{f.bytes(s.memory.total)}</span><Stack label={k ? "after" : "before"} parts={memoryParts(s.memory)} most={Math.max(stage.memory.total, before?.memory.total ?? 0)} /></div>)}
            <Legend parts={memoryParts(stage.memory).map((p) => ({ ...p, text: "" }))} />
          </Card>
        </div>
      </div>
    </>
  );
}

function Figure({ value, old, show, less = false }: { value: number | undefined; old: number | undefined; show: (value: number) => string; less?: boolean }) {
  const kept = less ? "less" : ""; // left out where the window is narrow
  if (value === undefined) return <td class={kept}>–</td>;
  const by = old ? value / old - 1 : 0;
  const moved = Math.abs(by) >= 0.0005;
  return (
    <td class={`${kept} ${moved || old === undefined ? "" : "still"}`}>
      {show(value)}{moved && <span class="delta">{f.change(by)}</span>}
    </td>
  );
}

function figures(stage: Stage, before: Stage | null, phases: string[]): [string, string, string, string][] {
  const found: [string, string, string, string][] = [];
  const add = (label: string, value: number | undefined, old: number | undefined, show: (v: number) => string): void => {
    if (value === undefined) return;
    found.push([label, old === undefined ? "–" : show(old), show(value), old ? f.change(value / old - 1) : ""]);
  };
  add("operators", stage.ops, before?.ops, f.count);
  add("weights", stage.memory.weights, before?.memory.weights, f.bytes);
  add("KV cache", stage.memory.kv_cache, before?.memory.kv_cache, f.bytes);
  add("activations", stage.memory.activations, before?.memory.activations, f.bytes);
  for (const phase of phases) {
    const [a, b] = [stage.phases[phase], before?.phases[phase]];
    add(`${phase}: time`, a?.time_s, b?.time_s, f.time);
    add(`${phase}: FLOPs`, a?.flops, b?.flops, f.flops);
    add(`${phase}: bytes`, a?.bytes, b?.bytes, f.bytes);
    add(`${phase}: kernels`, a?.kernels, b?.kernels, f.count);
  }
  return found;
}

/** Nodes that the program before did not have, or had otherwise. */
function changed(now: Drawing, before: Drawing | undefined, graph: string): Set<string> {
  const found = new Set<string>();
  const old = new Map((before?.graphs[graph]?.nodes ?? []).map((n) => [n.id, JSON.stringify([n.kind, n.formulas, n.leaves, n.ops])]));
  if (!before) return found;
  for (const node of now.graphs[graph].nodes) if (!node.region && old.get(node.id) !== JSON.stringify([node.kind, node.formulas, node.leaves, node.ops])) found.add(node.id);
  return found;
}

function table(stages: Stage[], phases: string[]): Table {
  const columns = ["after", "changed", "memory", ...phases.flatMap((p) => [`${p}_s`, `${p}_flops`, `${p}_bytes`]), "ops"];
  const rows = stages.map((s) => [s.title, s.changed, s.memory.total, ...phases.flatMap((p) => [s.phases[p]?.time_s ?? null, s.phases[p]?.flops ?? null, s.phases[p]?.bytes ?? null]), s.ops]);
  return { columns, rows: rows.map((cells, k) => ({ key: String(k), cells: cells.map((c) => String(c)) })), raw: { columns, rows } };
}
