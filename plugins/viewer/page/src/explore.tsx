// One model on one hardware: what it takes, and where the time goes.

import { useMemo, useState } from "preact/hooks";
import { drawing } from "./api";
import { Bound, Card, type Table } from "./card";
import { dots, Legend, type Part, Roofline, Stack, tone } from "./charts";
import { bound as boundBy, evaluate, type Symbols } from "./expression";
import * as f from "./format";
import { OperatorGraph } from "./graph";
import { memo } from "./memo";
import type { Cell } from "./saving";
import type { Drawing, Memory, Node, OpRow, Phase, RowExtra, Told } from "./types";

interface Props {
  told: Told | null;
  refused: boolean;
  level: string;
  rest: Record<string, string>;
  look: (part: Record<string, string>) => void;
}

const MEMORY: [keyof Memory & string, string][] = [["weights", "weights"], ["kv_cache", "KV cache"], ["activations", "activations"], ["overhead", "reserve"]];

export const Explore = memo(({ told, refused, level, rest, look }: Props) => {
  if (!told) return refused ? <></> : <p class="quiet" role="status">Computing …</p>;
  const phases = Object.keys(told.result.phases);
  const name = phases.includes(rest.tab) ? rest.tab : phases[phases.length - 1];
  return (
    <>
      <Headline told={told} />
      <Warnings told={told} />
      <Basis told={told} />
      <PhaseTabs told={told} name={name} look={look} />
      <PhaseView key={name} told={told} name={name} rest={rest} look={look} level={level} />
    </>
  );
});

export function Headline({ told }: { told: Told }) {
  const { metrics, memory, model, hardware } = told.result;
  const { makes, unknown, scenario } = told.result;
  const whole: [string, string, string][] = [
    ["latency_s", "A batch", "all its phases"],
    ["throughput_tok_s", "Throughput", makes],
  ];
  const shown: [string, string, string][] = makes !== "tokens" ? whole : [
    ["ttft_s", "Time to first token", "TTFT"],
    ["tpot_s", "Time per output token", "TPOT"],
    ["latency_s", "Whole request", "latency"],
    ["throughput_tok_s", "Throughput", "all sequences"],
    ["tokens_per_s_per_user", "Per user", "speed"],
  ];
  const extra: [string, string, string][] = [["energy_j", "Energy", "a batch, at full power"], ["cost_per_mtok", "Cost", "$ per M tokens"]];
  const fits = memory.fits;
  return (
    <section class="headline" aria-label="Result">
      <h1>
        {model.name} <span class="quiet">on</span> {told.roof.name}
        {hardware.devices > 1 && ` × ${hardware.devices}`}
        <small>{`${lengths(scenario)}${f.parameters(model.params)} parameters${model.active_params !== model.params ? `, ${f.parameters(model.active_params)} active` : ""}${model.kv_bytes_per_token ? ` · KV cache ${f.bytes(model.kv_bytes_per_token)} a token` : ""}${model.state_bytes ? ` · state ${f.bytes(model.state_bytes)}` : ""} · ${told.result.estimate === "ideal" ? "roofline bound" : `${told.result.estimate} estimate with its band${told.result.ratio?.latency_s ? `, ${told.result.ratio.latency_s.toPrecision(3)} × the bound` : ""}`}`}</small>
      </h1>
      <dl class="metrics">
        {[...shown, ...extra.filter(([k]) => told.result.metrics[k] != null && k === "cost_per_mtok")].map(([key, label, hint]) => (
          <div key={key} class="metric">
            <dt>{label}</dt>
            <dd data-metric={key} data-value={metrics[key] ?? ""}>{f.metric(key, metrics[key], makes)}</dd>
            <dd class="hint" data-band={key}>{band(told, key) ?? (unknown[key] ? f.onPage(unknown[key]) : hint)}</dd>
            {told.result.ideal && <dd class="hint" data-ideal={key}>{ideal(told, key)}</dd>}
          </div>
        ))}
        <div class="metric memory">
          <dt>Memory a device</dt>
          <dd data-metric="memory" data-value={memory.total}>{f.bytes(memory.total)}</dd>
          <dd class={`hint ${fits === false ? "bad" : fits ? "good" : ""}`}><span role="status">{fits === null ? "capacity unknown" : `${fits ? "✓ fits" : "✗ does not fit"} ${f.bytes(memory.capacity)}`}</span></dd>
        </div>
      </dl>
      <details class="why">
        <summary>How these figures come about</summary>
        <table class="formulas"><tbody>{derived(told).map(([what, text]) => <tr key={what}><th scope="row">{what}</th><td>{text}</td></tr>)}</tbody></table>
      </details>
    </section>
  );
}

