// What would be otherwise: sliders over the hardware and the sizes, formulas, and solving for one.

import { useState } from "preact/hooks";
import { Problem, revised, useAnswer } from "./answer";
import { analyze, compare, drawing, Refused, solve } from "./api";
import { Card } from "./card";
import { bound, evaluate, type Symbols } from "./expression";
import * as f from "./format";
import type { Boot, Chip, Compared, Question, Solution, Told } from "./types";

const FACTORS = [0.25, 0.35, 0.5, 0.7, 0.85, 1, 1.2, 1.4, 1.7, 2, 2.8, 4];
const KNOBS: [key: string, label: string, of: (chip: Chip) => number | null, path: string, unit: string][] = [
  ["bw", "Memory bandwidth", (c) => c.bandwidth, "hardware.memory.bandwidth", "B/s"],
  ["pk", "bf16 peak", (c) => c.bf16, "hardware.peak.matrix.bf16", "FLOPS"],
  ["cap", "Memory capacity", (c) => c.memory, "hardware.memory.capacity", "B"],
  ["ln", "Link bandwidth", (c) => c.link, "hardware.link.per_direction", "B/s"],
];
const METRICS = ["ttft_s", "tpot_s", "latency_s", "throughput_tok_s", "memory"];

/** The scenario with its hardware and sizes turned as the sliders are. */
export function turned(boot: Boot, question: Question, rest: Record<string, string>): Question {
  const chip = boot.chips.find((c) => c.id === question.on.split(":")[0]);
  const set: Record<string, string> = { ...(question.set ?? {}) };
  for (const [key, , of, path, unit] of KNOBS) {
    const value = chip && of(chip);
    const factor = Number(rest[key] ?? 1);
    if (value && factor !== 1) set[path] = `${Math.round((value * factor) / 1e6)}M${unit}`;
  }
  const sizes: Partial<Question> = {};
  if (rest.fb) sizes.batch = scale(question.batch, 1, Number(rest.fb));
  if (rest.fp && !question.context) sizes.prompt = scale(question.prompt, 2048, Number(rest.fp));
  return { ...question, ...sizes, ...(Object.keys(set).length ? { set } : {}) };
}

const scale = (value: number | string | undefined, other: number, factor: number): number => Math.max(1, Math.round(Number(value ?? other) * factor));

export function WhatIf({ boot, question, rest, look }: { boot: Boot; question: Question; rest: Record<string, string>; look: (part: Record<string, string>) => void }) {
  const chip = boot.chips.find((c) => c.id === question.on.split(":")[0]);
  const other = turned(boot, question, rest);
  const answer = useAnswer<Question[], Compared>([question, other], compare);
  const told = useAnswer<Question, Told>(other, analyze);
  const found = answer.value;
  return (
    <>
      <header class="page-head">
        <h1>What if</h1>
        <p class="quiet">Turn the hardware and the sizes; every figure is computed anew, against the scenario on the left.</p>
      </header>
      <div class="phase">
        <div class="column">
          <Card title="Turn" name="what-if" drawn={false} extra={<button type="button" class="tool" onClick={() => look({ bw: "", pk: "", cap: "", ln: "", fb: "", fp: "" })}>Reset</button>}>
            {KNOBS.map(([key, label, of, , unit]) => {
              const value = chip && of(chip);
              return value ? <Knob key={key} id={key} label={label} factor={Number(rest[key] || 1)} shown={(k) => f.rate(value * k, unit === "FLOPS" ? "FLOP/s" : unit)} put={(v) => look({ [key]: v })} /> : null;
            })}
            <Knob id="fb" label="Batch" factor={Number(rest.fb || 1)} shown={(k) => scale(question.batch, 1, k).toLocaleString("en")} put={(v) => look({ fb: v })} />
            {!question.context && <Knob id="fp" label="Prompt" factor={Number(rest.fp || 1)} shown={(k) => scale(question.prompt, 2048, k).toLocaleString("en")} put={(v) => look({ fp: v })} />}
          </Card>
          <Solve question={other} />
        </div>
        <div class="column">
          {(answer.error ?? told.error) && <p class="problem" role="alert">{Problem(answer.error ?? told.error)}</p>}
          {found && !found.problems.some(Boolean) && (
            <Card title="What becomes of it" name="what-if-result" drawn={false}>
              <table class="data">
                <thead><tr><th scope="col">metric</th><th scope="col">scenario</th><th scope="col">what if</th><th scope="col">change</th></tr></thead>
                <tbody>
                  {METRICS.filter((m) => found.records[0][m] != null).map((m) => (
                    <tr key={m}><th scope="row">{boot.metrics[m]?.label ?? m}</th><td>{f.metric(m, found.records[0][m] as number)}</td><td><b>{f.metric(m, found.records[1][m] as number)}</b></td><td>{f.change(found.change[1][m])}</td></tr>
                  ))}
                  <tr><th scope="row">fits</th>{found.records.map((r, k) => <td key={k} class={r.fits === false ? "bad" : ""}>{r.fits ? "yes" : "no"}</td>)}<td /></tr>
                  {["prefill", "decode"].map((p) => found.records[0][`${p}_bound`] && <tr key={p}><th scope="row">{p} bound</th>{found.records.map((r, k) => <td key={k}>{r[`${p}_bound`]}</td>)}<td /></tr>)}
                </tbody>
              </table>
            </Card>
          )}
          {found?.problems.map((p, k) => p && <p key={k} class="problem" role="alert">{p}</p>)}
          {told.value && <Formulas told={told.value} />}
        </div>
      </div>
    </>
  );
}

