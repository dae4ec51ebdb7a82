// Figures as SVG by hand: every mark is an element that tests, keyboards and screen readers find.

import { intensity, percent, rate, tick, time } from "./format";
import type { Phase, Roof } from "./types";

const between = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));
export const tone = (bound: string): string => `b-${bound.split(" ").pop()}`;

export interface Dot {
  key: string;
  name: string;
  bound: string;
  intensity: number;
  achieved: number;
  time_s: number;
  share: number;
}

/** The operators that do arithmetic, as points under the roof. */
export function dots(phase: Phase, keys: string[]): Dot[] {
  return phase.ops
    .map((op, k) => ({ key: keys[k], name: op.name, bound: op.bound, intensity: op.intensity ?? 0, achieved: op.time_s ? op.flops / op.time_s : 0, time_s: op.time_s, share: op.share }))
    .filter((dot) => dot.intensity > 0 && dot.achieved > 0);
}

interface Roofed {
  roof: Roof;
  dots: Dot[];
  chosen: string;
  choose: (key: string) => void;
}

export function Roofline({ roof, dots: points, chosen, choose }: Roofed) {
  const [W, H] = [620, 330];
  const m = { l: 62, r: 18, t: 20, b: 42 };
  const bandwidth = roof.bandwidth_bytes_per_s ?? 0;
  const top = Math.max(1, ...roof.peaks.map((p) => p.flops_per_s), ...points.map((p) => p.achieved));
  const ridges = roof.peaks.map((p) => p.flops_per_s / (bandwidth || 1));
  const x0 = Math.floor(Math.log10(Math.min(0.2, ...points.map((p) => p.intensity))));
  const x1 = Math.ceil(Math.log10(Math.max(1000, ...ridges.map((r) => r * 3), ...points.map((p) => p.intensity * 1.3))));
  const y1 = Math.ceil(Math.log10(top) + 0.12);
  const low = Math.min(top / 1e3, ...points.map((p) => p.achieved));
  const y0 = Math.max(y1 - 7, Math.floor(Math.log10(low)));
  const X = (a: number): number => m.l + ((between(Math.log10(a), x0, x1) - x0) / (x1 - x0)) * (W - m.l - m.r);
  const Y = (p: number): number => H - m.b - ((between(Math.log10(p), y0, y1) - y0) / (y1 - y0)) * (H - m.t - m.b);
  const start = Math.max(10 ** x0, 10 ** y0 / (bandwidth || 1));
  const peaks = roof.peaks.slice(0, 4);
  const ordered = [...points].sort((a, b) => b.share - a.share);
  const labelled = named(ordered, chosen, X, Y);
  const steps = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, k) => from + k);
  return (
    <svg class="figure" role="group" aria-label={`Roofline of ${roof.name}, logarithmic axes`} viewBox={`0 0 ${W} ${H}`} data-testid="roofline">
      {steps(x0, x1).map((t) => (
        <g key={`x${t}`}>
          <line class="grid" x1={X(10 ** t)} x2={X(10 ** t)} y1={m.t} y2={H - m.b} />
          <text class="tick" x={X(10 ** t)} y={H - m.b + 15} text-anchor="middle">{tick(t)}</text>
        </g>
      ))}
      {steps(y0, y1).map((t) => (
        <g key={`y${t}`}>
          <line class="grid" x1={m.l} x2={W - m.r} y1={Y(10 ** t)} y2={Y(10 ** t)} />
          <text class="tick" x={m.l - 7} y={Y(10 ** t) + 4} text-anchor="end">{tick(t)}</text>
        </g>
      ))}
      <text class="axis" x={(m.l + W - m.r) / 2} y={H - 6} text-anchor="middle">arithmetic intensity, FLOP/B</text>
      <text class="axis" x={m.l} y={12} text-anchor="start">FLOP/s</text>
      {bandwidth > 0 && peaks.length > 0 && (
        <path class="roof" d={`M${X(start)},${Y(bandwidth * start)}L${X(peaks[0].flops_per_s / bandwidth)},${Y(peaks[0].flops_per_s)}`} />
      )}
      {peaks.map((peak, k) => (
        <g key={peak.label}>
          <path class={k ? "roof other" : "roof"} d={`M${X(peak.flops_per_s / (bandwidth || 1))},${Y(peak.flops_per_s)}L${X(10 ** x1)},${Y(peak.flops_per_s)}`} />
          <text class="tick strong" x={W - m.r} y={Y(peak.flops_per_s) + (k ? 14 : -6)} text-anchor="end">{`${peak.label} ${rate(peak.flops_per_s)}`}</text>
        </g>
      ))}
      {bandwidth > 0 && (
        <text class="tick strong" x={X(start) + 8} y={Y(bandwidth * start) - 26} text-anchor="start">{rate(bandwidth, "B/s")}</text>
      )}
      {ordered.map((dot) => {
        const on = dot.key === chosen;
        return (
          <circle
            key={dot.key}
            class={`dot ${tone(dot.bound)} ${on ? "chosen" : ""}`}
            data-dot={dot.key}
            cx={X(dot.intensity)}
            cy={Y(dot.achieved)}
            r={4 + 13 * Math.sqrt(between(dot.share, 0, 1))}
            role="button"
            tabindex={0}
            aria-pressed={on}
            aria-label={`${dot.name}: ${intensity(dot.intensity)} FLOP/B, ${rate(dot.achieved)}, ${dot.bound} bound, ${percent(dot.share)} of the time`}
            onClick={() => choose(dot.key)}
            onKeyDown={(e) => pressed(e, () => choose(dot.key))}
          >
            <title>{`${dot.name}\n${intensity(dot.intensity)} FLOP/B · ${rate(dot.achieved)}\n${dot.bound} bound · ${time(dot.time_s)} · ${percent(dot.share)}`}</title>
          </circle>
        );
      })}
      {labelled.map((label) => (
        <text key={label.key} class={`label ${label.key === chosen ? "strong" : ""}`} x={label.x} y={label.y} text-anchor={label.anchor}>{label.text}</text>
      ))}
    </svg>
  );
}