/** Lengths that are distributions: the numbers are their means. */
function lengths(scenario: Told["result"]["scenario"]): string {
  return Object.entries(scenario.lengths ?? {}).map(([name, text]) => `${name} ${text.replace(/\s*,\s*/g, ", ")}, mean ${f.plain(scenario[name as "prompt" | "output"])} · `).join("");
}

/** What each headline figure is made of, with its values. */
function derived(told: Told): [string, string][] {
  const { metrics, memory, phases, scenario } = told.result;
  const { ttft_s: ttft, tpot_s: tpot, latency_s: latency, throughput_tok_s: throughput } = metrics;
  const before = Object.keys(phases).filter((p) => p === "encode" || p === "prefill").join(" + ");
  const found: [string, string][] = [["time of a phase", "the sum over its kernels, each as long as the resource it needs longest; of kernels side by side the longest stream"]];
  if (ttft != null) found.push(["TTFT", `the phase ${before}: ${f.time(ttft)}`]);
  if (tpot != null) found.push(["TPOT", `the decode phase by the tokens it makes after the first: ${f.time(tpot)}${phases.decode?.first_step_s != null && phases.decode.last_step_s != null ? `, from ${f.time(phases.decode.first_step_s)} to ${f.time(phases.decode.last_step_s)}` : ""}`]);
  if (ttft != null && tpot != null && latency != null && !scenario.lengths) found.push(["latency", `TTFT + (${f.plain(scenario.output)} − 1) × TPOT${Object.keys(phases).some((p) => !["encode", "prefill", "decode"].includes(p)) ? " + what lies between" : ""} = ${f.time(latency)}`]);
  if (scenario.lengths) found.push(["expectations", `over ${lengths(scenario).replace(/ · $/, "")}: metrics are means over every length, rows are those of the mean one`]);
  if (told.result.makes !== "tokens" && latency != null) {
    found.push(["latency", `the total of its phases: ${f.time(latency)}`], ["throughput", `batch ${f.plain(scenario.batch)} ÷ latency = ${f.made(throughput, told.result.makes)}`]);
  } else if (scenario.lengths && throughput != null) {
    found.push(["throughput", `all tokens over all time: ${f.tokens(throughput)}`]);
  } else if (throughput != null && latency != null) {
    const alone = (scenario.batch * scenario.output) / latency;
    const same = Math.abs(alone / throughput - 1) < 1e-9;
    found.push(["throughput", same ? `batch ${f.plain(scenario.batch)} × ${f.plain(scenario.output)} tokens ÷ latency = ${f.tokens(throughput)}` : `batch ${f.plain(scenario.batch)} × ${f.plain(scenario.output)} tokens by the time after which the next batch follows: ${f.tokens(throughput)}`]);
  }
  if (tpot != null) found.push(["per user", `1 ÷ TPOT = ${f.tokens(1 / tpot)}`]);
  found.push(["memory", `${MEMORY.filter(([key]) => memory[key]).map(([key, label]) => `${label} ${f.bytes(memory[key] as number)}`).join(" + ")} = ${f.bytes(memory.total)}; the cache has room for every token of a sequence, activations are the most alive at one kernel`]);
  return found;
}