function Knob({ id, label, factor, shown, put }: { id: string; label: string; factor: number; shown: (factor: number) => string; put: (value: string) => void }) {
  const at = FACTORS.reduce((best, v, k) => (Math.abs(Math.log(v / factor)) < Math.abs(Math.log(FACTORS[best] / factor)) ? k : best), 5);
  return (
    <div class="field knob">
      <label for={`k-${id}`}>{label}</label>
      <output for={`k-${id}`}>{shown(factor)} <span class="quiet">×{factor}</span></output>
      <input id={`k-${id}`} type="range" min={0} max={FACTORS.length - 1} value={at} aria-valuetext={`${shown(factor)}, times ${factor}`} onInput={(e) => put(String(FACTORS[Number(e.currentTarget.value)]))} />
    </div>
  );
}

/** The inverse question: what satisfies conditions, and which of them stops it. */
function Solve({ question }: { question: Question }) {
  const [goal, setGoal] = useState("maximize");
  const [find, setFind] = useState("batch");
  const [conditions, setConditions] = useState("tpot <= 20ms, memory <= capacity");
  const [found, setFound] = useState<Solution | null>(null);
  const [said, setSaid] = useState("");
  const run = async (): Promise<void> => {
    setSaid("solving …");
    setFound(null);
    try {
      setFound(await solve(question, find.trim(), goal, conditions.split(",").map((c) => c.trim()).filter(Boolean)));
      setSaid("");
    } catch (error) {
      setSaid(error instanceof Refused ? Problem(error) : String(error));
    }
    revised();
  };
  const shown = (value: unknown): string => (typeof value === "number" ? (find.endsWith("bandwidth") ? f.rate(value, "B/s") : f.plain(value)) : String(value));
  return (
    <Card title="Solve for" name="solve" drawn={false}>
      <form class="solve" onSubmit={(e) => { e.preventDefault(); void run(); }}>
        <label class="hidden" for="goal">Goal</label>
        <select id="goal" value={goal} onChange={(e) => setGoal(e.currentTarget.value)}><option value="maximize">the greatest</option><option value="minimize">the least</option></select>
        <label class="hidden" for="find-what">What is looked for</label>
        <input id="find-what" list="find-list" value={find} onInput={(e) => setFind(e.currentTarget.value)} />
        <datalist id="find-list">{["batch", "prompt", "output", "devices", "hardware.memory.bandwidth", "hardware.memory.capacity", "hardware.peak.matrix.bf16", "quantize.weights"].map((n) => <option key={n} value={n} />)}</datalist>
        <label for="conditions">subject to</label>
        <input id="conditions" class="wide" value={conditions} onInput={(e) => setConditions(e.currentTarget.value)} />
        <button type="submit" class="primary">Solve</button>
      </form>
      <p role="status">{said}</p>
      {found && (
        <>
          <p class="answer" data-solution={String(found.value)}>{found.value === null ? (found.reason ?? "nothing satisfies them") : <><b>{find} = {shown(found.value)}</b> <span class="quiet">{found.binding ? `stopped by ${found.binding}` : "only the range ends it"}; {found.method}</span></>}</p>
          <table class="data"><tbody>{found.constraints.map((c) => <tr key={c.text}><th scope="row">{c.text}</th><td>{c.intervals.map(([a, b]) => (a === b ? shown(a) : `${shown(a)} to ${shown(b)}`)).join(", ") || "never"}</td></tr>)}</tbody></table>
        </>
      )}
    </Card>
  );
}

