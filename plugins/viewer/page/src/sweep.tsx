// Every combination of some axes: a heat map of two, and the points that no other beats.

import { useState } from "preact/hooks";
import { Problem, type Tell, useAnswer, useTold } from "./answer";
import { sweep } from "./api";
import { Card, type Table } from "./card";
import { HeatMap, Legend, type Part, type Point, Scatter } from "./charts";
import * as f from "./format";
import type { Cell } from "./saving";
import { options, quoted } from "./scenario";
import { Stale } from "./stale";
import type { Boot, Question, Swept } from "./types";

const CHOICES = ["throughput_tok_s", "tpot_s", "ttft_s", "latency_s", "tokens_per_s_per_user", "memory", "energy_j", "cost_per_mtok"];

/** What a sweep varies, as the address has it. */
export function axesOf(rest: Record<string, string>): Record<string, string> {
  const [xName, yName] = [rest.xn ?? "batch", rest.yn ?? "prompt"];
  return { ...(yName ? { [yName]: rest.yv ?? "512..32kx2" } : {}), [xName]: rest.xv ?? "1..512x2" };
}

/** The scenario without the sizes that vary. */
export function fixed(question: Question, rest: Record<string, string>): Question {
  const asked: Question = { ...question };
  for (const name of Object.keys(axesOf(rest))) if (["batch", "prompt", "output", "context"].includes(name)) delete asked[name as "batch"];
  return asked;
}

export function sweepOptions(rest: Record<string, string>): string {
  return varied(axesOf(rest));
}

function varied(axes: Record<string, string>): string {
  return Object.entries(axes).map(([name, values]) => `--vary ${quoted(`${name}=${values}`)}`).join(" ");
}

export function Sweep({ boot, question, rest, look, go, tell }: { boot: Boot; question: Question; rest: Record<string, string>; look: (part: Record<string, string>) => void; go: (page: string, part: Partial<Question>) => void; tell: Tell }) {
  const metric = rest.metric ?? "throughput_tok_s";
  const against = rest.against ?? "tpot_s";
  const axes = axesOf(rest);
  const pareto = [metric, against].map((m) => boot.metrics[m]?.name ?? m);
  const asked = fixed(question, rest);
  const answer = useAnswer<[Question, Record<string, string>, string[]], Swept>([asked, axes, pareto], ([q, a, p]) => sweep(q, a, p));
  const found = answer.value;
  useTold(Problem(answer.error), tell);
  return (
    <>
      <header class="page-head">
        <h1>Sweep</h1>
        <p class="quiet">Every combination of two axes. Struck cells do not fit the memory. Choose a cell to open it.</p>
      </header>
      <form class="bar-form" onSubmit={(e) => e.preventDefault()}>
        <Axis label="Across" name={rest.xn ?? "batch"} values={rest.xv ?? "1..512x2"} put={(n, v) => look({ xn: n, xv: v })} id="x" />
        <Axis label="Down" name={rest.yn ?? "prompt"} values={rest.yv ?? "512..32kx2"} put={(n, v) => look({ yn: n, yv: v })} id="y" />
        <Choice id="metric" label="Shown" value={metric} boot={boot} put={(v) => look({ metric: v })} />
        <Choice id="against" label="against" value={against} boot={boot} put={(v) => look({ against: v })} />
      </form>
      <Stale error={answer.error} of={() => answer.asked && `${options(answer.asked[0])} ${varied(answer.asked[1])}`}>
        {found && <Found found={found} boot={boot} metric={metric} against={against} go={go} />}
      </Stale>
    </>
  );
}

const KNOWN = ["batch", "prompt", "output", "on", "model", "quantize.weights", "quantize.kv", "hardware.memory.bandwidth"];

function Axis({ label, name, values, put, id }: { label: string; name: string; values: string; put: (name: string, values: string) => void; id: string }) {
  const defaults: Record<string, string> = { batch: "1..512x2", prompt: "512..32kx2", output: "64..2kx2", on: "l40s,a100-sxm-80gb,h100-sxm,h200-sxm,mi300x,b200-sxm", model: "qwen2.5-0.5b,llama-3.2-3b,llama-3.1-8b", "quantize.weights": "bf16,fp8,int4", "quantize.kv": "bf16,fp8,int4", "hardware.memory.bandwidth": "1TB/s,2TB/s,4TB/s,8TB/s" };
  return (
    <span class="axis-form">
      <label for={`${id}n`}>{label}</label>
      <input id={`${id}n`} list={`${id}-names`} value={name} onChange={(e) => { const n = e.currentTarget.value.trim(); put(n, defaults[n] ?? values); }} />
      <datalist id={`${id}-names`}>{KNOWN.map((n) => <option key={n} value={n} />)}</datalist>
      <label class="hidden" for={`${id}v`}>{label}, values</label>
      <input id={`${id}v`} class="wide" value={values} onChange={(e) => put(name, e.currentTarget.value.trim())} />
    </span>
  );
}

