// The chips, their figures, and where each was read.

import { useState } from "preact/hooks";
import { Problem, type Tell, useAnswer, useTold } from "./answer";
import { chip } from "./api";
import { Card } from "./card";
import * as f from "./format";
import { Stale } from "./stale";
import type { Boot, Chip, ChipSheet, Question } from "./types";

const CHECKED: Record<string, string> = { V: "vendor", T: "third party", X: "recalled and one source", D: "derived", R: "recalled", C: "sources conflict", P: "announced" };
type Key = "memory" | "bandwidth" | "bf16" | "fp8" | "link" | "tdp" | "year";
const LESS = new Set<Key>(["year", "link", "tdp"]); // left out where the window is narrow
const COLUMNS: [Key, string, (v: number | null) => string][] = [
  ["year", "year", (v) => (v === null ? "–" : String(v))],
  ["memory", "memory", f.bytes],
  ["bandwidth", "bandwidth", (v) => f.rate(v, "B/s")],
  ["bf16", "bf16 dense", (v) => f.rate(v)],
  ["fp8", "fp8 dense", (v) => f.rate(v)],
  ["link", "link, one way", (v) => f.rate(v, "B/s")],
  ["tdp", "power", (v) => (v === null ? "–" : `${v} W`)],
];

export function HardwarePage({ boot, question, rest, look, use, tell }: { boot: Boot; question: Question; rest: Record<string, string>; look: (part: Record<string, string>) => void; use: (chip: string) => void; tell: Tell }) {
  const [text, setText] = useState("");
  const [by, setBy] = useState<Key | "id">("id");
  const name = rest.chip ?? question.on.split(":")[0];
  const sheet = useAnswer<string, ChipSheet>(name, chip);
  useTold(Problem(sheet.error), tell);
  const figures = sheet.value?.figures ?? [];
  const sources = [...new Set(figures.flatMap((r) => r.source.split("; ").filter(Boolean)))];
  const cited = (text: string): number[] => text.split("; ").filter(Boolean).map((s) => sources.indexOf(s) + 1);
  const shown = boot.chips
    .filter((c) => `${c.id} ${c.name} ${c.vendor} ${c.kind}`.toLowerCase().includes(text.toLowerCase()))
    .sort((a, b) => (by === "id" ? a.id.localeCompare(b.id) : (b[by] ?? -1) - (a[by] ?? -1)));
  return (
    <>
      <header class="page-head">
        <h1>Hardware</h1>
        <p class="quiet">{boot.chips.length} chips as data, each figure beside its source where one is recorded. Dense peaks.</p>
      </header>
      <div class="phase even">
        <div class="column">
          <Card title="Chips" name="hardware" drawn={false} note={`${shown.length}`} twin={false} table={() => ({ columns: [], rows: [], raw: { columns: ["id", "name", "vendor", ...COLUMNS.map(([k]) => k), "confidence"], rows: shown.map((c) => [c.id, c.name, c.vendor, ...COLUMNS.map(([k]) => c[k]), c.confidence]) } })} extra={
            <>
              <label class="hidden" for="find-chip">Find a chip</label>
              <input id="find-chip" type="search" placeholder="Find a chip" value={text} onInput={(e) => setText(e.currentTarget.value)} />
            </>
          }>
            <div class="scroll tall" role="region" aria-label="Chips, table" tabIndex={0}>
              <table class="data chips-table">
                <thead>
                  <tr>
                    <th scope="col" aria-sort={by === "id" ? "ascending" : "none"}><button type="button" class="link" onClick={() => setBy("id")}>chip</button></th>
                    {COLUMNS.map(([key, label]) => <th key={key} scope="col" class={LESS.has(key) ? "less" : ""} aria-sort={by === key ? "descending" : "none"}><button type="button" class="link" onClick={() => setBy(key)}>{label}</button></th>)}
                  </tr>
                </thead>
                <tbody>{shown.map((c) => <Row key={c.id} c={c} on={c.id === name} choose={() => look({ chip: c.id })} />)}</tbody>
              </table>
            </div>
          </Card>
        </div>
        <div class="column">
          <Stale error={sheet.error} of={() => sheet.asked}>{sheet.value && (
            <Card title={String(sheet.value.name)} name={`chip-${sheet.value.id}`} drawn={false} note={`${sheet.value.vendor ?? ""} ${sheet.value.year ?? ""} · checked: ${CHECKED[String(sheet.value.confidence)] ?? "not stated"}`} extra={<button type="button" class="primary" onClick={() => use(sheet.value!.id)}>Use in the scenario</button>} twin={false} table={() => ({ columns: [], rows: [], raw: { columns: ["key", "value", "source"], rows: figures.map((r) => [r.key, r.value, r.source]) } })}>
              {sheet.value.notes && <p class="quiet small">{sheet.value.notes}</p>}
              <table class="data sheet">
                <thead><tr><th scope="col">figure</th><th scope="col">value</th><th scope="col">source</th></tr></thead>
                <tbody>{figures.map((r) => <tr key={r.key}><th scope="row">{r.key}</th><td>{r.value}</td><td>{cited(r.source).map((n) => `[${n}]`).join(" ") || "–"}</td></tr>)}</tbody>
              </table>
              <ol class="sources" aria-label="Sources">{sources.map((text) => <li key={text}>{text}</li>)}</ol>
            </Card>
          )}</Stale>
        </div>
      </div>
    </>
  );
}

function Row({ c, on, choose }: { c: Chip; on: boolean; choose: () => void }) {
  return (
    <tr class={on ? "chosen" : ""}>
      <th scope="row"><button type="button" class="link" aria-pressed={on} onClick={choose}>{c.id}</button></th>
      {COLUMNS.map(([key, , show]) => <td key={key} class={LESS.has(key) ? "less" : ""}>{show(c[key])}</td>)}
    </tr>
  );
}
