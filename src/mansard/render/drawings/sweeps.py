"""A sweep: cells of two axes, or the points of two metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mansard.core.errors import SpecError, unknown_name
from mansard.core.units import format_bytes, format_time
from mansard.query.metrics import HIGHER, METRICS
from mansard.query.sweeps.result import Sweep
from mansard.render.drawings.drawing import INK, PAPER, Drawing, Figure, LogAxis
from mansard.render.palette import hue

CELL_W, CELL_H, LEFT, TOP = 76, 30, 110, 54
WIDTH, HEIGHT = 720, 420
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
    match kind:
        case "heatmap":
            return heatmap(sweep, (*metrics, "throughput")[0])
        case "pareto":
            first, second = (*metrics, "throughput", "tpot")[:2] if len(metrics) != 1 else (
                metrics[0], "tpot")  # fmt: skip
            return pareto(sweep, first, second)
    raise unknown_name("figure of a sweep", kind, ("heatmap", "pareto"))


def heatmap(sweep: Sweep, metric: str) -> Figure:
    """Draw a metric over the first two axes; what does not fit the memory is struck."""
    field = _field(metric)
    if len(sweep.axes) != 2 or sweep.reduced:
        raise SpecError("a heat map is of a whole sweep over two axes",
                        hint="give two axes, and neither --pareto nor --top")  # fmt: skip
    down, across = sweep.axes
    rows = {
        (row[down.name], row[across.name]): row for row in sweep.records()
    }  # fmt: skip
    ys = [down.shown(k) for k in range(len(down.values))]
    xs = [across.shown(k) for k in range(len(across.values))]
    values = [v for r in rows.values() if (v := r.get(field)) is not None and v > 0]
    low, high = (math.log(min(values)), math.log(max(values))) if values else (0.0, 1.0)
    title = f"{METRICS[metric].label} by {down.name} and {across.name}"
    drawing = Drawing(LEFT + CELL_W * len(xs) + 16, TOP + CELL_H * len(ys) + 44, title)
    drawing.text(14, 20, title, fill=INK, size=13, bold=True)
    drawing.text(14, TOP - 8, f"{down.name} ↓")
    for j, y in enumerate(ys):
        drawing.text(LEFT - 8, TOP + CELL_H * j + 19, _name(y), anchor="end")
        for i, x in enumerate(xs):
            _cell(drawing, i, j, rows.get((y, x), {}), field, (low, high))
    for i, x in enumerate(xs):
        drawing.text(LEFT + CELL_W * (i + 0.5), TOP + CELL_H * len(ys) + 16, _name(x),
                     anchor="middle")  # fmt: skip
    drawing.text(LEFT + CELL_W * len(xs) / 2, TOP + CELL_H * len(ys) + 34, across.name,
                 anchor="middle")  # fmt: skip
    return drawing.done()


def _cell(
    drawing: Drawing, i: int, j: int, row: Mapping[str, Any], field: str, ends: tuple[float, float]
) -> None:
    value = row.get(field)
    x, y = LEFT + CELL_W * i, TOP + CELL_H * j
    span = ends[1] - ends[0]
    level = 0.0
    if value is not None and value > 0:
        level = (math.log(value) - ends[0]) / span if span else 0.5
    drawing.add("rect", x=x + 1, y=y + 1, width=CELL_W - 2, height=CELL_H - 2, rx=2,
                fill=hue("memory"), fill_opacity=0.06 + 0.88 * level)  # fmt: skip
    if row.get("fits") is False:
        drawing.line(x + 3, y + CELL_H - 3, x + CELL_W - 3, y + 3, stroke="#b3261e")
    drawing.text(x + CELL_W / 2, y + 19, written(field, value), anchor="middle",
                 fill=PAPER if level > DEEP else INK)  # fmt: skip


def pareto(sweep: Sweep, metric: str, against: str) -> Figure:
    """Draw every point by two metrics and join those that no other beats."""
    up, along = _field(metric), _field(against)
    points = [
        (row[along], row[up], row.get("fits") is not False, row)
        for row in sweep.records()
        if row.get(up) and row.get(along)
    ]
    if not points:
        raise SpecError(f"no point has {metric} and {against}", hint="sweep the whole request")
    x = LogAxis(*_padded([p[0] for p in points]), 96, WIDTH - 24)
    y = LogAxis(*_padded([p[1] for p in points]), HEIGHT - 54, 44)
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
    front = _front([(p[0], p[1]) for p in points if p[2]], against, metric)
    path = "L".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in front)
    if path:
        drawing.add("path", d=f"M{path}", fill="none", stroke=hue("compute"), stroke_width=1.4)
    labels = tuple(a.name for a in sweep.axes)
    for a, b, fits, row in points:
        best = fits and (a, b) in front
        tone = hue("compute" if best else "memory" if fits else "none")
        said = ", ".join(f"{n} {row[n]}" for n in labels if n in row)
        drawing.add("circle", cx=x.at(a), cy=y.at(b), r=6 if best else 4, fill=tone,
                    fill_opacity=0.55, stroke=tone, tip=said)  # fmt: skip
    return drawing.done()


def _front(points: Sequence[tuple[float, float]], along: str, up: str) -> list[tuple[float, float]]:
    """Return the points no other beats, from left to right."""
    signs = [-1 if METRICS[m].better == HIGHER else 1 for m in (along, up)]
    best: list[tuple[float, float]] = []
    for point in sorted(set(points), key=lambda p: (signs[0] * p[0], signs[1] * p[1])):
        if not best or signs[1] * point[1] < signs[1] * best[-1][1]:
            best.append(point)
    return sorted(best)


def _padded(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    pad = (high / low) ** 0.06 if high > low else 1.1
    return low / pad, high * pad


def _ticks(low: float, high: float) -> list[float]:
    steps = (1,) if high / low > 1e4 else (1, 2, 5)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [s * 10.0**p for p in powers for s in steps if low <= s * 10.0**p <= high]
    return found if len(found) > 1 else [low, high]


def _field(metric: str) -> str:
    if metric not in METRICS:
        raise unknown_name("metric", metric, METRICS)
    return METRICS[metric].field


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


def _name(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)[:16]
