// Scenarios side by side: the first is what the others are compared with.

import { useState } from "preact/hooks";
import { Problem, type Tell, useAnswer, useTold } from "./answer";
import { compare, report } from "./api";
import { Card } from "./card";
import { Legend, Stack, tone } from "./charts";
import * as f from "./format";
import { memoryParts } from "./explore";
import type { Cell } from "./saving";
import { options, quoted } from "./scenario";
import { Stale } from "./stale";
import type { Boot, Compared, Question } from "./types";

const FIRST = "on=h200-sxm|on=mi300x|t=quantize{weights=int4}";
const SHOWN = ["ttft_s", "tpot_s", "latency_s", "throughput_tok_s", "tokens_per_s_per_user", "memory", "weights", "kv_cache", "energy_j", "cost_per_mtok"];

/** `with` holds what each further column changes, one `on=…;t=…;model=…` a column. */
function columns(question: Question, text: string): Question[] {
  const more = text.split("|").filter(Boolean).map((column) => {
    const made: Question = { ...question, techniques: [...(question.techniques ?? [])] };
    for (const part of column.split("~")) {
      const [key, value] = [part.slice(0, part.indexOf("=")), part.slice(part.indexOf("=") + 1)];
      if (key === "on" || key === "model") made[key] = value;
      else if (key === "t") made.techniques = value === "none" ? [] : [...made.techniques!, value];
      else if (["batch", "prompt", "output"].includes(key)) Object.assign(made, { [key]: value });
    }
    return made;
  });
  return [question, ...more];
}

/** The command that answers these columns, and the combinations of what they change. */
export function compareCommand(question: Question, text = FIRST): string {
  const all = report ? report.held.map((h) => h.question) : columns(question, text);
  const each = (of: (q: Question) => string): string[] => [...new Set(all.map(of))];
  const pipelines = each((q) => (q.techniques ?? []).slice(question.techniques?.length ?? 0).join(","));
  const vs = pipelines.length > 1 ? pipelines.map((p) => ` --vs ${quoted(p || "none")}`).join("") : "";
  return `mansard compare ${options({ ...question, model: each((q) => q.model).join(","), on: each((q) => q.on).join(",") })}${vs}`;
}

export function heldComparison(): Compared {
  const held = report!.held;
  const figures = held.map(({ told }) => ({ ...told.result.metrics, ...told.result.memory, prefill_s: told.result.phases.prefill?.time_s ?? null, decode_s: told.result.phases.decode?.time_s ?? null }) as unknown as Record<string, number | null>);
  const names = Object.keys(report!.boot.metrics);
  const value = (k: number, name: string): number | null => (name === "memory" ? held[k].told.result.memory.total : (figures[k][name] ?? null));
  const best: Compared["best"] = {};
  for (const name of names) {
    const better = report!.boot.metrics[name].better;
    const all = held.map((h, k) => (h.told.result.memory.fits === false ? null : value(k, name))).filter((v): v is number => v !== null);
    const top = better === "higher" ? Math.max(...all) : Math.min(...all);
    best[name] = held.map((h, k) => better !== "" && new Set(all).size > 1 && h.told.result.memory.fits !== false && value(k, name) === top);
  }
  return {
    records: held.map((h, k) => ({ model: h.told.result.model.name, on: h.question.on, techniques: (h.question.techniques ?? []).join(","), ...Object.fromEntries(names.map((n) => [n, value(k, n)])), fits: h.told.result.memory.fits, prefill_bound: h.told.result.phases.prefill?.bound ?? null, decode_bound: h.told.result.phases.decode?.bound ?? null })),
    problems: held.map(() => null),
    best,
    change: held.map((_, k) => Object.fromEntries(names.map((n) => [n, k && value(0, n) && value(k, n) !== null ? value(k, n)! / value(0, n)! - 1 : null]))),
    phases: held.map((h) => Object.fromEntries(Object.entries(h.told.result.phases).map(([n, p]) => [n, p.time_by_resource_s]))),
    memory: held.map((h) => h.told.result.memory),
    decodes_several: held.map((h) => h.told.decodes_several),
  };
}

export function Compare({ boot, question, rest, look, tell }: { boot: Boot; question: Question; rest: Record<string, string>; look: (part: Record<string, string>) => void; tell: Tell }) {
  const text = rest.with ?? FIRST;
  const asked = report ? [] : columns(question, text);
  const answer = useAnswer<Question[], Compared>(asked, (questions) => (report ? Promise.resolve(heldComparison()) : compare(questions)));
  const found = answer.value;
  useTold(Problem(answer.error) || failing(answer.asked ?? [], found), tell);
  return (
    <>
      <header class="page-head">
        <h1>Compare</h1>
        <p class="quiet">The first column is the scenario on the left; changes are against it. ★ is the best that fits.</p>
      </header>
      {!report && <Columns boot={boot} text={text} look={look} />}
      <Stale error={answer.error} of={() => answer.asked && answer.asked.map((q) => options(q)).join("; ")}>{found && <Sheet found={found} />}</Stale>
    </>
  );
}