/** The band of a calibrated metric, in words. */
function band(told: Told, key: string): string | null {
  const found = told.result.bands?.[key];
  return found ? `${f.metric(key, found.low)} to ${f.metric(key, found.high)}` : null;
}

/** The bound of a calibrated metric, and how many times it the estimate is. */
function ideal(told: Told, key: string): string {
  const value = told.result.ideal?.metrics[key];
  const times = told.result.ratio?.[key];
  return value == null ? "" : `${times ? `${times.toPrecision(3)} × the ` : ""}bound ${f.metric(key, value)}`;
}

/** What a calibrated estimate was fitted on. */
function Basis({ told }: { told: Told }) {
  const { basis } = told.result;
  if (!basis?.length) return null;
  return (
    <details class="warnings">
      <summary>Calibrated on: {basis[0].set}{basis.length > 1 && ` and ${basis.length - 1} more`}</summary>
      <ul>{basis.map((b) => <li key={b.form + b.set}><code>{b.form}</code> {f.percent(b.share)} of the time: {b.set}</li>)}</ul>
    </details>
  );
}

function Warnings({ told }: { told: Told }) {
  const { warnings } = told.result;
  if (!warnings.length) return null;
  const loud = warnings.filter((w) => ["M030", "M004", "M003", "M012", "M013"].includes(w.code));
  return (
    <details class={`warnings ${loud.length ? "loud" : ""}`} open={loud.length > 0}>
      <summary>{warnings.length} note{warnings.length === 1 ? "" : "s"}{loud.length ? "" : `: ${f.onPage(warnings[0].message).slice(0, 90)}${warnings.length > 1 || warnings[0].message.length > 90 ? " …" : ""}`}</summary>
      <ul>{warnings.map((w, k) => <li key={k}><code>{w.code}</code> {f.onPage(w.message)}</li>)}</ul>
    </details>
  );
}

function PhaseTabs({ told, name, look }: { told: Told; name: string; look: Props["look"] }) {
  const entries = Object.entries(told.result.phases);
  const move = (event: KeyboardEvent, k: number): void => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!step) return;
    const next = entries[(k + step + entries.length) % entries.length][0];
    look({ tab: next });
    document.getElementById(`tab-${next}`)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label="Phase">
      {entries.map(([phase, figures], k) => (
        <button key={phase} id={`tab-${phase}`} type="button" role="tab" aria-selected={phase === name} aria-controls="phase" tabIndex={phase === name ? 0 : -1} onClick={() => look({ tab: phase })} onKeyDown={(e) => move(e, k)}>
          <b>{phase[0].toUpperCase() + phase.slice(1)}</b> <span>{f.time(figures.time_s)}{phase === "decode" ? (told.decodes_several ? " a token" : " a step") : ""}</span> <Bound bound={figures.bound} />
        </button>
      ))}
    </div>
  );
}

