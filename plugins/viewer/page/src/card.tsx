// A figure with its table twin, and both as files.

import type { ComponentChildren } from "preact";
import { useId, useRef, useState } from "preact/hooks";
import { type Cell, csv, save, savePng, svgText } from "./saving";

export interface Table {
  columns: string[];
  rows: { key: string; cells: ComponentChildren[]; op?: string; chosen?: boolean }[];
  raw: { columns: string[]; rows: Cell[][] }; // the same in SI units, for CSV
  choose?: (key: string) => void;
}

interface Props {
  title: string;
  name: string;
  note?: ComponentChildren;
  table?: () => Table; // made when somebody looks at it or saves it
  twin?: boolean; // whether the table is shown in the figure's place; else it is only saved
  extra?: ComponentChildren;
  drawn?: boolean; // whether the figure is an SVG that can be saved
  children: ComponentChildren;
}

export function Card({ title, name, note, table, twin = true, extra, drawn = true, children }: Props) {
  const [flat, setFlat] = useState(false);
  const body = useRef<HTMLDivElement>(null);
  const id = useId();
  const svg = (): SVGSVGElement | null => body.current?.querySelector("svg") ?? null;
  const menu = useRef<HTMLDetailsElement>(null);
  const kept = (act: () => void): void => {
    act();
    if (menu.current) menu.current.open = false;
  };
  return (
    <section class="card" aria-labelledby={id} data-card={name}>
      <header class="card-head">
        <h2 id={id}>{title}</h2>
        {note && <span class="note">{note}</span>}
        <span class="grow" />
        {extra}
        <span class="tools">
          {table && twin && (
            <button type="button" class="tool" aria-pressed={flat} onClick={() => setFlat(!flat)} data-twin={name}>
              {flat ? "Figure" : "Table"}
            </button>
          )}
          {(drawn || table) && (
            <details class="save" ref={menu}>
              <summary class="tool">Save</summary>
              <div class="menu">
                {drawn && !flat && <button type="button" onClick={() => kept(() => { const found = svg(); if (found) save(`${name}.svg`, svgText(found), "image/svg+xml"); })}>SVG</button>}
                {drawn && !flat && <button type="button" onClick={() => kept(() => { const found = svg(); if (found) void savePng(found, `${name}.png`); })}>PNG</button>}
                {table && <button type="button" onClick={() => kept(() => { const { raw } = table(); save(`${name}.csv`, csv(raw.columns, raw.rows), "text/csv"); })}>CSV</button>}
              </div>
            </details>
          )}
        </span>
      </header>
      <div ref={body} class="card-body">{flat && table ? <DataTable table={table()} label={title} /> : children}</div>
    </section>
  );
}

export function DataTable({ table, label }: { table: Table; label: string }) {
  const { choose } = table;
  return (
    <div class="scroll" role="region" aria-label={`${label}, table`} tabIndex={0}>
      <table class="data">
        <thead>
          <tr>{table.columns.map((name) => <th key={name} scope="col">{name}</th>)}</tr>
        </thead>
        <tbody>
          {table.rows.map((row) => (
            <tr key={row.key} class={row.chosen ? "chosen" : ""} data-op={row.op}>
              {row.cells.map((cell, k) =>
                k === 0 ? (
                  <th key={k} scope="row">
                    {choose ? <button type="button" class="link" onClick={() => choose(row.key)}>{cell}</button> : cell}
                  </th>
                ) : (
                  <td key={k}>{cell}</td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function Bound({ bound }: { bound: string }) {
  return (
    <span class={`bound b-${bound.split(" ").pop()}`}>
      <i aria-hidden="true" />
      {bound}
    </span>
  );
}