/** What makes the command fail: a model, hardware or size; it goes on without a technique that cannot be applied. */
function failing(asked: Question[], found: Compared | null): string {
  const same = (a: Question, b: Question): boolean => a.model === b.model && a.on === b.on;
  const answered = asked.filter((_, k) => !found?.problems[k]);
  return found?.problems.find((p, k) => p && asked[k] && !answered.some((q) => same(q, asked[k]))) ?? "";
}

function Columns({ boot, text, look }: { boot: Boot; text: string; look: (part: Record<string, string>) => void }) {
  const parts = text.split("|").filter(Boolean);
  const [kind, setKind] = useState("on");
  const [value, setValue] = useState("");
  const put = (list: string[]): void => look({ with: list.join("|") || " " });
  const choices = kind === "on" ? boot.chips.map((c) => c.id) : kind === "model" ? boot.models.map((m) => m.name) : kind === "t" ? boot.techniques.map((t) => t.name) : [];
  return (
    <form class="bar-form" onSubmit={(e) => { e.preventDefault(); if (value.trim()) put([...parts, `${kind}=${value.trim()}`]); setValue(""); }}>
      <ul class="chips" aria-label="Columns">
        {parts.filter((p) => p.trim()).map((part, k) => (
          <li key={part}><span>{part.replace(/^t=/, "+ ").replace(/^on=/, "on ").replace("~", ", ")}</span><button type="button" class="icon" aria-label={`Remove ${part}`} onClick={() => put(parts.filter((_, at) => at !== k))}>×</button></li>
        ))}
      </ul>
      <label class="hidden" for="column-kind">What the column changes</label>
      <select id="column-kind" value={kind} onChange={(e) => setKind(e.currentTarget.value)}>
        <option value="on">on hardware</option><option value="model">model</option><option value="t">with technique</option><option value="batch">batch</option><option value="prompt">prompt</option>
      </select>
      <label class="hidden" for="column-value">Its value</label>
      <input id="column-value" list="column-choices" value={value} placeholder={kind === "on" ? "h200-sxm:2" : kind === "t" ? "quantize{weights=fp8}" : kind === "model" ? "qwen3-8b" : "64"} onInput={(e) => setValue(e.currentTarget.value)} />
      <datalist id="column-choices">{choices.map((c) => <option key={c} value={c} />)}</datalist>
      <button type="submit" class="primary">Add column</button>
    </form>
  );
}

