"""Figures of a sweep on matplotlib axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mansard.query.metrics import METRICS
from mansard.query.sweeps.result import Sweep
from mansard.render.drawings.points import front, grid, points
from mansard.render.drawings.sweeps import DEEP, metrics_of, named, tone_of, written
from mansard.render.palette import hue
from mansard.render.plots.axes import axes

UNITS = {"time": "s", "bytes": "B", "1/s": "tok/s"}
"""Dimension of a metric → the unit of its axis."""


def plot_of(sweep: Sweep, kind: str, metrics: Sequence[str], ax: Any) -> Any:
    """Draw a figure of a sweep; return its axes.

    Raises:
        MansardError: no such figure or metric, the sweep does not have its axes, or matplotlib is
            not installed.
    """
    asked = metrics_of(kind, metrics)
    return heatmap(sweep, asked[0], ax) if kind == "heatmap" else pareto(sweep, *asked, ax)


def heatmap(sweep: Sweep, metric: str, ax: Any = None) -> Any:
    """Draw a metric over the two axes of a sweep; what does not fit the memory is struck."""
    shown = grid(sweep, metric)
    ax = axes(ax, 1.4 + 0.75 * len(shown.xs), 1.1 + 0.34 * len(shown.ys))
    for j, row in enumerate(shown.rows):
        for i, cell in enumerate(row):
            ax.add_patch(_square(i, j, 0.06 + 0.88 * cell.level))
            if not cell.fits:
                ax.plot([i - 0.42, i + 0.42], [j + 0.4, j - 0.4], color="#b3261e", linewidth=1)
            ax.text(i, j, written(shown.field, cell.value), ha="center", va="center", fontsize=8,
                    color="white" if cell.level > DEEP else "0.1")  # fmt: skip
    ax.set(xlim=(-0.5, len(shown.xs) - 0.5), ylim=(len(shown.ys) - 0.5, -0.5), title=shown.title,
           xlabel=shown.across, ylabel=shown.down)  # fmt: skip
    ax.set_xticks(range(len(shown.xs)), [named(x) for x in shown.xs])
    ax.set_yticks(range(len(shown.ys)), [named(y) for y in shown.ys])
    ax.tick_params(length=0)
    return ax


def pareto(sweep: Sweep, metric: str, against: str, ax: Any = None) -> Any:
    """Draw every point by two metrics and join those that no other beats."""
    shown = points(sweep, metric, against)
    ax = axes(ax, 7.2, 4.2)
    ax.set(xscale="log", yscale="log", xlabel=_axis(against), ylabel=_axis(metric),
           title=f"{METRICS[metric].label} against {METRICS[against].label}")  # fmt: skip
    ax.grid(color="0.92")
    best = front(shown)
    if best:
        ax.plot(*zip(*best, strict=True), color=hue("compute"), linewidth=1.4)
    for point in shown:
        ax.scatter(point.x, point.y, s=48 if point.best else 22, color=tone_of(point), alpha=0.6,
                   edgecolor=tone_of(point), zorder=3)  # fmt: skip
    return ax


def _axis(metric: str) -> str:
    known = METRICS[metric]
    unit = UNITS.get(known.dimension)
    return f"{known.label}, {unit}" if unit else known.label


def _square(i: int, j: int, alpha: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((i - 0.48, j - 0.46), 0.96, 0.92, color=hue("memory"), alpha=alpha,
                     linewidth=0)  # fmt: skip
