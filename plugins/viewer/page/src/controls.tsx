// What is asked: model, hardware, sizes, and techniques whose options come from the passes.

import { useMemo, useRef, useState } from "preact/hooks";
import { Problem } from "./answer";
import { Refused, report, upload } from "./api";
import { parameters } from "./format";
import { memo } from "./memo";
import { parseSpec, printSpec, sizeOf } from "./scenario";
import type { Boot, Held, Question, Technique } from "./types";

export interface Editing {
  boot: Boot;
  question: Question;
  change: (part: Partial<Question>) => void;
}

const BATCHES = Array.from({ length: 12 }, (_, k) => 2 ** k);
const LENGTHS = Array.from({ length: 15 }, (_, k) => 2 ** (k + 6));
const OUTPUTS = Array.from({ length: 16 }, (_, k) => 2 ** k);
const FORMATS = ["fp8", "int8", "int4", "int3", "int2", "mxfp4", "nvfp4"];

export const Controls = memo((editing: Editing) => {
  if (report) return <Holds {...editing} />;
  const { boot, question, change } = editing;
  const single = question.context !== undefined && question.context !== "";
  return (
    <form class="controls" aria-label="Scenario" onSubmit={(e) => e.preventDefault()}>
      <Models {...editing} />
      <Chips {...editing} />
      <fieldset>
        <legend>Workload</legend>
        <div class="segmented" role="group" aria-label="What is run">
          <button type="button" aria-pressed={!single} onClick={() => change({ context: undefined, prompt: question.context ?? 2048, output: 128 })}>Whole request</button>
          <button type="button" aria-pressed={single} onClick={() => change({ context: question.prompt ?? 2048, prompt: undefined, output: undefined })}>One step</button>
        </div>
        <Size label="Batch" name="batch" value={question.batch} other={1} steps={BATCHES} set={(batch) => change({ batch })} />
        {single ? (
          <Size label="Cached tokens" name="context" value={question.context} other={2048} steps={LENGTHS} set={(context) => change({ context })} />
        ) : (
          <>
            <Size label="Prompt" name="prompt" value={question.prompt} other={2048} steps={LENGTHS} set={(prompt) => change({ prompt })} />
            <Size label="Generate" name="output" value={question.output} other={128} steps={OUTPUTS} set={(output) => change({ output })} />
          </>
        )}
      </fieldset>
      <Precision boot={boot} techniques={question.techniques} level={question.level} change={change} />
      <Techniques boot={boot} techniques={question.techniques} change={change} />
      <More {...editing} />
    </form>
  );
});

/** The scenarios of a report, by what they differ in. */
function Holds({ question, change }: Editing) {
  const all = report!.held;
  const label = (h: Held): string => JSON.stringify([h.question.model, h.question.on, h.question.techniques ?? []]);
  const now = label({ question } as Held);
  const { batch, prompt, output, context } = question;
  return (
    <form class="controls" aria-label="Scenario" onSubmit={(e) => e.preventDefault()}>
      <fieldset>
        <legend>Scenarios in this report</legend>
        <div class="choices">
          {all.map((h) => (
            <label key={label(h)} class="choice">
              <input type="radio" name="held" checked={label(h) === now} onChange={() => change({ ...h.question, techniques: h.question.techniques ?? [] })} />
              <span>{h.label}</span>
            </label>
          ))}
        </div>
      </fieldset>
      <dl class="facts">
        <dt>Batch</dt><dd>{batch ?? 1}</dd>
        {context ? <><dt>Cached tokens</dt><dd>{context}</dd></> : <><dt>Prompt</dt><dd>{prompt ?? 2048}</dd><dt>Generate</dt><dd>{output ?? 128}</dd></>}
        {(question.techniques ?? []).map((t) => <><dt>Technique</dt><dd>{t}</dd></>)}
      </dl>
      <p class="quiet small">A report made by mansard {report!.version}; it asks no server. <code>mansard serve</code> answers other questions.</p>
    </form>
  );
}

