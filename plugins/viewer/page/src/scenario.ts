// A scenario is in the address: whoever is sent it sees the same page.

import type { Question } from "./types";

const PLAIN = ["model", "on", "batch", "prompt", "output", "context", "phase", "level", "estimate", "price"] as const;

export interface Place {
  page: string;
  question: Partial<Question>;
  rest: Record<string, string>;
}

export function read(hash: string): Place {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const question: Partial<Question> = {};
  const rest: Record<string, string> = {};
  const techniques: string[] = [];
  const set: Record<string, string> = {};
  for (const [key, value] of new URLSearchParams(query)) {
    if (key === "t") techniques.push(value);
    else if (key.startsWith("set.")) set[key.slice(4)] = value;
    else if ((PLAIN as readonly string[]).includes(key)) value && Object.assign(question, { [key]: value });
    else rest[key] = value;
  }
  if (techniques.length) question.techniques = techniques;
  if (Object.keys(set).length) question.set = set;
  return { page: path || "explore", question, rest };
}

export function write(place: Place): string {
  const query = new URLSearchParams();
  for (const key of PLAIN) {
    const value = place.question[key];
    if (value != null && value !== "") query.set(key, String(value));
  }
  for (const text of place.question.techniques ?? []) query.append("t", text);
  for (const [key, value] of Object.entries(place.question.set ?? {})) query.set(`set.${key}`, value);
  for (const [key, value] of Object.entries(place.rest)) if (value) query.set(key, value);
  return `#/${place.page}?${query}`;
}

/** The question as the server takes it. */
export function whole(question: Partial<Question>): Question {
  const asked: Question = { model: "llama-3.1-8b", on: "h100-sxm", ...question };
  if (asked.context) {
    delete asked.prompt;
    delete asked.output;
    delete asked.phase;
  }
  return asked;
}

/** The number a size is, `8k` and `1m` read as the command line reads them; NaN where it is none. */
export function sizeOf(value: number | string): number {
  const found = /^(\d+(?:\.\d+)?(?:e\d+)?)\s*([km]?)$/i.exec(String(value).trim());
  return found ? Number(found[1]) * ({ k: 1024, m: 1024 ** 2 }[found[2].toLowerCase()] ?? 1) : NaN;
}

export function quoted(text: string): string {
  return /^[\w.,:=/@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The options of a command that asks the same. */
export function options(question: Question, model = question.model): string {
  const parts = [quoted(model), "--on", quoted(question.on)];
  const flags: [keyof Question, string][] = [["batch", "-b"], ["prompt", "-p"], ["output", "-n"], ["context", "--context"], ["phase", "--phase"]];
  for (const [key, flag] of flags) {
    const value = question[key];
    if (value != null && value !== "") parts.push(flag, quoted(String(value)));
  }
  for (const text of question.techniques ?? []) parts.push("-t", quoted(text));
  if (question.level && question.level !== "O1") parts.push(`-${question.level}`);
  if (question.estimate && question.estimate !== "ideal") parts.push("--estimate", question.estimate);
  if (question.price) parts.push("--price", quoted(question.price));
  for (const [key, value] of Object.entries(question.set ?? {})) parts.push("--set", quoted(`${key}=${value}`));
  return parts.join(" ");
}

export interface Spec {
  name: string;
  options: [string, string][];
}

/** Read the short or the braces form of one technique; null for a longer pipeline. */
export function parseSpec(text: string): Spec | null {
  const braces = /^([\w-]+)\{(.*)\}$/s.exec(text.trim());
  const short = /^([\w-]+)(?::(.*))?$/s.exec(text.trim());
  const found = braces ?? short;
  if (!found) return null;
  const body = found[2] ?? "";
  const options: [string, string][] = [];
  for (const match of body.matchAll(/([\w-]+)=(\[[^\]]*\]|"(?:[^"\\]|\\.)*"|[^\s,]+)/g)) options.push([match[1], match[2]]);
  const used = options.map(([key, value]) => `${key}=${value}`).join("").replace(/\s/g, "");
  return used === body.replace(/[\s,]/g, "") || body.includes("[") ? { name: found[1], options } : null;
}

export function printSpec(spec: Spec): string {
  const given = spec.options.filter(([, value]) => value !== "");
  return given.length ? `${spec.name}{${given.map(([key, value]) => `${key}=${value}`).join(" ")}}` : spec.name;
}