function Choice({ id, label, value, boot, put }: { id: string; label: string; value: string; boot: Boot; put: (value: string) => void }) {
  return (
    <span class="axis-form">
      <label for={id}>{label}</label>
      <select id={id} value={value} onChange={(e) => put(e.currentTarget.value)}>{CHOICES.map((m) => <option key={m} value={m}>{boot.metrics[m]?.label ?? m}</option>)}</select>
    </span>
  );
}

function Found({ found, boot, metric, against, go }: { found: Swept; boot: Boot; metric: string; against: string; go: (page: string, part: Partial<Question>) => void }) {
  const [chosen, setChosen] = useState("");
  const names = Object.keys(found.axes);
  const [yName, xName] = names.length > 1 ? [names[0], names[1]] : ["", names[0]];
  const [xs, ys] = [found.axes[xName], yName ? found.axes[yName] : [""]];
  const columns = found.columns;
  const total = columns[metric]?.length ?? 0;
  const label = (name: string): string => boot.metrics[name]?.label ?? name;
  const index = new Map<string, number>();
  for (let k = 0; k < total; k += 1) index.set(`${xs.indexOf(columns[xName][k] as never)},${yName ? ys.indexOf(columns[yName][k] as never) : 0}`, k);
  const at = (i: number, j: number): number | undefined => index.get(`${i},${j}`);
  const values = ys.map((_, j) => xs.map((_, i) => { const k = at(i, j); return k === undefined ? null : (columns[metric][k] as number | null); }));
  const fits = ys.map((_, j) => xs.map((_, i) => { const k = at(i, j); return k === undefined || columns.fits?.[k] !== false; }));
  const front = new Set(found.front);
  const points: Point[] = [];
  for (let k = 0; k < total; k += 1) {
    const [x, y] = [columns[against]?.[k] as number | null, columns[metric]?.[k] as number | null];
    if (!x || !y) continue;
    points.push({ key: String(k), x, y, front: front.has(k), fits: columns.fits?.[k] !== false, text: `${names.map((n) => `${n} ${columns[n][k]}`).join(", ")}: ${label(metric)} ${f.metric(metric, y)}, ${label(against)} ${f.metric(against, x)}${columns.fits?.[k] === false ? ", does not fit" : ""}` });
  }
  const open = (k: number): void => {
    const part: Partial<Question> = {};
    for (const name of names) if (["batch", "prompt", "output", "on", "model"].includes(name)) Object.assign(part, { [name]: columns[name][k] });
    go("explore", part);
  };
  const fields = Object.keys(columns);
  const raw = (): Table["raw"] => ({ columns: fields, rows: Array.from({ length: total }, (_, k) => fields.map((n) => columns[n][k] as Cell)) });
  const shownFields = [...names, "ttft_s", "tpot_s", "throughput_tok_s", "memory", "fits"];
  const table = (only?: Set<number>): Table => ({
    columns: shownFields.map((n) => boot.metrics[n]?.label ?? n),
    rows: Array.from({ length: total }, (_, k) => k).filter((k) => !only || only.has(k)).slice(0, 400).map((k) => ({ key: String(k), cells: shownFields.map((n) => (names.includes(n) || n === "fits" ? String(columns[n]?.[k]) : f.metric(n, columns[n]?.[k] as number | null))) })),
    raw: raw(),
    choose: (key) => open(Number(key)),
  });
  return (
    <>
      {found.notes.length > 0 && <p class="quiet small">{found.notes.map((n) => n.message).slice(0, 4).join("; ")}</p>}
      <Card title={`${label(metric)} by ${yName ? `${yName} and ${xName}` : xName}`} name="sweep" note={`${total.toLocaleString("en")} points`} table={table}>
        <div class="scroll" tabIndex={0} role="region" aria-label="Heat map, scrolls">
          <HeatMap xs={xs} ys={ys} values={values} fits={fits} labels={[xName, yName || metric]} shown={(v) => f.metric(metric, v)} chosen={chosen} choose={(i, j) => { setChosen(`${i},${j}`); const k = at(i, j); if (k !== undefined) open(k); }} />
        </div>
      </Card>
      <Card title={`${label(metric)} against ${label(against)}`} name="pareto" note={`${front.size} points that no other beats`} table={() => table(front)}>
        <Scatter points={points} labels={[label(against), label(metric)]} shown={[(v) => f.metric(against, v), (v) => f.metric(metric, v)]} chosen={chosen} choose={(key) => open(Number(key))} />
        <Legend parts={MARKS} />
      </Card>
    </>
  );
}

const MARKS: Part[] = [["b-compute", "no other is better in both"], ["b-memory", "fits"], ["b-none", "does not fit"]].map(([tone, name]) => ({ name, tone, value: 0, text: "" }));
