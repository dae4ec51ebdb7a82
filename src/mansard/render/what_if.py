"""A what-if in a terminal: metrics on both sides, then the ops that changed."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mansard.core.units import format_bytes, format_time
from mansard.query.metrics import METRICS
from mansard.query.what_if import OpChange, WhatIf
from mansard.render import estimate_words, words
from mansard.render.console import PLAIN_WIDTH, uncoloured
from mansard.render.palette import BAD, GOOD, QUIET, STRONG

SHOWN = ("ttft", "tpot", "latency", "throughput", "memory", "weights", "kv_cache", "cost_per_mtok")
TOP = 8
"""Ops of each phase."""


def plain(found: WhatIf, width: int = PLAIN_WIDTH) -> str:
    """Return the text without colour."""
    return uncoloured(renderables(found), width)


def renderables(found: WhatIf) -> Iterator[RenderableType]:
    """Yield the parts."""
    changes = ", ".join(f"{k}={v}" for k, v in found.changes.items())
    yield Text(f"{estimate_words.title(found.before)} → {changes}", STRONG)
    yield _table("", [_metric(found, n) for n in SHOWN if None not in found.metric(n)])
    for phase in dict.fromkeys(op.phase for op in found.ops):
        ops = [op for op in found.ops if op.phase == phase]
        yield ""
        yield _table(f"{phase}, a {_unit(found, phase)}", [_op(op) for op in ops[:TOP]])
        if len(ops) > TOP:
            yield Text(f"{len(ops) - TOP} more changed", QUIET)


def _unit(found: WhatIf, phase: str) -> str:
    """Return what a phase's figures are of: where steps make several tokens, a token."""
    several = found.before.decodes_several or found.after.decodes_several
    return "token" if phase == "decode" and several else "step"


def _table(title: str, rows: list[tuple[str, str, str, Text]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(title, overflow="fold")
    for name in ("before", "after", "change"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    return table


def _metric(found: WhatIf, name: str) -> tuple[str, str, str, Text]:
    before, after = found.metric(name)
    assert before is not None
    assert after is not None
    metric = METRICS[name]
    share = after / before - 1 if before else 0.0
    good = (share < 0) == (metric.better == "lower")
    style = "" if abs(share) < 5e-3 else GOOD if good else BAD
    written = (words.figure(name, before, found.before.makes),
               words.figure(name, after, found.after.makes))  # fmt: skip
    return metric.label, *written, Text(words.change(share), style)


def _op(op: OpChange) -> tuple[str, str, str, Text]:
    def side(time_s: float, moved: float) -> str:
        return f"{format_time(time_s)} {format_bytes(moved)}" if time_s else "–"

    style = GOOD if op.change_s < 0 else BAD if op.change_s > 0 else ""
    sign = "−" if op.change_s < 0 else "+"
    text = f"{sign}{format_time(abs(op.change_s))}" if op.change_s else "±0"
    return (
        op.name, side(op.before_s, op.before_bytes), side(op.after_s, op.after_bytes),
        Text(text, style),
    )  # fmt: skip
