"""Estimates, comparisons and sweeps in a notebook: tables and figures without a script."""

from __future__ import annotations

from html import escape as escaped
from typing import TYPE_CHECKING

from mansard.core.units import format_bytes, format_count, format_time
from mansard.query.estimate import Estimate
from mansard.render import estimate_words, words
from mansard.render.drawings.drawing import legal
from mansard.render.drawings.estimates import figure_of

if TYPE_CHECKING:
    from mansard.query.comparing import Comparison
    from mansard.query.sweeps.result import Sweep

ROWS = 8
STYLE = "text-align:right;padding:2px 10px;white-space:nowrap"


def html(estimate: Estimate) -> str:
    """Return an estimate as HTML; every name is escaped."""
    metrics = estimate.metrics
    shown = [
        *(pair for pair in estimate_words.measured(estimate) if pair[0] != "per user"),
        ("memory", f"{format_bytes(estimate.memory.total)} of {words.capacity(estimate.memory)}"),
    ]
    if cost := words.cost(metrics):
        shown.append(("cost", cost))
    head = _table([name for name, _ in shown], [[value for _, value in shown]])
    asked = escape(", ".join(estimate_words.scenario(estimate)))
    parts = [f"<p><b>{escape(estimate_words.title(estimate))}</b> · {asked}</p>", head]
    for phase in estimate.phases.values():
        rows = [
            [
                op.name, words.times(op.count), op.bound, format_count(op.flops),
                format_bytes(op.bytes), words.intensity(op.intensity), format_time(op.time_s),
                words.percent(op.share),
            ]
            for op in phase.ops[:ROWS]
        ]  # fmt: skip
        columns = ["operator", "×", "bound", "FLOPs", "bytes", "FLOP/B", "time", "share"]
        left = f", {len(phase.ops) - ROWS} more" if len(phase.ops) > ROWS else ""
        parts.append(f"<p><b>{escape(phase.name)}</b> {format_time(phase.time_s)}{left}</p>")
        parts.append(_table(columns, rows))
        parts.append(figure_of(estimate, "roofline", phase.name).svg)
    parts.append(figure_of(estimate, "memory", None).svg)
    if estimate.backend:
        parts += [f"<p>assumes: {escape(said)}</p>" for said in estimate_words.stated(estimate)]
    parts += [f"<p>{escape(n.message)} <code>{escape(n.code)}</code></p>" for n in estimate.notes]
    return f"<div>{''.join(parts)}</div>"


def comparison_html(comparison: Comparison) -> str:
    """Return answers side by side as HTML."""
    from mansard.render.comparison import footer, written

    columns, rows = written(comparison)
    problems = [
        f"<p>{escape(e.model)} on {escape(e.on)}: {escape(e.problem.message)}</p>"
        for e in comparison.entries
        if e.problem
    ]
    said = f"<p>{escape(footer(comparison))}</p>"
    return f"<div>{_table(columns, rows)}{said}{''.join(problems)}</div>"


def sweep_html(sweep: Sweep) -> str:
    """Return a sweep as HTML: its cells where it is whole over two axes, and the first rows."""
    from mansard.render.drawings.sweeps import figure_of as drawn
    from mansard.render.sweeps import SHOWN, listing

    cells = ""
    if len(sweep.axes) == 2 and not sweep.reduced and not sweep.interrupted:
        metric = "throughput" if "throughput_tok_s" in sweep.columns else "tpot"
        cells = drawn(sweep, "heatmap", (metric,)).svg
    shown = listing(sweep, SHOWN)
    rows = [[row.get(c.name, "") for c in shown.columns] for row in shown.shown]
    table = _table([c.title for c in shown.columns], rows)
    return f"<div>{cells}{table}<p>{escape(shown.footer)}</p></div>"


def _table(columns: list[str], rows: list[list[str]]) -> str:
    head = "".join(f'<th scope="col" style="{STYLE}">{escape(c)}</th>' for c in columns)
    body = "".join(
        "<tr>" + "".join(f'<td style="{STYLE}">{escape(c)}</td>' for c in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def escape(text: str) -> str:
    """Return text as HTML shows it."""
    return escaped(legal(text))