function PhaseView({ told, name, rest, look, level }: { told: Told; name: string; rest: Record<string, string>; look: Props["look"]; level: string }) {
  const phase = told.result.phases[name];
  const extras = told.rows[name];
  const keys = extras.map(([key]) => key);
  const asked = drawing(told.graph);
  const chosenKey = keys.includes(rest.op) ? rest.op : (keys[0] ?? "");
  const index = keys.indexOf(chosenKey);
  const row = phase.ops[index];
  const graphs = [...new Set(phase.ops.map((op) => op.graph).filter(Boolean))];
  const names = graphs.length ? graphs : Object.keys(asked?.graphs ?? {});
  const graph = names.includes(rest.graph) ? rest.graph : (row?.graph && names.includes(row.graph) ? row.graph : names[0]);
  const [numbers, setNumbers] = useState(false);
  const symbols = symbolsOf(asked, name, graph, told);
  const of = useMemo(() => {
    const byKey = new Map(keys.map((key, k) => [key, phase.ops[k]]));
    return (key: string): OpRow | undefined => byKey.get(key);
  }, [told, name]);
  const choose = (key: string): void => {
    if (key) look({ op: key });
  };
  const file = `${told.result.model.name}-${told.roof.id}-${name}`.replace(/[^\w.-]+/g, "_");
  return (
    <div id="phase" role="tabpanel" aria-labelledby={`tab-${name}`} class="phase">
      <div class="column">
        <Card title="Operators" name={`${file}-graph`} note={told.result.phases[name].ops.length ? undefined : "no rows"} table={() => operatorTable(phase, keys, chosenKey, choose)} extra={
          <>
            {names.length > 1 && (
              <select class="inline" aria-label="Graph" value={graph} onChange={(e) => look({ graph: e.currentTarget.value })}>
                {names.map((n) => <option key={n} value={n}>{n}</option>)}
              </select>
            )}
            <label class="check inline"><input type="checkbox" checked={numbers} onChange={(e) => setNumbers(e.currentTarget.checked)} /> sizes</label>
          </>
        }>
          <Finder keys={keys} rows={phase.ops} choose={choose} />
          <div class="graph-frame" tabIndex={0} role="region" aria-label="Operator graph, scrolls">
            {asked?.graphs[graph] && <OperatorGraph sketch={asked.graphs[graph]} hash={`${told.graph}/${graph}`} of={of} symbols={symbols} chosen={chosenKey} choose={choose} numbers={numbers} />}
          </div>
          {asked && asked.graphs[graph]?.left_out > 0 && <p class="quiet small">{asked.graphs[graph].left_out} more operators are not drawn; the table has every row.</p>}
        </Card>
      </div>
      <div class="column">
        {row && <Detail row={row} extra={extras[index]} phase={phase} drawing={asked} symbols={symbols} roofName={told.roof.name} />}
        <Card title="Roofline" name={`${file}-roofline`} note={told.roof.name} table={() => rooflineTable(phase, keys, chosenKey, choose)}>
          <Roofline roof={told.roof} dots={dots(phase, keys)} chosen={chosenKey} choose={choose} />
          <BoundLegend phase={phase} />
        </Card>
        <Breakdown phase={phase} keys={keys} chosen={chosenKey} choose={choose} name={`${file}-breakdown`} />
        <MemoryCard memory={told.result.memory} name={`${file}-memory`} />
        <Applied told={told} level={level} />
      </div>
    </div>
  );
}

function symbolsOf(asked: Drawing | undefined, phase: string, graph: string, told: Told): Symbols {
  const call = asked?.calls.find((c) => c.phase === phase && c.graph === graph) ?? asked?.calls.find((c) => c.graph === graph);
  const { lengths: _, ...sizes } = told.result.scenario;
  const scenario: Symbols = { ...sizes, step: Math.max(0, told.result.scenario.output - 2) / 2 };
  return call ? boundBy(call.bind, scenario) : scenario;
}

function Finder({ keys, rows, choose }: { keys: string[]; rows: OpRow[]; choose: (key: string) => void }) {
  const [text, setText] = useState("");
  const found = text ? rows.map((r, k) => [r.name, keys[k]] as const).filter(([n]) => n.toLowerCase().includes(text.toLowerCase())).slice(0, 8) : [];
  return (
    <div class="finder">
      <label class="hidden" for="find">Find an operator</label>
      <input id="find" type="search" placeholder="Find an operator" value={text} onInput={(e) => setText(e.currentTarget.value)} onKeyDown={(e) => e.key === "Enter" && found[0] && choose(found[0][1])} />
      {text && (
        <ul>
          {found.map(([n, key]) => <li key={key}><button type="button" class="link" onClick={() => { choose(key); setText(""); document.querySelector(`[data-node][aria-pressed=true]`)?.scrollIntoView({ block: "center" }); }}>{n}</button></li>)}
          {!found.length && <li class="quiet">no operator is called that</li>}
        </ul>
      )}
    </div>
  );
}

