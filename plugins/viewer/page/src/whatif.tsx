// What would be otherwise: sliders over the hardware and the sizes, formulas, and solving for one.

import { useState } from "preact/hooks";
import { Problem, revised, type Tell, useAnswer, useTold } from "./answer";
import { analyze, compare, drawing, Refused, solve } from "./api";
import { Card } from "./card";
import { bound, evaluate, type Symbols } from "./expression";
import * as f from "./format";
import { options, sizeOf } from "./scenario";
import { Stale } from "./stale";
import type { Boot, Chip, Compared, Question, Solution, Told } from "./types";

const [STEPS, MOST] = [40, 4]; // of a slider to each side, from a quarter to four times: 3.5 % a step
const [LEAST, GREATEST] = [0.001, 1000]; // factors that an address may ask for
const KNOBS: [key: string, label: string, of: (chip: Chip) => number | null, path: string, unit: string][] = [
  ["bw", "Memory bandwidth", (c) => c.bandwidth, "hardware.memory.bandwidth", "B/s"],
  ["pk", "bf16 peak", (c) => c.bf16, "hardware.peak.matrix.bf16", "FLOPS"],
  ["cap", "Memory capacity", (c) => c.memory, "hardware.memory.capacity", "B"],
  ["ln", "Link bandwidth", (c) => c.link, "hardware.link.per_direction", "B/s"],
];
const METRICS = ["ttft_s", "tpot_s", "latency_s", "throughput_tok_s", "memory"];

/** The factor an address has for a slider; null where it has none that can be meant. */
function asked(rest: Record<string, string>, key: string): number | null {
  const factor = Number(rest[key] || 1);
  return factor >= LEAST && factor <= GREATEST ? factor : null;
}

const SIZES: [string, string][] = [["fb", "Batch"], ["fp", "Prompt"]];
const TURNED = [...KNOBS.map(([key, label]) => [key, label]), ...SIZES];

/** What is turned, in words. */
function words(rest: Record<string, string>): string {
  const turns = TURNED.map(([key, label]) => [label[0].toLowerCase() + label.slice(1), asked(rest, key) ?? 1] as const).filter(([, factor]) => factor !== 1);
  return turns.length ? ` with ${turns.map(([label, factor]) => `${label} ×${factor}`).join(", ")}` : "";
}

/** The scenario with its hardware and sizes turned as the sliders are. */
export function turned(boot: Boot, question: Question, rest: Record<string, string>): Question {
  const chip = boot.chips.find((c) => c.id === question.on.split(":")[0]);
  const set: Record<string, string> = { ...(question.set ?? {}) };
  for (const [key, , of, path, unit] of KNOBS) {
    const value = chip && of(chip);
    const factor = asked(rest, key) ?? 1;
    if (value && factor !== 1) set[path] = `${Math.round((value * factor) / 1e6)}M${unit}`;
  }
  const sizes: Partial<Question> = {};
  if (rest.fb) sizes.batch = scale(question.batch, 1, asked(rest, "fb") ?? 1);
  if (rest.fp && !question.context) sizes.prompt = scale(question.prompt, 2048, asked(rest, "fp") ?? 1);
  return { ...question, ...sizes, ...(Object.keys(set).length ? { set } : {}) };
}

/** A size by a factor; a text that is no number stays what it is, and is refused for it. */
function scale(value: number | string | undefined, other: number, factor: number): number | string {
  const number = sizeOf(value ?? other);
  return number > 0 ? Math.max(1, Math.round(number * factor)) : (value ?? other);
}