function Models({ boot, question, change }: Editing) {
  const file = useRef<HTMLInputElement>(null);
  const known = boot.models.some((m) => m.name === question.model);
  const [wanted, want] = useState(false);
  const raw = known ? wanted : question.set?.["graph.raw"] === "true";
  const asWritten = (on: boolean): void => {
    want(on);
    if (!known) change({ set: { ...others(question.set), ...(on ? { "graph.raw": "true" } : {}) } });
  };
  const listed = useMemo(() => boot.models.map((m) => <option key={m.name} value={m.name}>{m.parameters ? `${m.name} · ${parameters(m.parameters)}` : m.name}</option>), [boot]);
  return (
    <div class="field">
      <label for="model">Model</label>
      <select id="model" value={question.model} onChange={(e) => change({ model: e.currentTarget.value, set: others(question.set) })}>
        {!known && <option value={question.model}>{dropped.get(question.model) ?? question.model}</option>}
        {listed}
      </select>
      <button type="button" class="ghost" onClick={() => file.current?.click()}>Drop or choose a config.json or .onnx</button>
      <input ref={file} type="file" hidden accept=".json,.onnx" aria-label="Model file" onChange={(e) => { const chosen = e.currentTarget.files?.[0]; if (chosen) void take(chosen, change, question.set); }} />
      <label class="check small"><input id="raw" type="checkbox" checked={raw} onChange={(e) => asWritten(e.currentTarget.checked)} /> As written, for an .onnx (--raw)</label>
      <p id="upload-said" class="quiet small" role="status" />
    </div>
  );
}

/** Names of files that were dropped, by what the server calls them. */
export const dropped = new Map<string, string>();

/** Overrides without those that say how a file's graph is read. */
function others(set: Question["set"]): Record<string, string> {
  return Object.fromEntries(Object.entries(set ?? {}).filter(([key]) => !key.startsWith("graph.")));
}

export async function take(file: File, change: Editing["change"], set: Question["set"]): Promise<void> {
  const said = document.getElementById("upload-said");
  if (said) said.textContent = `reading ${file.name} …`;
  try {
    const raw = document.getElementById("raw") as HTMLInputElement | null;
    const graph = /\.onnx$/i.test(file.name) && !!raw?.checked;
    const { model, name } = await upload(file, graph);
    dropped.set(model, name);
    if (said) said.textContent = `${name}: kept in the server's memory only`;
    change({ model, set: { ...others(set), ...(graph ? { "graph.raw": "true" } : {}) } });
  } catch (error) {
    if (said) said.textContent = error instanceof Refused ? Problem(error) : String(error);
  }
}

function Chips({ boot, question, change }: Editing) {
  const [name, count = "1"] = question.on.split(":");
  const listed = useMemo(() => {
    const vendors = [...new Set(boot.chips.map((c) => c.vendor || "other"))].sort();
    return vendors.map((vendor) => (
      <optgroup key={vendor} label={vendor}>
        {boot.chips.filter((c) => (c.vendor || "other") === vendor).map((c) => <option key={c.id} value={c.id}>{c.id}</option>)}
      </optgroup>
    ));
  }, [boot]);
  const put = (chip: string, n: string): void => change({ on: n === "1" || n === "" ? chip : `${chip}:${n}` });
  return (
    <div class="field row">
      <div class="grow">
        <label for="hardware">Hardware</label>
        <select id="hardware" value={name} onChange={(e) => put(e.currentTarget.value, count)}>
          {!boot.chips.some((c) => c.id === name) && <option value={name}>{name}</option>}
          {listed}
        </select>
      </div>
      <div class="narrow">
        <label for="devices">Devices</label>
        <input id="devices" inputMode="numeric" value={count} pattern="[0-9]+(x[0-9]+)?" title="8, or 4x8 for four nodes of eight" onChange={(e) => put(name, e.currentTarget.value.trim())} />
      </div>
    </div>
  );
}

/** A slider in powers of two beside a number of any size; one that is emptied is what it is by default. */
export function Size({ label, name, value: given, other, steps, set }: { label: string; name: string; value?: number | string; other: number; steps: number[]; set: (value: number | string) => void }) {
  const value = given ?? other;
  const number = sizeOf(value);
  const rests = useRef(0); // at a text that is no number, the slider stays
  if (Number.isInteger(number) && number > 0) rests.current = steps.reduce((best, s, k) => (Math.abs(Math.log(s / number)) < Math.abs(Math.log(steps[best] / number)) ? k : best), 0);
  return (
    <div class="field size">
      <label for={name}>{label}</label>
      <input class="number" inputMode="numeric" aria-label={`${label}, number`} value={String(value)} onChange={(e) => { const text = e.currentTarget.value.trim(); set(!text ? other : /^\d{1,15}$/.test(text) ? Number(text) : text); }} />
      <input id={name} type="range" min={0} max={steps.length - 1} value={rests.current} aria-valuetext={String(value)} onInput={(e) => set(steps[Number(e.currentTarget.value)])} />
    </div>
  );
}