const BOUNDS: [string, string][] = [["compute", "matrix unit"], ["vector", "vector unit"], ["memory", "memory"], ["link", "links"]];

function BoundLegend({ phase }: { phase: Phase }) {
  const parts: Part[] = Object.entries(phase.time_by_resource_s)
    .sort((a, b) => b[1] - a[1])
    .map(([name, value]) => ({ name: name === "overhead" ? "waiting" : `${BOUNDS.find(([b]) => b === name)?.[1] ?? name} bound`, value, tone: tone(name), text: f.percent(phase.time_s ? value / phase.time_s : 0) }));
  return <Legend parts={parts} />;
}

const RAW = ["name", "kind", "count", "bound", "flops", "bytes", "weight_bytes", "activation_bytes", "kv_bytes", "link_bytes", "intensity", "attainable_flops_per_s", "time_s", "share", "compute_dtype", "weight_encoding", "unit", "graph", "device"] as const;

export function operatorTable(phase: Phase, keys: string[], chosen: string, choose: (key: string) => void): Table {
  return {
    columns: ["operator", "×", "FLOPs", "bytes", "weights", "activations", "KV", "FLOP/B", "bound", "attainable", "time", "share"],
    choose,
    rows: phase.ops.map((op, k) => ({
      key: keys[k],
      op: op.name,
      chosen: keys[k] === chosen,
      cells: [op.name, f.plain(op.count), f.count(op.flops), f.bytes(op.bytes), f.bytes(op.weight_bytes), f.bytes(op.activation_bytes), f.bytes(op.kv_bytes), f.intensity(op.intensity), <Bound bound={op.bound} />, f.rate(op.attainable_flops_per_s), f.time(op.time_s), f.percent(op.share)],
    })),
    raw: { columns: [...RAW], rows: phase.ops.map((op) => RAW.map((name) => op[name] as Cell)) },
  };
}

function rooflineTable(phase: Phase, keys: string[], chosen: string, choose: (key: string) => void): Table {
  const rows = phase.ops.map((op, k) => ({ op, key: keys[k] })).filter(({ op }) => op.flops > 0);
  return {
    columns: ["operator", "FLOP/B", "achieved", "attainable", "bound", "share"],
    choose,
    rows: rows.map(({ op, key }) => ({ key, chosen: key === chosen, cells: [op.name, f.intensity(op.intensity), f.rate(op.time_s ? op.flops / op.time_s : 0), f.rate(op.attainable_flops_per_s), <Bound bound={op.bound} />, f.percent(op.share)] })),
    raw: { columns: ["name", "intensity", "flops_per_s", "attainable_flops_per_s", "bound", "share"], rows: rows.map(({ op }) => [op.name, op.intensity, op.time_s ? op.flops / op.time_s : 0, op.attainable_flops_per_s, op.bound, op.share]) },
  };
}

interface Bar {
  key: string;
  name: string;
  bound: string;
  time: number;
  share: number;
  count: number;
  ideal: number | null; // of a calibrated row: the bound's time
  band: string;
}

