// Layouts by structure: a slider changes figures and never moves a node.

import { report } from "./api";
import { type Asked, layout, type Placed } from "./layout";

const KEPT = 40;
const SMALL = 60; // nodes that are placed at once: a few hundredths of a second
const placed = new Map<string, Placed>();
const waiting = new Map<number, (found: Placed) => void>();
let worker: Worker | null | undefined;
let last = 0;

function hired(): Worker | null {
  if (worker === undefined) {
    try {
      worker = report ? null : new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
      worker?.addEventListener("message", (event: MessageEvent<{ id: number; placed: Placed }>) => {
        waiting.get(event.data.id)?.(event.data.placed);
        waiting.delete(event.data.id);
      });
    } catch {
      worker = null; // a page from disk has none: the layout is done here
    }
  }
  return worker ?? null;
}

function keep(structure: string, found: Placed): Placed {
  placed.set(structure, found);
  if (placed.size > KEPT) placed.delete(placed.keys().next().value as string);
  return found;
}

/** The layout of a structure where it is known or small, else null and `later` is called. */
export function place(structure: string, asked: Asked, later: (found: Placed) => void): Placed | null {
  const known = placed.get(structure);
  if (known) return known;
  const other = asked.nodes.length > SMALL ? hired() : null;
  if (!other) return keep(structure, layout(asked));
  const id = (last += 1);
  waiting.set(id, (found) => later(keep(structure, found)));
  other.postMessage({ id, asked });
  return null;
}