interface Listed {
  boot: Boot;
  techniques?: string[];
  change: Editing["change"];
}

/** Bits of weights, activations and cache: the options of one quantize pass. */
const Precision = memo(({ boot, techniques, level, change }: Listed & { level?: string }) => {
  const sheet = boot.techniques.find((t) => t.name === "quantize");
  const texts = techniques ?? [];
  const at = texts.findIndex((text) => parseSpec(text)?.name === "quantize");
  const spec = at >= 0 ? parseSpec(texts[at])! : { name: "quantize", options: [] };
  const value = (name: string): string => spec.options.find(([key]) => key === name)?.[1] ?? "";
  const put = (name: string, to: string): void => {
    const options = spec.options.filter(([key]) => key !== name);
    if (to) options.push([name, to]);
    const left = texts.filter((_, k) => k !== at);
    const made = options.length ? [printSpec({ name: "quantize", options })] : [];
    change({ techniques: at >= 0 ? [...texts.slice(0, at), ...made, ...texts.slice(at + 1)] : [...made, ...left] });
  };
  const fused = (level ?? "O1") === "O1" || texts.some((t) => parseSpec(t)?.name === "fuse-attention");
  const fuse = (on: boolean): void => {
    const others = texts.filter((t) => !["fuse-attention", "fuse-elementwise", "merge-qkv"].includes(t));
    change(on ? { level: "O1", techniques: others } : { level: "O0", techniques: [...others, "fuse-elementwise", "merge-qkv"] });
  };
  return (
    <fieldset>
      <legend>Precision and kernels</legend>
      <div class="three">
        {(["weights", "activations", "kv"] as const).map((name) => {
          const choices = sheet?.options.find((o) => o.name === name)?.choices ?? FORMATS;
          const others = choices.filter((c) => !FORMATS.includes(c));
          return (
            <div key={name}>
              <label for={`q-${name}`}>{{ weights: "Weights", activations: "Activations", kv: "KV cache" }[name]}</label>
              <select id={`q-${name}`} value={value(name)} onChange={(e) => put(name, e.currentTarget.value)}>
                <option value="">as is</option>
                {FORMATS.filter((f) => choices.includes(f)).map((f) => <option key={f} value={f}>{f}</option>)}
                <optgroup label="others">{others.map((f) => <option key={f} value={f}>{f}</option>)}</optgroup>
              </select>
            </div>
          );
        })}
      </div>
      <label class="check"><input id="flash" type="checkbox" checked={fused} onChange={(e) => fuse(e.currentTarget.checked)} /> FlashAttention (fuse-attention)</label>
      <label class="check"><input id="level" type="checkbox" checked={(level ?? "O1") === "O0"} onChange={(e) => change({ level: e.currentTarget.checked ? "O0" : "O1" })} /> Graph as written (-O0)</label>
    </fieldset>
  );
});

const Techniques = memo(({ boot, techniques, change }: Listed) => {
  const texts = techniques ?? [];
  const [adding, setAdding] = useState("");
  const put = (list: string[]): void => change({ techniques: list });
  const replace = (k: number, text: string): void => put(texts.map((old, at) => (at === k ? text : old)));
  const swap = (k: number): void => {
    const list = [...texts];
    [list[k - 1], list[k]] = [list[k], list[k - 1]];
    put(list);
  };
  const names = boot.techniques.map((t) => t.name);
  return (
    <fieldset class="techniques">
      <legend>Techniques, in order</legend>
      {texts.length === 0 && <p class="quiet small">None beside those of the level.</p>}
      <ol>
        {texts.map((text, k) => (
          <li key={`${k}:${parseSpec(text)?.name ?? text}`}>
            <TechniqueForm text={text} sheets={boot.techniques} at={k} put={(to) => replace(k, to)} />
            <span class="moves">
              <button type="button" class="icon" disabled={k === 0} aria-label={`Move ${text} up`} onClick={() => swap(k)}>↑</button>
              <button type="button" class="icon" aria-label={`Remove ${text}`} onClick={() => put(texts.filter((_, at) => at !== k))}>×</button>
            </span>
          </li>
        ))}
      </ol>
      <label for="add-technique" class="hidden">Add a technique</label>
      <div class="field row">
        <select id="add-technique" class="grow" value={adding} onChange={(e) => setAdding(e.currentTarget.value)}>
          <option value="">Add a technique …</option>
          {names.map((name) => <option key={name} value={name}>{name}</option>)}
        </select>
        <button type="button" id="add" class="tool" aria-disabled={!adding} onClick={() => { if (adding) put([...texts, adding]); setAdding(""); }}>Add</button>
      </div>
    </fieldset>
  );
});

