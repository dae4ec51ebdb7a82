// Numbers as people read them, as the command line writes them: three digits and a prefix.

const PREFIXES = ["", "k", "M", "G", "T", "P", "E"];

function scaled(value: number, unit: string): string {
  if (value === 0) return unit ? `0 ${unit}` : "0";
  let step = Math.floor(Math.log10(Math.abs(value)) / 3);
  step = Math.max(0, Math.min(PREFIXES.length - 1, step));
  let shown = value / 1000 ** step;
  if (Math.abs(shown) >= 999.5 && step < PREFIXES.length - 1) {
    step += 1;
    shown /= 1000;
  }
  return `${digits(shown)} ${PREFIXES[step]}${unit}`.trim();
}

function digits(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2);
}

type Value = number | null | undefined;

export function count(value: Value): string {
  if (value == null) return "–";
  return Number.isInteger(value) && Math.abs(value) < 1000 ? String(value) : scaled(value, "");
}

export function bytes(value: Value): string {
  if (value == null) return "–";
  return Number.isInteger(value) && Math.abs(value) < 1000 ? `${value} B` : scaled(value, "B");
}

export function flops(value: Value): string {
  return value == null ? "–" : scaled(value, "FLOP");
}

export function rate(value: Value, unit = "FLOP/s"): string {
  return value == null ? "–" : scaled(value, unit);
}

export function time(value: Value): string {
  if (value == null) return "–";
  if (value === 0) return "0 s";
  for (const [limit, factor, unit] of [[1e-6, 1e9, "ns"], [1e-3, 1e6, "µs"], [1, 1e3, "ms"]] as const) {
    if (value < limit * 0.9995) return `${digits(value * factor)} ${unit}`;
  }
  return value >= 1e4 ? `${Math.round(value).toLocaleString("en")} s` : `${digits(value)} s`;
}

export function percent(share: Value): string {
  if (share == null) return "–";
  if (share <= 0) return "0 %";
  if (share < 0.0005) return "<0.1 %";
  return share >= 0.9995 ? "100 %" : `${(100 * share).toFixed(1)} %`;
}

export function parameters(value: Value): string {
  return value == null ? "–" : count(value).replace("G", "B");
}

export function tokens(value: Value): string {
  if (value == null) return "–";
  if (value >= 1e6) return scaled(value, "tok/s");
  return `${value >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3)} tok/s`;
}

export function intensity(value: Value): string {
  if (value == null) return "–";
  if (value === 0) return "0";
  return value.toFixed(value >= 99.95 ? 0 : value >= 9.995 ? 1 : value >= 0.9995 ? 2 : 3);
}

export function change(share: Value): string {
  if (share == null) return "";
  if (share >= 1) return `×${(1 + share).toPrecision(3)}`;
  const whole = Math.round(share * 100);
  return whole ? `${whole > 0 ? "+" : "−"}${Math.abs(whole)} %` : "±0 %";
}

export function plain(value: Value): string {
  if (value == null) return "–";
  return Number.isInteger(value) ? value.toLocaleString("en") : value.toPrecision(4);
}

/** What a model makes, a second. */
export function made(value: Value, makes = "tokens"): string {
  if (value == null || makes === "tokens") return tokens(value);
  return `${value >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3)} ${makes}/s`;
}

/** A metric by the name of its JSON field; a model that is called once makes no tokens. */
export function metric(field: string, value: Value, makes = "tokens"): string {
  if (value == null) return "–";
  if (field === "throughput_tok_s") return made(value, makes);
  if (field.endsWith("_tok_s") || field === "tokens_per_s_per_user") return tokens(value);
  if (field.endsWith("_s")) return time(value);
  if (["memory", "capacity", "weights", "kv_cache", "activations", "overhead"].includes(field)) return bytes(value);
  if (field === "energy_j") return scaled(value, "J");
  return plain(value);
}

// Options of the command line, and the controls of the page that say the same.
const CONTROLS: [RegExp, string][] = [
  [/`?mansard techniques (?:list|show \S+)`?/g, "the list under Techniques"],
  [/`?mansard models list`?/g, "the list under Model"],
  [/`?mansard hardware (?:list|show \S+?)`?(?=[\s,;.)]|$)/g, "the page Hardware"],
  [/`?mansard sweep`?(?: --vary)?/g, "the page Sweep"],
  [/--set '?([\w.-]+=[^\s',;)]*)'?/g, "Overrides: $1"],
  [/--branch '?([^\s',;)]+)'?/g, "Overrides: graph.branch=$1"],
  [/--alias '?([^\s'=]+=[^\s',;)]+)'?/g, "Overrides: graph.alias.$1"],
  [/--raw\b/g, "As written"],
  [/--on ([^\s,;)]+)/g, "Hardware: $1"],
  [/--on\b/g, "Hardware"],
  [/(?<![\w-])-t ([^\s,;)]+)/g, "Techniques: $1"],
  [/--estimate (ideal|calibrated)\b/g, "Estimate: $1"],
  [/--estimate\b/g, "Estimate"],
  [/--price ([\d.]+)/g, "Price: $1"],
  [/--context ([\dkm]+)/g, "One step: $1 cached tokens"],
  [/--context\b/g, "One step"],
  [/--phase (?:prefill|decode|both)\b/g, "Whole request"],
  [/(?:--batch|(?<![\w-])-b) ([\dkm]+)/g, "Batch: $1"],
  [/(?:--prompt|(?<![\w-])-p) ([\dkm]+)/g, "Prompt: $1"],
  [/(?:--output|(?<![\w-])-n) ([\dkm]+)/g, "Generate: $1"],
  [/--vary ([\w.-]+)=([^\s,;)]+)/g, "the page Sweep: $1 $2"],
  [/--subject-to '([^']*)'/g, "subject to: $1"],
  [/--(maximize|minimize)\b/g, "$1"],
  [/--slo\b|--rate\b|--backend\b/g, "mansard's command line: $&"],
];

/** Say on the page what a text tells the command line to do. */
export function onPage(text: string): string {
  return CONTROLS.reduce((said, [option, control]) => said.replace(option, control), text);
}

/** Cut the head of a name that is too long; its end tells operators apart. */
export function shorten(name: string, width: number): string {
  if (name.length <= width) return name;
  const tail = name.slice(name.length - width + 1);
  const dot = tail.indexOf(".");
  return `…${dot >= 0 && dot <= width / 3 ? tail.slice(dot) : tail}`;
}

/** A tick of a logarithmic axis. */
export function tick(power: number, unit = ""): string {
  if (power < 0) return `${(10 ** power).toFixed(-power)}${unit ? ` ${unit}` : ""}`;
  const step = Math.floor(power / 3);
  return `${10 ** (power - 3 * step)} ${PREFIXES[step] ?? ""}${unit}`.trim();
}
