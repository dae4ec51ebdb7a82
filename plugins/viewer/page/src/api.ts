// Asking: the server, or what a report holds. Nothing is ever asked of anybody else.

import type { Boot, ChipSheet, Compared, Drawing, Held, Question, Report, Solution, Staged, Swept, Told } from "./types";

const inlined = document.getElementById("mansard-data");
export const report: Report | null = inlined ? (JSON.parse(inlined.textContent ?? "null") as Report) : null;
for (const { told } of report?.held ?? []) for (const phase of Object.values(told.result.phases)) phase.ops = records(phase.ops as unknown as Columns);

interface Columns {
  columns: string[];
  rows: unknown[][];
}

/** Records whose keys a report writes once. */
function records<T>({ columns, rows }: Columns): T[] {
  return rows.map((row) => Object.fromEntries(row.map((value, k) => [columns[k], value])) as T);
}

export class Refused extends Error {
  constructor(
    message: string,
    readonly hint: string | null,
  ) {
    super(message);
  }
}

async function received<T>(response: Response): Promise<T> {
  const body = (await response.json().catch(() => ({ error: `the server answered ${response.status}` }))) as T & { error?: string; hint?: string };
  if (!response.ok) throw new Refused(body.error ?? "no answer", body.hint ?? null);
  return body;
}

async function post<T>(path: string, body: unknown): Promise<T> {
  const headers = { "content-type": "application/json" };
  return received<T>(await fetch(`api/${path}`, { method: "POST", headers, body: JSON.stringify(body) }));
}

type Numbered = (string | number)[];
const word = (text: string | number): string => (typeof text === "number" ? report!.words[text] : text);

/** An operator's kind and its name. */
function pair(text: string): [string, string] {
  const at = text.indexOf(" ");
  return [text.slice(0, at), text.slice(at + 1)];
}

/** A report's drawing with its texts in the place of their numbers. */
function spelled(found: Omit<Drawing, "kinds">): Drawing {
  for (const sketch of Object.values(found.graphs)) {
    for (const node of sketch.nodes) {
      node.because = (node.because as Numbered | undefined)?.map(word);
      node.leaves = (node.leaves as Numbered | undefined)?.map(word);
      node.ops = (node.ops as unknown as Numbered | undefined)?.map((text) => pair(word(text)));
      node.formulas = node.formulas && Object.fromEntries(Object.entries(node.formulas).map(([what, text]) => [what, word(text)]));
    }
  }
  return { ...found, kinds: report!.kinds };
}

const drawings = new Map<string, Drawing>(Object.entries(report?.drawings ?? {}).map(([hash, found]) => [hash, spelled(found)]));
export const drawing = (hash: string): Drawing | undefined => drawings.get(hash);
const known = (): string[] => [...drawings.keys()].slice(-60);

/** Which of a report's scenarios a question asks about. */
export function held(question: Question): Held | undefined {
  const same = (a: Question): string => JSON.stringify([a.model, a.on, a.techniques ?? [], a.level ?? "O1"]);
  return report?.held.find((each) => same(each.question) === same(question)) ?? report?.held[0];
}

const sent = new Map<string, Promise<Told>>();

/** Ask before the page that will ask is drawn: the answer is on its way meanwhile. */
export function ahead(question: Question): void {
  if (report) return;
  const answer = analyze(question);
  answer.catch(() => undefined); // whoever asks for it is told
  sent.set(JSON.stringify(question), answer);
}

export async function analyze(question: Question): Promise<Told> {
  if (report) return held(question)!.told;
  const early = sent.get(JSON.stringify(question));
  sent.clear();
  if (early) return early;
  const told = await post<Told>("analyze", { question, known: known() });
  if (told.drawing) drawings.set(told.graph, told.drawing);
  return told;
}

export async function passes(question: Question): Promise<Staged> {
  if (report) return held(question)!.staged;
  const staged = await post<Staged>("passes", { question, known: known() });
  for (const [hash, found] of Object.entries(staged.drawings)) drawings.set(hash, found);
  return staged;
}

export const compare = (questions: Question[]): Promise<Compared> => post("compare", { questions });
export const solve = (question: Question, find: string, goal: string, conditions: string[]): Promise<Solution> => post("solve", { question, find, goal, conditions });
export const sweep = (question: Question, axes: Record<string, string>, pareto: string[]): Promise<Swept> => post("sweep", { question, axes, pareto });

export async function boot(): Promise<Boot> {
  return report ? report.boot : received(await fetch("api/boot"));
}

export async function chip(name: string): Promise<ChipSheet> {
  if (!report) return received(await fetch(`api/chip?name=${encodeURIComponent(name)}`));
  const sheet = report.sheets[name];
  return { ...sheet, figures: sheet.figures.map((row) => ({ ...row, source: word(row.source) })) };
}

export async function upload(file: File, raw = false): Promise<{ model: string; name: string }> {
  const headers = { "content-type": "application/octet-stream" };
  return received(await fetch(`api/upload?name=${encodeURIComponent(file.name)}${raw ? "&raw=true" : ""}`, { method: "POST", headers, body: file }));
}