function TechniqueForm({ text, sheets, at, put }: { text: string; sheets: Technique[]; at: number; put: (text: string) => void }) {
  const spec = parseSpec(text);
  const sheet = spec && sheets.find((t) => t.name === spec.name);
  if (!spec || !sheet) {
    return (
      <div class="grow">
        <input class="wide" aria-label={`Technique ${at + 1} as text`} value={text} onChange={(e) => put(e.currentTarget.value)} />
      </div>
    );
  }
  const value = (name: string): string => spec.options.find(([key]) => key === name)?.[1] ?? "";
  const set = (name: string, to: string): void => put(printSpec({ name: spec.name, options: [...spec.options.filter(([key]) => key !== name), [name, to.includes(" ") && !to.startsWith("[") ? `"${to}"` : to]] }));
  const given = spec.options.map(([key, v]) => `${key}=${v}`).join(" ");
  return (
    <details class="grow" open={!given && sheet.options.some((o) => o.default === null)}>
      <summary title={sheet.summary}><b>{spec.name}</b> <span class="quiet">{given}</span></summary>
      <p class="quiet small">{sheet.summary.replaceAll("``", "")}{sheet.source && ` [${sheet.source.replace(/^\[|\]$/g, "")}]`}</p>
      <div class="options">
        {sheet.options.map((option) => {
          const id = `t${at}-${option.name}`;
          const empty = option.default === null ? "must be given" : option.default === '""' || option.default === "" ? "not set" : `${option.default} (default)`;
          const choices = option.choices.length ? option.choices : option.type === "true or false" ? ["true", "false"] : [];
          return (
            <div key={option.name} class="option">
              <label for={id} title={option.help}>{option.name}</label>
              {choices.length ? (
                <select id={id} value={value(option.name)} onChange={(e) => set(option.name, e.currentTarget.value)}>
                  <option value="">{empty}</option>
                  {choices.map((c) => <option key={c} value={c}>{c}</option>)}
                </select>
              ) : (
                <input id={id} value={value(option.name)} placeholder={empty} onChange={(e) => set(option.name, e.currentTarget.value.trim())} />
              )}
              <span class="help">{option.help}</span>
            </div>
          );
        })}
      </div>
    </details>
  );
}

function More({ question, change }: Editing) {
  const set = Object.entries(question.set ?? {});
  const put = (text: string): void => {
    const lines = text.split("\n").map((line) => line.trim()).filter((line) => line.includes("="));
    change({ set: Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf("=")).trim(), line.slice(line.indexOf("=") + 1).trim()])) });
  };
  return (
    <details class="more" open={set.length > 0 || !!question.price || question.estimate === "calibrated"}>
      <summary>Estimate, price, overrides</summary>
      <div class="field">
        <label for="estimate">Estimate</label>
        <select id="estimate" value={question.estimate ?? "ideal"} onChange={(e) => change({ estimate: e.currentTarget.value })}>
          <option value="ideal">ideal: the roofline bound</option>
          <option value="calibrated">calibrated: with its band</option>
        </select>
      </div>
      <div class="field">
        <label for="price">Price of a device and hour, $</label>
        <input id="price" inputMode="decimal" value={question.price ?? ""} placeholder="2.50" onChange={(e) => change({ price: e.currentTarget.value.trim() })} />
      </div>
      <div class="field">
        <label for="set">Overrides, one KEY=VALUE a line</label>
        <textarea id="set" rows={3} spellcheck={false} placeholder={"hardware.memory.bandwidth=4TB/s\nmodel.num_hidden_layers=40\nnetwork=ib-ndr400"} value={set.map(([k, v]) => `${k}=${v}`).join("\n")} onChange={(e) => put(e.currentTarget.value)} />
      </div>
    </details>
  );
}