function Breakdown({ phase, keys, chosen, choose, name }: { phase: Phase; keys: string[]; chosen: string; choose: (key: string) => void; name: string }) {
  const [by, setBy] = useState("op");
  const ops: Bar[] = phase.ops.map((op, k) => ({ key: keys[k], name: op.name, bound: op.bound, time: op.time_s * op.count, share: op.share, count: op.count, ideal: op.ideal_s === undefined ? null : op.ideal_s * op.count, band: opBand(op) }));
  const kinds = new Map<string, Bar>();
  phase.ops.forEach((op) => {
    const kind = kinds.get(op.kind) ?? { key: op.kind, name: op.kind.replaceAll("_", " "), bound: op.bound, time: 0, share: 0, count: 0, ideal: op.ideal_s === undefined ? null : 0, band: "" };
    if (kind.ideal !== null) kind.ideal += (op.ideal_s ?? 0) * op.count;
    kind.time += op.time_s * op.count;
    kind.share += op.share;
    kind.count += op.count;
    kinds.set(op.kind, kind);
  });
  const bars = by === "op" ? ops : [...kinds.values()].sort((a, b) => b.share - a.share);
  const shown = bars.slice(0, 9);
  const rest = bars.slice(9);
  if (rest.length) shown.push({ key: "", name: `${rest.length} more`, bound: "none", time: rest.reduce((s, b) => s + b.time, 0), share: rest.reduce((s, b) => s + b.share, 0), count: 0, ideal: null, band: "" });
  const most = Math.max(...shown.map((b) => b.share), 1e-9);
  const [W, H] = [620, 25];
  const table = (): Table => ({
    columns: [by === "op" ? "operator" : "kind", "×", "bound", "time", "share", ...(bars[0]?.ideal != null ? ["the bound", "band"] : [])],
    rows: bars.map((b) => ({ key: b.key, cells: [b.name, f.plain(b.count), <Bound bound={b.bound} />, f.time(b.time), f.percent(b.share), ...(b.ideal !== null ? [f.time(b.ideal), b.band] : [])] })),
    raw: { columns: ["name", "count", "bound", "time_s", "share", "ideal_s"], rows: bars.map((b) => [b.name, b.count, b.bound, b.time, b.share, b.ideal]) },
  });
  return (
    <Card title="Where the time goes" name={name} note={`${f.flops(phase.flops)}, ${f.bytes(phase.bytes)}`} table={table} extra={
      <span class="segmented small" role="group" aria-label="Rows">
        <button type="button" aria-pressed={by === "op"} onClick={() => setBy("op")}>op</button>
        <button type="button" aria-pressed={by === "kind"} onClick={() => setBy("kind")}>kind</button>
      </span>
    }>
      <svg class="figure" role="img" aria-label={`Time by ${by === "op" ? "operator" : "kind"}: ${shown.map((b) => `${b.name} ${f.percent(b.share)}`).join(", ")}`} viewBox={`0 0 ${W} ${H * shown.length}`}>
        {shown.map((bar, k) => (
          <g key={bar.key || "rest"} class={`bar ${bar.key === chosen ? "chosen" : ""}`} transform={`translate(0,${k * H})`} onClick={() => by === "op" && choose(bar.key)}>
            <text class="name" x="0" y="17">{f.shorten(bar.name, 28)}</text>
            <rect class="ground" x="196" y="6" width="262" height="13" rx="2" />
            <rect class={tone(bar.bound)} x="196" y="6" width={Math.max(1, (262 * bar.share) / most)} height="13" rx="2" />
            {bar.ideal !== null && bar.time > 0 && <line class="ideal" x1={196 + (262 * bar.share * bar.ideal) / bar.time / most} x2={196 + (262 * bar.share * bar.ideal) / bar.time / most} y1="3" y2="22" />}
            {bar.ideal !== null && <title>{`${f.time(bar.time)}${bar.band && `, ${bar.band}`}; the bound alone ${f.time(bar.ideal)}`}</title>}
            <text class="tick strong" x="534" y="17" text-anchor="end">{f.time(bar.time)}</text>
            <text class="tick" x={W} y="17" text-anchor="end">{f.percent(bar.share)}</text>
          </g>
        ))}
      </svg>
      {bars.some((b) => b.ideal !== null) && <ul class="legend"><li><i class="tick-mark" aria-hidden="true" /> <span>the bound alone</span></li></ul>}
    </Card>
  );
}

/** The band of a calibrated row, in words. */
function opBand(op: OpRow): string {
  return op.low_s === undefined ? "" : `${f.time(op.low_s * op.count)} to ${f.time(op.high_s! * op.count)}`;
}

