"""What figures of a sweep show: cells over two axes, points by two metrics and the best of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mansard.core.errors import SpecError, unknown_name
from mansard.core.records import dataclass
from mansard.query.metrics import HIGHER, METRICS
from mansard.query.sweeps.result import Sweep


@dataclass(frozen=True)
class Cell:
    """One point of a grid.

    Args:
        value: of the metric; None where it is unknown.
        fits: whether it fits the memory.
        level: where it lies between the least and the greatest, on a logarithmic scale.
    """

    value: float | None
    fits: bool
    level: float


@dataclass(frozen=True)
class Grid:
    """A metric over two axes: rows of cells from the top.

    Args:
        title: what it shows.
        field: the metric's name in JSON.
        down, across: names of the axes.
        ys, xs: their values.
        rows: of cells.
    """

    title: str
    field: str
    down: str
    across: str
    ys: Sequence[Any]
    xs: Sequence[Any]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Point:
    """A point by two metrics; ``best`` where no other that fits beats it in both."""

    x: float
    y: float
    fits: bool
    best: bool
    said: str


def grid(sweep: Sweep, metric: str) -> Grid:
    """Return a metric over the two axes of a sweep.

    Raises:
        MansardError: no such metric, or the sweep is not a whole one over two axes.
    """
    field = field_of(metric)
    if len(sweep.axes) != 2 or sweep.reduced:
        raise SpecError("a heat map is of a whole sweep over two axes",
                        hint="give two axes, and neither --pareto nor --top")  # fmt: skip
    down, across = sweep.axes
    records = {(row[down.name], row[across.name]): row for row in sweep.records()}
    ys = [down.shown(k) for k in range(len(down.values))]
    xs = [across.shown(k) for k in range(len(across.values))]
    values = [v for r in records.values() if (v := r.get(field)) is not None and v > 0]
    low, high = (math.log(min(values)), math.log(max(values))) if values else (0.0, 1.0)

    def cell(y: Any, x: Any) -> Cell:
        row = records.get((y, x), {})
        value, level = row.get(field), 0.0
        if value is not None and value > 0:
            level = (math.log(value) - low) / (high - low) if high > low else 0.5
        return Cell(value, row.get("fits") is not False, level)

    title = f"{METRICS[metric].label} by {down.name} and {across.name}"
    rows = tuple(tuple(cell(y, x) for x in xs) for y in ys)
    return Grid(title, field, down.name, across.name, ys, xs, rows)


def points(sweep: Sweep, metric: str, against: str) -> tuple[Point, ...]:
    """Return every point that has both metrics.

    Raises:
        MansardError: no such metric, or no point has both.
    """
    up, along = field_of(metric), field_of(against)
    found = [
        (row[along], row[up], row.get("fits") is not False, row)
        for row in sweep.records()
        if row.get(up) and row.get(along)
    ]
    if not found:
        raise SpecError(f"no point has {metric} and {against}", hint="sweep the whole request")
    best = _front([(x, y) for x, y, fits, _ in found if fits], against, metric)
    names = [axis.name for axis in sweep.axes]
    return tuple(
        Point(x, y, fits, fits and (x, y) in best,
              ", ".join(f"{n} {row[n]}" for n in names if n in row))
        for x, y, fits, row in found
    )  # fmt: skip


def front(found: Sequence[Point]) -> list[tuple[float, float]]:
    """Return the places of the best points, from left to right."""
    return sorted({(p.x, p.y) for p in found if p.best})


def field_of(metric: str) -> str:
    """Return a metric's name in JSON.

    Raises:
        UnknownNameError: no such metric.
    """
    if metric not in METRICS:
        raise unknown_name("metric", metric, METRICS)
    return METRICS[metric].field


def _front(places: Sequence[tuple[float, float]], along: str, up: str) -> set[tuple[float, float]]:
    signs = [-1 if METRICS[m].better == HIGHER else 1 for m in (along, up)]
    best: list[tuple[float, float]] = []
    for place in sorted(set(places), key=lambda p: (signs[0] * p[0], signs[1] * p[1])):
        if not best or signs[1] * place[1] < signs[1] * best[-1][1]:
            best.append(place)
    return set(best)