/** Labels of the chosen dot and of the largest, where they do not lie on one another. */
function named(points: Dot[], chosen: string, X: (v: number) => number, Y: (v: number) => number) {
  const first = points.filter((p) => p.key === chosen);
  const rest = points.filter((p) => p.key !== chosen).slice(0, 5);
  const taken: { x: number; y: number; w: number }[] = [];
  const found: { key: string; x: number; y: number; text: string; anchor: "start" | "end" }[] = [];
  for (const point of [...first, ...rest]) {
    const text = point.name.split(".").pop() ?? point.name;
    const w = 6.3 * text.length;
    const r = 9 + 13 * Math.sqrt(between(point.share, 0, 1));
    const tries = [[X(point.intensity) + r, Y(point.achieved) + 14], [X(point.intensity) + r, Y(point.achieved) - 3], [X(point.intensity) - r - w, Y(point.achieved) - 8], [X(point.intensity) - r - w, Y(point.achieved) + 14], ...[-r - 16, r + 26].map((dy) => [X(point.intensity) - w / 2, Y(point.achieved) + dy])];
    const free = tries.find(([x, y]) => x > 64 && x + w < 604 && !taken.some((t) => Math.abs(t.y - y) < 13 && x < t.x + t.w + 4 && t.x < x + w + 4));
    if (!free) continue;
    taken.push({ x: free[0], y: free[1], w });
    found.push({ key: point.key, x: free[0], y: free[1], text, anchor: "start" });
  }
  return found;
}

export function pressed(event: KeyboardEvent, act: () => void): void {
  if (event.key !== "Enter" && event.key !== " ") return;
  event.preventDefault();
  act();
}

export interface Part {
  name: string;
  value: number;
  tone: string;
  text: string;
}