export function memoryParts(memory: Memory): Part[] {
  return MEMORY.map(([key, label]) => ({ name: label, value: memory[key] as number, tone: `m-${key}`, text: f.bytes(memory[key] as number) })).filter((p) => p.value > 0);
}

function MemoryCard({ memory, name }: { memory: Memory; name: string }) {
  const parts = memoryParts(memory);
  const most = Math.max(memory.capacity ?? 0, memory.total);
  const used = memory.capacity ? memory.total / memory.capacity : null;
  const table = (): Table => ({
    columns: ["what", "bytes", "of capacity"],
    rows: [...parts.map((p) => ({ key: p.name, cells: [p.name, p.text, f.percent(memory.capacity ? p.value / memory.capacity : null)] })), { key: "total", cells: ["total", f.bytes(memory.total), f.percent(used)] }, { key: "capacity", cells: ["capacity", f.bytes(memory.capacity), ""] }],
    raw: { columns: ["what", "bytes"], rows: [...MEMORY.map(([key, label]): Cell[] => [label, memory[key] as number]), ["total", memory.total], ["capacity", memory.capacity]] },
  });
  return (
    <Card title="Memory of a device" name={name} note={<span class={memory.fits === false ? "bad" : ""}>{`${f.bytes(memory.total)} of ${f.bytes(memory.capacity)}${used !== null ? `, ${f.percent(used)}` : ""}`}</span>} table={table}>
      <Stack parts={parts} most={most} label="Memory" marker={memory.capacity && memory.total > memory.capacity ? { value: memory.capacity, text: `capacity ${f.bytes(memory.capacity)}` } : undefined} />
      <Legend parts={parts} />
    </Card>
  );
}

function Applied({ told, level }: { told: Told; level: string }) {
  const { techniques } = told.result;
  if (!techniques.length) return null;
  return (
    <section class="card" aria-label="Techniques that ran">
      <header class="card-head"><h2>Techniques that ran</h2><span class="note">in order; Passes shows each</span></header>
      <ol class="applied">
        {techniques.map((t, k) => {
          const options = Object.entries(t.options).map(([key, v]) => `${key}=${Array.isArray(v) ? `[${v.join(" ")}]` : String(v)}`).join(" ");
          return <li key={k} class={t.changed ? "" : "quiet"}><b>{t.name}</b> {options && <code>{options}</code>} <span class="quiet">{t.changed || "nothing to change"}</span></li>;
        })}
      </ol>
      {level === "O0" && <p class="quiet small">-O0: nothing was fused that was not asked for.</p>}
    </section>
  );
}

