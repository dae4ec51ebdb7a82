// Sizes and costs as text → a number, for given symbols. Nothing is evaluated as code.

export type Symbols = Record<string, number>;

const FUNCTIONS: Record<string, (...values: number[]) => number> = {
  least: (...values) => Math.min(...values),
  ceil_div: (a, n) => Math.ceil(a / n),
  geometric: (a, n) => (a === 1 ? n : (1 - a ** n) / (1 - a)),
};

/** Return the value of an expression; null where it holds what is unknown here. */
export function evaluate(text: string, symbols: Symbols): number | null {
  const tokens = text.match(/\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|[A-Za-z_]\w*|\*\*|[-+*/(),]/g);
  if (tokens === null || tokens.join("") !== text.replace(/\s+/g, "")) return null;
  let at = 0;
  const next = (): string | undefined => tokens[at];
  const take = (wanted: string): void => {
    if (tokens[at++] !== wanted) throw new Error(wanted);
  };
  const sum = (): number => {
    let value = product();
    while (next() === "+" || next() === "-") value = tokens[at++] === "+" ? value + product() : value - product();
    return value;
  };
  const product = (): number => {
    let value = signed();
    while (next() === "*" || next() === "/") value = tokens[at++] === "*" ? value * signed() : value / signed();
    return value;
  };
  const signed = (): number => {
    if (next() !== "-") return power();
    at += 1;
    return -signed();
  };
  const power = (): number => {
    const base = atom();
    if (next() !== "**") return base;
    at += 1;
    return base ** signed();
  };
  const atom = (): number => {
    const word = tokens[at++];
    if (word === undefined) throw new Error("end");
    if (word === "(") {
      const value = sum();
      take(")");
      return value;
    }
    if (/^\d/.test(word)) return Number(word);
    if (next() === "(") {
      take("(");
      const values = [sum()];
      while (next() === ",") {
        at += 1;
        values.push(sum());
      }
      take(")");
      const known = Object.hasOwn(FUNCTIONS, word) ? FUNCTIONS[word] : undefined;
      if (!known) throw new Error(word);
      return known(...values);
    }
    const value = Object.hasOwn(symbols, word) ? symbols[word] : undefined;
    if (value === undefined) throw new Error(word);
    return value;
  };
  try {
    const value = sum();
    return at === tokens.length && Number.isFinite(value) ? value : null;
  } catch {
    return null;
  }
}

/** Return what a call binds: `B=batch, S=1, P=prompt + step` with the scenario's values. */
export function bound(text: string, scenario: Symbols): Symbols {
  const found: Symbols = { ...scenario };
  for (const [, name, value] of text.matchAll(/(\w+)=((?:\([^()]*\)|[^,(]|\((?:[^()]|\([^()]*\))*\))+)/g)) {
    const number = evaluate(value.trim(), scenario);
    if (number !== null) found[name] = number;
  }
  return found;
}

/** A type such as `bf16[T, 4096]` with its sizes as numbers where they are known. */
export function sized(type: string, symbols: Symbols): string {
  const open = type.lastIndexOf("[");
  if (open < 0) return type;
  const dims = split(type.slice(open + 1, -1)).map((dim) => {
    const value = evaluate(dim, symbols);
    return value === null ? dim : String(Math.round(value));
  });
  return `${type.slice(0, open)}[${dims.join(", ")}]`;
}

function split(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === "(") depth += 1;
    if (text[at] === ")") depth -= 1;
    if (text[at] === "," && depth === 0) {
      parts.push(text.slice(start, at).trim());
      start = at + 1;
    }
  }
  parts.push(text.slice(start).trim());
  return parts.filter(Boolean);
}