export function WhatIf({ boot, question, rest, look, tell }: { boot: Boot; question: Question; rest: Record<string, string>; look: (part: Record<string, string>) => void; tell: Tell }) {
  const chip = boot.chips.find((c) => c.id === question.on.split(":")[0]);
  const other = turned(boot, question, rest);
  const answer = useAnswer<Question[], Compared>([question, other], compare);
  const told = useAnswer<Question, Told>(other, analyze);
  const found = answer.value;
  const refused = found?.problems.find(Boolean);
  const error = answer.error ?? told.error ?? (refused ? new Refused(refused, null) : null);
  const wrong = TURNED.filter(([key]) => asked(rest, key) === null).map(([key, label]) => `${key}=${rest[key]} in the address is no factor from ${LEAST} to ${GREATEST}: ${label} is left as it is`);
  useTold(Problem(error), tell);
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
              return value ? <Knob key={key} id={key} label={label} factor={asked(rest, key) ?? 1} shown={(k) => f.rate(value * k, unit === "FLOPS" ? "FLOP/s" : unit)} put={(v) => look({ [key]: v })} /> : null;
            })}
            <Knob id="fb" label="Batch" factor={asked(rest, "fb") ?? 1} shown={(k) => scale(question.batch, 1, k).toLocaleString("en")} put={(v) => look({ fb: v })} />
            {!question.context && <Knob id="fp" label="Prompt" factor={asked(rest, "fp") ?? 1} shown={(k) => scale(question.prompt, 2048, k).toLocaleString("en")} put={(v) => look({ fp: v })} />}
          </Card>
          <Solve question={other} on={`${other.on}${words(rest)}`} />
        </div>
        <div class="column">
          {wrong.map((text) => <p key={text} class="problem" role="alert">{text}</p>)}
          <Stale error={error} of={() => told.asked && options(told.asked)}>
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
          {told.value && <Formulas told={told.value} />}
          </Stale>
        </div>
      </div>
    </>
  );
}

function Knob({ id, label, factor, shown, put }: { id: string; label: string; factor: number; shown: (factor: number) => string; put: (value: string) => void }) {
  const at = Math.round((STEPS * Math.log(factor)) / Math.log(MOST));
  return (
    <div class="field knob">
      <label for={`k-${id}`}>{label}</label>
      <output for={`k-${id}`}>{shown(factor)} <span class="quiet">×{factor}</span></output>
      <input id={`k-${id}`} type="range" min={-STEPS} max={STEPS} value={at} aria-valuetext={`${shown(factor)}, times ${factor}`} onInput={(e) => put(String(Number((MOST ** (Number(e.currentTarget.value) / STEPS)).toPrecision(3))))} />
    </div>
  );
}

/** The inverse question: what satisfies conditions, and which of them stops it. */
function Solve({ question, on }: { question: Question; on: string }) {
  const [goal, setGoal] = useState("maximize");
  const [find, setFind] = useState("batch");
  const [conditions, setConditions] = useState("tpot <= 20ms, memory <= capacity");
  const [found, setFound] = useState<{ solution: Solution; find: string; on: string; of: string } | null>(null);
  const of = JSON.stringify(question);
  const [said, setSaid] = useState("");
  const run = async (): Promise<void> => {
    setSaid("solving …");
    setFound(null);
    try {
      const solution = await solve(question, find.trim(), goal, conditions.split(",").map((c) => c.trim()).filter(Boolean));
      setFound({ solution, find: find.trim(), on, of });
      setSaid("");
    } catch (error) {
      setSaid(error instanceof Refused ? Problem(error) : String(error));
    }
    revised();
  };
  const shown = (value: unknown): string => (typeof value === "number" ? (found?.find.endsWith("bandwidth") ? f.rate(value, "B/s") : f.plain(value)) : String(value));
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
      <p class="quiet small">on {on}</p>
      <p role="status">{said}{found && found.of !== of && "The scenario has changed since: solve again."}</p>
      {found && (
        <div class={found.of === of ? "kept" : "kept stale"}>
          <p class="answer" data-solution={String(found.solution.value)}>{found.solution.value === null ? (found.solution.reason ?? "nothing satisfies them") : <><b>{found.find} = {shown(found.solution.value)}</b> <span class="quiet">on {found.on}: {found.solution.binding ? `stopped by ${found.solution.binding}` : "only the range ends it"}; {found.solution.method}</span></>}</p>
          <table class="data"><tbody>{found.solution.constraints.map((c) => <tr key={c.text}><th scope="row">{c.text}</th><td>{c.intervals.map(([a, b]) => (a === b ? shown(a) : `${shown(a)} to ${shown(b)}`)).join(", ") || "never"}</td></tr>)}</tbody></table>
        </div>
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
  const { lengths: _, ...sizes } = told.result.scenario;
  const values = call ? bound(call.bind, { ...sizes, step: Math.max(0, told.result.scenario.output - 2) / 2 }) : {};
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