/** The formula of an operator, its symbols as sliders. */
function Formulas({ told }: { told: Told }) {
  const shape = drawing(told.graph);
  const phases = Object.keys(told.result.phases);
  const [phase, setPhase] = useState(phases[phases.length - 1]);
  const [op, setOp] = useState("");
  const [turned, setTurned] = useState<Symbols>({});
  const name = phases.includes(phase) ? phase : phases[0];
  const rows = told.rows[name];
  const key = rows.find(([k]) => k === op)?.[0] ?? rows[0][0];
  const row = told.result.phases[name].ops[rows.findIndex(([k]) => k === key)];
  const node = shape && Object.values(shape.graphs).flatMap((g) => g.nodes).find((n) => n.row === key);
  const call = shape?.calls.find((c) => c.phase === name);
  const values = call ? bound(call.bind, { ...told.result.scenario, step: Math.max(0, told.result.scenario.output - 2) / 2 }) : {};
  const used = Object.keys(values).filter((s) => Object.values(node?.formulas ?? {}).some((t) => new RegExp(`\\b${s}\\b`).test(t)));
  const now: Symbols = { ...values, ...Object.fromEntries(Object.entries(turned).filter(([s]) => used.includes(s))) };
  const figure = (what: string): number | null => (node?.formulas?.[what] ? evaluate(node.formulas[what], now) : null);
  const [work, moved] = [(figure("matrix_flops") ?? 0) + (figure("vector_flops") ?? 0), figure("bytes")];
  return (
    <Card title="Formula of an operator" name="formula" drawn={false} extra={
      <>
        <label class="hidden" for="f-phase">Phase</label>
        <select id="f-phase" class="inline" value={name} onChange={(e) => { setPhase(e.currentTarget.value); setTurned({}); }}>{phases.map((p) => <option key={p}>{p}</option>)}</select>
        <label class="hidden" for="f-op">Operator</label>
        <select id="f-op" class="inline" value={key} onChange={(e) => { setOp(e.currentTarget.value); setTurned({}); }}>{rows.map(([k], at) => <option key={k} value={k}>{told.result.phases[name].ops[at].name}</option>)}</select>
      </>
    }>
      <table class="formulas"><tbody>
        {Object.entries(node?.formulas ?? {}).map(([what, text]) => <tr key={what}><th scope="row">{what.replace("_", " ")}</th><td><code>{text}</code> <b>= {f.count(Math.round(evaluate(text, now) ?? NaN))}</b></td></tr>)}
        <tr><th scope="row">intensity</th><td>{moved ? `${f.intensity(work / moved)} FLOP/B` : "–"} <span class="quiet">in the scenario {f.intensity(row?.intensity)}</span></td></tr>
      </tbody></table>
      {used.map((s) => {
        const top = Math.max(16, values[s] * 4);
        return (
          <div key={s} class="field knob">
            <label for={`s-${s}`}>{s}</label>
            <output for={`s-${s}`}>{f.plain(now[s])}</output>
            <input id={`s-${s}`} type="range" min={s === "P" ? 0 : 1} max={Math.round(top)} value={Math.round(now[s])} onInput={(e) => setTurned({ ...turned, [s]: Number(e.currentTarget.value) })} />
          </div>
        );
      })}
      {!used.length && <p class="quiet small">Its formula has no symbol.</p>}
    </Card>
  );
}