function Sheet({ found }: { found: Compared }) {
  const metrics = SHOWN.filter((name) => found.records.some((r) => r[name] != null));
  const labels: Record<string, string> = { ttft_s: "TTFT", tpot_s: "TPOT", latency_s: "latency", throughput_tok_s: "throughput", tokens_per_s_per_user: "per user", memory: "memory", weights: "weights", kv_cache: "KV cache", energy_j: "energy", cost_per_mtok: "$ per M tokens" };
  const raw = { columns: ["model", "on", "techniques", ...metrics, "fits"], rows: found.records.map((r) => ["model", "on", "techniques", ...metrics, "fits"].map((n) => r[n] as Cell)) };
  return (
    <>
      <Card title="Metrics" name="compare" drawn={false} twin={false} table={() => ({ columns: [], rows: [], raw })}>
        <div class="scroll" role="region" aria-label="Metrics, table" tabIndex={0}>
          <table class="data compare">
            <thead>
              <tr>
                <th scope="col">metric</th>
                {found.records.map((r, k) => (
                  <th key={k} scope="col">
                    <b>{r.model}</b><span>on {r.on}</span>{r.techniques && <code>{r.techniques}</code>}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {metrics.map((name) => (
                <tr key={name}>
                  <th scope="row">{labels[name] ?? name}</th>
                  {found.records.map((r, k) => {
                    const by = found.change[k]?.[name];
                    const top = found.best[name]?.[k];
                    return (
                      <td key={k} class={top ? "top" : ""} data-metric={name} data-value={r[name] as number}>
                        {top && <span aria-label="best">★ </span>}{f.metric(name, r[name] as number | null, String(r.makes ?? "tokens"))} {by != null && <span class="quiet delta">{f.change(by)}</span>}
                      </td>
                    );
                  })}
                </tr>
              ))}
              <tr><th scope="row">fits</th>{found.records.map((r, k) => <td key={k} class={r.fits === false ? "bad" : ""}>{found.problems[k] ? "–" : r.fits === null ? "unknown" : r.fits ? "yes" : "no"}</td>)}</tr>
              {["prefill", "decode"].map((phase) => found.records.some((r) => r[`${phase}_bound`]) && (
                <tr key={phase}><th scope="row">{phase} bound</th>{found.records.map((r, k) => <td key={k}>{r[`${phase}_bound`] ? <span class={`bound ${tone(String(r[`${phase}_bound`]))}`}><i aria-hidden="true" />{r[`${phase}_bound`]}</span> : "–"}</td>)}</tr>
              ))}
            </tbody>
          </table>
        </div>
        {found.problems.map((problem, k) => problem && <p key={k} class="problem">column {k + 1}: {f.onPage(problem)}</p>)}
      </Card>
      <div class="pair">
        {["prefill", "decode"].map((phase) => <Side key={phase} found={found} phase={phase} />)}
      </div>
      <MemorySide found={found} />
    </>
  );
}

const title = (r: Record<string, unknown>): string => `${String(r.model)} on ${String(r.on)}${r.techniques ? ` + ${String(r.techniques)}` : ""}`;

function Side({ found, phase }: { found: Compared; phase: string }) {
  const rows = found.records.map((r, k) => ({ r, parts: Object.entries(found.phases[k]?.[phase] ?? {}) as unknown as [string, number][] })).filter(({ parts }) => parts.length);
  const total = (parts: [string, number][]): number => parts.reduce((s, [, t]) => s + t, 0);
  const most = Math.max(...rows.map(({ parts }) => total(parts)), 1e-30);
  if (!rows.length) return null;
  const bounds = [...new Set(rows.flatMap(({ parts }) => parts.map(([n]) => n)))];
  return (
    <Card title={`${phase !== "decode" ? "Prefill" : found.decodes_several.some(Boolean) ? "A decoded token" : "A decode step"}, by what bounds it`} name={`compare-${phase}`} drawn={false} table={() => ({ columns: ["scenario", ...bounds, "total"], rows: rows.map(({ r, parts }, k) => ({ key: String(k), cells: [title(r), ...bounds.map((b) => f.time(parts.find(([n]) => n === b)?.[1] ?? 0)), f.time(total(parts))] })), raw: { columns: ["scenario", ...bounds], rows: rows.map(({ r, parts }) => [title(r), ...bounds.map((b) => parts.find(([n]) => n === b)?.[1] ?? 0)]) } })}>
      {rows.map(({ r, parts }, k) => (
        <div key={k} class="stacked">
          <span class="stack-name">{title(r)}</span><span class="num">{f.time(total(parts))}</span>
          <Stack label={title(r)} most={most} parts={parts.map(([name, value]) => ({ name, value, tone: tone(name), text: f.time(value) }))} />
        </div>
      ))}
      <Legend parts={bounds.map((b) => ({ name: b, value: 0, tone: tone(b), text: "" }))} />
    </Card>
  );
}

function MemorySide({ found }: { found: Compared }) {
  const rows = found.records.map((r, k) => ({ r, memory: found.memory[k] })).filter(({ memory }) => memory);
  const most = Math.max(...rows.map(({ memory }) => Math.max(memory!.capacity ?? 0, memory!.total)), 1);
  if (!rows.length) return null;
  return (
    <Card title="Memory of a device" name="compare-memory" drawn={false} table={() => ({ columns: ["scenario", "weights", "KV cache", "activations", "total", "capacity"], rows: rows.map(({ r, memory }, k) => ({ key: String(k), cells: [title(r), f.bytes(memory!.weights), f.bytes(memory!.kv_cache), f.bytes(memory!.activations), f.bytes(memory!.total), f.bytes(memory!.capacity)] })), raw: { columns: ["scenario", "weights", "kv_cache", "activations", "overhead", "total", "capacity"], rows: rows.map(({ r, memory }) => [title(r), memory!.weights, memory!.kv_cache, memory!.activations, memory!.overhead, memory!.total, memory!.capacity]) } })}>
      {rows.map(({ r, memory }, k) => (
        <div key={k} class="stacked">
          <span class="stack-name">{title(r)}</span><span class={`num ${memory!.fits === false ? "bad" : ""}`}>{f.bytes(memory!.total)} of {f.bytes(memory!.capacity)}</span>
          <Stack label={title(r)} most={most} parts={memoryParts(memory!)} marker={memory!.capacity ? { value: memory!.capacity, text: `capacity ${f.bytes(memory!.capacity)}` } : undefined} />
        </div>
      ))}
      <Legend parts={memoryParts(rows[0].memory!).map((p) => ({ ...p, text: "" }))} />
    </Card>
  );
}