/** One operator: its figures, the formulas behind them with values put in, and where they come from. */
function Detail({ row, extra, phase, drawing: asked, symbols, roofName }: { row: OpRow; extra: RowExtra; phase: Phase; drawing: Drawing | undefined; symbols: Symbols; roofName: string }) {
  const [key, times, members] = extra;
  const node: Node | undefined = asked && Object.values(asked.graphs).flatMap((g) => g.nodes).find((n) => n.row === key);
  const facts: [string, preact.ComponentChildren][] = [
    ["time", <b>{f.time(row.time_s)}</b>],
    ["occurrences", f.plain(row.count)],
    ["share", f.percent(row.share)],
    ["bound", <Bound bound={row.bound} />],
    ["FLOPs", f.flops(row.flops)],
    ["bytes", f.bytes(row.bytes)],
    ["weights", f.bytes(row.weight_bytes)],
    ["activations", f.bytes(row.activation_bytes)],
    ["KV cache", f.bytes(row.kv_bytes)],
    ["links", f.bytes(row.link_bytes)],
    ["intensity", row.intensity === null ? "–" : `${f.intensity(row.intensity)} FLOP/B`],
    ["attainable", f.rate(row.attainable_flops_per_s)],
    ["computes in", row.compute_dtype || "–"],
    ["weights lie as", row.weight_encoding || "–"],
  ];
  if (row.ideal_s !== undefined) facts.splice(1, 0, ["band", `${f.time(row.low_s!)} to ${f.time(row.high_s!)}`], ["bound alone", `${f.time(row.ideal_s)}${row.ideal_s ? `; this is ${(row.time_s / row.ideal_s).toPrecision(3)} ×` : ""}`]);
  const longest = Math.max(...Object.values(times), 1e-30);
  return (
    <section class="card detail" aria-label={`Operator ${row.name}`} data-detail={row.name}>
      <header class="card-head">
        <h2 class="op-name" id="detail-name">{row.name}</h2>
        <span class="note">{row.kind.replaceAll("_", " ")}{row.graph && row.graph !== "target" ? ` · ${row.graph}` : ""}{row.device ? ` · ${row.device}` : ""}</span>
      </header>
      <dl class="facts grid">
        {facts.map(([label, value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd data-fact={label}>{value}</dd>
          </div>
        ))}
      </dl>
      <div class="resources" role="img" aria-label={`Time each resource alone would need: ${Object.entries(times).map(([r, t]) => `${r} ${f.time(t)}`).join(", ")}`}>
        {Object.entries(times).sort((a, b) => b[1] - a[1]).map(([resource, t]) => (
          <div key={resource} class="resource">
            <span>{resource}</span>
            <span class="track"><i class={tone(resource)} style={{ width: `${(100 * t) / longest}%` }} /></span>
            <span class="num">{f.time(t)}</span>
          </div>
        ))}
      </div>
      <details class="why">
        <summary>Formula, tensors, source</summary>
        {node?.formulas && (
          <table class="formulas">
            <tbody>
              {Object.entries(node.formulas).map(([what, text]) => {
                const value = evaluate(text, symbols);
                return (
                  <tr key={what}>
                    <th scope="row">{{ matrix_flops: "FLOP, matrix unit", vector_flops: "FLOP, vector unit", bytes: "bytes moved" }[what] ?? what}</th>
                    <td><code>{text}</code>{value !== null && <span class="quiet"> = {f.count(Math.round(value))}</span>}</td>
                  </tr>
                );
              })}
              <tr><th scope="row">values</th><td>{Object.entries(symbols).filter(([name]) => /^[A-Z]$/.test(name)).map(([name, value]) => `${name} = ${f.plain(value)}`).join(", ")}{phase.first_step_s !== undefined && phase.first_step_s !== phase.last_step_s && " (the middle step)"}</td></tr>
              <tr><th scope="row">time</th><td>the longest of what each resource of {roofName} needs [Williams 2009]</td></tr>
              {Object.keys(row.dims).length > 0 && <tr><th scope="row">sizes</th><td>{Object.entries(row.dims).map(([k, v]) => `${k} ${typeof v === "number" ? f.plain(v) : v}`).join(", ")}</td></tr>}
            </tbody>
          </table>
        )}
        {row.basis && <p><b>Calibrated on</b> {row.basis}</p>}
        {members.length > 1 && <p><b>One kernel of</b> {members.join(", ")}</p>}
        {node?.leaves && <><h3>Stored tensors</h3><ul class="plain">{node.leaves.slice(0, 24).map((leaf) => <li key={leaf}><code>{leaf}</code></li>)}{node.leaves.length > 24 && <li>{node.leaves.length - 24} more</li>}</ul></>}
        {node?.because && <><h3>Passes that touched it</h3><ul class="plain">{node.because.map((reason) => <li key={reason}>{reason}</li>)}</ul></>}
        {[...new Set((node?.ops ?? []).map(([kind]) => kind))].map((kind) => asked?.kinds[kind] && <div key={kind}><h3>{kind.replaceAll("_", " ")}</h3><pre>{asked.kinds[kind]}</pre></div>)}
      </details>
    </section>
  );
}
