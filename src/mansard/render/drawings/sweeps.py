"""A sweep: cells of two axes, or the points of two metrics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mansard.core.errors import unknown_name
from mansard.core.units import format_bytes, format_time
from mansard.query.metrics import METRICS
from mansard.query.sweeps.result import Sweep
from mansard.render.drawings.drawing import INK, PAPER, Drawing, Figure, LogAxis
from mansard.render.drawings.points import Cell, Point, field_of, front, grid, points
from mansard.render.palette import hue

CELL_W, CELL_H, LEFT, TOP = 76, 30, 110, 54
WIDTH, HEIGHT = 720, 420
KINDS = ("heatmap", "pareto")
USUAL = ("throughput", "tpot")
DEEP = 0.82
"""Share of the hue from which light text on it reads better than dark."""


def figure_of(sweep: Sweep, kind: str, metrics: Sequence[str]) -> Figure:
    """Draw a sweep.

    Args:
        sweep: with two axes for a heat map.
        kind: "heatmap" of one metric, or "pareto" of two.
        metrics: by name.

    Raises:
        MansardError: no such figure or metric, or the sweep does not have its axes.
    """
    asked = metrics_of(kind, metrics)
    return heatmap(sweep, asked[0]) if kind == "heatmap" else pareto(sweep, *asked)


def metrics_of(kind: str, metrics: Sequence[str]) -> tuple[str, str]:
    """Return the metrics of a figure of a sweep, those usual where none are given.

    Raises:
        UnknownNameError: no such figure.
    """
    if kind not in KINDS:
        raise unknown_name("figure of a sweep", kind, KINDS)
    first, second = (*metrics, *USUAL[len(metrics) :])[:2]
    return first, second


def heatmap(sweep: Sweep, metric: str) -> Figure:
    """Draw a metric over the first two axes; what does not fit the memory is struck."""
    shown = grid(sweep, metric)
    xs, ys = shown.xs, shown.ys
    drawing = Drawing(LEFT + CELL_W * len(xs) + 16, TOP + CELL_H * len(ys) + 44, shown.title)
    drawing.text(14, 20, shown.title, fill=INK, size=13, bold=True)
    drawing.text(14, TOP - 8, f"{shown.down} ↓")
    for j, (y, row) in enumerate(zip(ys, shown.rows, strict=True)):
        drawing.text(LEFT - 8, TOP + CELL_H * j + 19, named(y), anchor="end")
        for i, cell in enumerate(row):
            _cell(drawing, i, j, cell, shown.field)
    for i, x in enumerate(xs):
        drawing.text(LEFT + CELL_W * (i + 0.5), TOP + CELL_H * len(ys) + 16, named(x),
                     anchor="middle")  # fmt: skip
    drawing.text(LEFT + CELL_W * len(xs) / 2, TOP + CELL_H * len(ys) + 34, shown.across,
                 anchor="middle")  # fmt: skip
    return drawing.done()


def _cell(drawing: Drawing, i: int, j: int, cell: Cell, field: str) -> None:
    x, y = LEFT + CELL_W * i, TOP + CELL_H * j
    drawing.add("rect", x=x + 1, y=y + 1, width=CELL_W - 2, height=CELL_H - 2, rx=2,
                fill=hue("memory"), fill_opacity=0.06 + 0.88 * cell.level)  # fmt: skip
    if not cell.fits:
        drawing.line(x + 3, y + CELL_H - 3, x + CELL_W - 3, y + 3, stroke="#b3261e")
    drawing.text(x + CELL_W / 2, y + 19, written(field, cell.value), anchor="middle",
                 fill=PAPER if cell.level > DEEP else INK)  # fmt: skip


def pareto(sweep: Sweep, metric: str, against: str) -> Figure:
    """Draw every point by two metrics and join those that no other beats."""
    shown = points(sweep, metric, against)
    up, along = field_of(metric), field_of(against)
    x = LogAxis(*_padded([p.x for p in shown]), 96, WIDTH - 24)
    y = LogAxis(*_padded([p.y for p in shown]), HEIGHT - 54, 44)
    title = f"{METRICS[metric].label} against {METRICS[against].label}"
    drawing = Drawing(WIDTH, HEIGHT, title)
    drawing.text(14, 20, title, fill=INK, size=13, bold=True)
    for value in _ticks(x.low, x.high):
        drawing.line(x.at(value), 44, x.at(value), HEIGHT - 54)
        drawing.text(x.at(value), HEIGHT - 38, written(along, value), anchor="middle")
    for value in _ticks(y.low, y.high):
        drawing.line(96, y.at(value), WIDTH - 24, y.at(value))
        drawing.text(88, y.at(value) + 4, written(up, value), anchor="end")
    drawing.text(WIDTH / 2, HEIGHT - 14, METRICS[against].label, anchor="middle")
    path = "L".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in front(shown))
    if path:
        drawing.add("path", d=f"M{path}", fill="none", stroke=hue("compute"), stroke_width=1.4)
    for point in shown:
        tone = tone_of(point)
        drawing.add("circle", cx=x.at(point.x), cy=y.at(point.y), r=6 if point.best else 4,
                    fill=tone, fill_opacity=0.55, stroke=tone, tip=point.said)  # fmt: skip
    return drawing.done()


def tone_of(point: Point) -> str:
    """Return the hue of a point: the best, those that fit, those that do not."""
    return hue("compute" if point.best else "memory" if point.fits else "none")


def _padded(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    pad = (high / low) ** 0.06 if high > low else 1.1
    return low / pad, high * pad


def _ticks(low: float, high: float) -> list[float]:
    steps = (1,) if high / low > 1e4 else (1, 2, 5)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [s * 10.0**p for p in powers for s in steps if low <= s * 10.0**p <= high]
    return found if len(found) > 1 else [low, high]


def written(field: str, value: float | None) -> str:
    """Write a metric by the name of its field, without what a cell has no room for."""
    if value is None:
        return "–"
    if field.endswith("_tok_s") or field == "tokens_per_s_per_user":
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    if field.endswith("_s"):
        return format_time(value)
    if field in ("memory", "capacity", "weights", "kv_cache", "activations", "overhead"):
        return format_bytes(value)
    return f"{value:.3g}"


def named(value: Any) -> str:
    """Write a value of an axis."""
    return f"{value:,}" if isinstance(value, int) else str(value)[:16]