/** One bar of parts, with what it is measured against. */
export function Stack({ parts, most, label, marker }: { parts: Part[]; most: number; label: string; marker?: { value: number; text: string } }) {
  const [W, H] = [620, 30];
  let x = 0;
  return (
    <svg class="figure stack" preserveAspectRatio="none" role="img" aria-label={`${label}: ${parts.map((p) => `${p.name} ${p.text}`).join(", ")}${marker ? `; ${marker.text}` : ""}`} viewBox={`0 0 ${W} ${H}`}>
      <rect class="ground" x="0" y="4" width={W} height="22" rx="3" />
      {parts.map((part) => {
        const width = most ? (part.value / most) * W : 0;
        const drawn = <rect key={part.name} class={part.tone} x={x} y="4" width={Math.max(0, width)} height="22"><title>{`${part.name} ${part.text}`}</title></rect>;
        x += width;
        return drawn;
      })}
      {marker && most > 0 && <line class="marker" x1={between((marker.value / most) * W, 1, W - 1)} x2={between((marker.value / most) * W, 1, W - 1)} y1="0" y2={H} />}
    </svg>
  );
}

export function Legend({ parts }: { parts: Part[] }) {
  return (
    <ul class="legend">
      {parts.map((part) => (
        <li key={part.name}>
          <i class={`swatch ${part.tone}`} aria-hidden="true" />
          <span>{part.name}</span> <b>{part.text}</b>
        </li>
      ))}
    </ul>
  );
}

/** Cells of two axes, darker where the value is greater. */
export function HeatMap({ xs, ys, values, shown, labels, fits, chosen, choose }: { xs: (string | number)[]; ys: (string | number)[]; values: (number | null)[][]; shown: (value: number | null) => string; labels: [string, string]; fits: boolean[][]; chosen: string; choose: (x: number, y: number) => void }) {
  const cell = { w: Math.max(46, Math.min(92, 820 / Math.max(1, xs.length))), h: 30 };
  const m = { l: 96, t: 26, b: 34 };
  const [W, H] = [m.l + cell.w * xs.length + 8, m.t + cell.h * ys.length + m.b];
  const known = values.flat().filter((v): v is number => v !== null && v > 0);
  const [low, high] = [Math.log(Math.min(...known)), Math.log(Math.max(...known))];
  const strength = (v: number | null): number => (v === null || v <= 0 ? 0 : high > low ? (Math.log(v) - low) / (high - low) : 0.5);
  return (
    <svg class="figure heat" role="group" aria-label={`${labels[1]} by ${labels[0]}`} viewBox={`0 0 ${W} ${H}`} style={{ maxWidth: `${W}px` }}>
      <text class="axis" x={m.l} y={14}>{labels[1]} ↓</text>
      <text class="axis" x={m.l + (cell.w * xs.length) / 2} y={H - 4} text-anchor="middle">{labels[0]}</text>
      {ys.map((y, j) => (
        <g key={j}>
          <text class="tick" x={m.l - 8} y={m.t + cell.h * j + 20} text-anchor="end">{typeof y === "number" ? y.toLocaleString("en") : y}</text>
          {xs.map((x, i) => {
            const value = values[j][i];
            const on = chosen === `${i},${j}`;
            const level = strength(value);
            return (
              <g key={i} class={`cell ${on ? "chosen" : ""} ${level > 0.82 ? "deep deepest" : level > 0.68 ? "deep" : ""}`} role="button" tabindex={0} aria-pressed={on} aria-label={`${labels[0]} ${x}, ${labels[1]} ${y}: ${shown(value)}${fits[j][i] ? "" : ", does not fit"}`} onClick={() => choose(i, j)} onKeyDown={(e) => pressed(e, () => choose(i, j))}>
                <rect class="heat-cell" x={m.l + cell.w * i + 1} y={m.t + cell.h * j + 1} width={cell.w - 2} height={cell.h - 2} rx="2" fill-opacity={(0.06 + 0.88 * level).toFixed(3)} />
                {!fits[j][i] && <line class="unfit" x1={m.l + cell.w * i + 3} y1={m.t + cell.h * (j + 1) - 3} x2={m.l + cell.w * (i + 1) - 3} y2={m.t + cell.h * j + 3} />}
                <text aria-hidden="true" class="cell-text" x={m.l + cell.w * (i + 0.5)} y={m.t + cell.h * j + 19} text-anchor="middle">{shown(value).replace(" tok/s", "")}</text>
              </g>
            );
          })}
        </g>
      ))}
      {xs.map((x, i) => (
        <text key={i} class="tick" x={m.l + cell.w * (i + 0.5)} y={H - m.b + 15} text-anchor="middle">{typeof x === "number" ? x.toLocaleString("en") : String(x).slice(0, 12)}</text>
      ))}
    </svg>
  );
}

/** Round numbers on a logarithmic axis: 1, 2, 5, or powers of ten alone where those are many. */
function ticks(low: number, high: number): number[] {
  const found: number[] = [];
  const steps = high - low > 4 ? [1] : high - low > 0.7 ? [1, 2, 5] : [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8];
  for (let power = Math.floor(low); power <= high; power += 1) for (const step of steps) if (Math.log10(step) + power >= low && Math.log10(step) + power <= high) found.push(Number((step * 10 ** power).toPrecision(3)));
  return found.length > 9 ? found.filter((_, k) => k % 2 === 0) : found;
}

export interface Point {
  key: string;
  x: number;
  y: number;
  front: boolean;
  fits: boolean;
  text: string;
}

/** Points of two metrics on logarithmic axes; those that no other beats are joined. */
export function Scatter({ points, labels, chosen, choose, shown }: { points: Point[]; labels: [string, string]; chosen: string; choose: (key: string) => void; shown: [(v: number) => string, (v: number) => string] }) {
  const [W, H] = [innerWidth < 1180 ? 640 : 900, 400]; // so that its letters stay legible
  const m = { l: 92, r: 20, t: 24, b: 44 };
  const range = (values: number[]): [number, number] => {
    const [low, high] = [Math.log10(Math.min(...values)), Math.log10(Math.max(...values))];
    const pad = Math.max(0.04, (high - low) * 0.06);
    return [low - pad, high + pad];
  };
  if (!points.length) return <p class="quiet">No point has both figures.</p>;
  const [x0, x1] = range(points.map((p) => p.x));
  const [y0, y1] = range(points.map((p) => p.y));
  const X = (v: number): number => m.l + ((Math.log10(v) - x0) / (x1 - x0)) * (W - m.l - m.r);
  const Y = (v: number): number => H - m.b - ((Math.log10(v) - y0) / (y1 - y0)) * (H - m.t - m.b);
  const front = points.filter((p) => p.front).sort((a, b) => a.x - b.x);
  return (
    <svg class="figure" role="group" aria-label={`${labels[1]} against ${labels[0]}`} viewBox={`0 0 ${W} ${H}`}>
      {ticks(x0, x1).map((v) => (
        <g key={v}>
          <line class="grid" x1={X(v)} x2={X(v)} y1={m.t} y2={H - m.b} />
          <text class="tick" x={X(v)} y={H - m.b + 15} text-anchor="middle">{shown[0](v)}</text>
        </g>
      ))}
      {ticks(y0, y1).map((v) => (
        <g key={v}>
          <line class="grid" x1={m.l} x2={W - m.r} y1={Y(v)} y2={Y(v)} />
          <text class="tick" x={m.l - 7} y={Y(v) + 4} text-anchor="end">{shown[1](v)}</text>
        </g>
      ))}
      <text class="axis" x={(m.l + W - m.r) / 2} y={H - 6} text-anchor="middle">{labels[0]}</text>
      <text class="axis" x={4} y={12}>{labels[1]}</text>
      <path class="front" d={front.map((p, k) => `${k ? "L" : "M"}${X(p.x)},${Y(p.y)}`).join("")} />
      {points.map((p) => (
        <circle key={p.key} class={`dot ${p.front ? "b-compute" : p.fits ? "b-memory" : "b-none"} ${p.key === chosen ? "chosen" : ""}`} cx={X(p.x)} cy={Y(p.y)} r={p.front ? 6 : 4} role="button" tabindex={0} aria-pressed={p.key === chosen} aria-label={p.text} onClick={() => choose(p.key)} onKeyDown={(e) => pressed(e, () => choose(p.key))}>
          <title>{p.text}</title>
        </circle>
      ))}
    </svg>
  );
}
