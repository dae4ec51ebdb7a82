"""Figures of an estimate on matplotlib axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mansard.backends.estimate import Memory, Phase
from mansard.backends.hardware import Hardware
from mansard.core.errors import SpecError, unknown_name
from mansard.core.units import format_bytes, format_flops, format_rate, format_time
from mansard.query.estimate import Estimate
from mansard.render import words
from mansard.render.drawings.bars import LABELS, longest
from mansard.render.drawings.roofline import LABELLED, Dot, ceilings, dots, extent
from mansard.render.estimate_words import title
from mansard.render.palette import MEMORY_HUES, hue
from mansard.render.plots.axes import axes, plain

KINDS = ("roofline", "breakdown", "memory")
NEAR = 0.22, 0.09
"""Shares of the axes within which two labels would lie on one another."""


def plot_of(estimate: Estimate, kind: str, phase: str | None, ax: Any) -> Any:
    """Draw a figure of an estimate; return its axes.

    Raises:
        MansardError: no such figure or phase, or matplotlib is not installed.
    """
    if kind == "graph":
        raise SpecError(
            "a graph has no axes to be drawn on",
            hint=f"figure('graph') draws it as SVG; on axes are {', '.join(KINDS)}",
        )
    if kind not in KINDS:
        raise unknown_name("figure of an estimate", kind, KINDS)
    if kind == "memory":
        return memory(estimate.memory, title(estimate), ax)
    shown = estimate.phase(phase or tuple(estimate.phases)[-1])
    name = f"{title(estimate)}, {shown.name}"
    if kind == "breakdown":
        return breakdown(shown, name, ax)
    return roofline(estimate.chip, shown, name, ax)


def roofline(chip: Hardware, phase: Phase, name: str, ax: Any = None) -> Any:
    """Draw a phase's operators under the roof; a dot's area is its share of the time."""
    found, peaks = dots(phase), ceilings(chip, phase)
    bandwidth = float(chip.bandwidth_bytes_per_s)
    across, up = extent(found, peaks, bandwidth)
    ax = axes(ax, 7.2, 4.2)
    ax.set(xscale="log", yscale="log", xlim=across, ylim=up, title=f"Roofline of {name}",
           xlabel="arithmetic intensity, FLOP/B", ylabel="FLOP/s")  # fmt: skip
    ax.grid(color="0.92")
    ax.set_axisbelow(True)
    start = max(across[0], up[0] / bandwidth)
    for k, (label, peak) in enumerate(peaks):
        ridge = peak / bandwidth
        slope = ((start, bandwidth * start),) if k == 0 else ()
        xs, ys = zip(*slope, (ridge, peak), (across[1], peak), strict=True)
        ax.plot(xs, ys, color="0.45" if k else "0.1", linestyle="--" if k else "-", linewidth=1.4,
                label=f"{label} {format_flops(peak, per_second=True)}")  # fmt: skip
    ax.plot([], [], " ", label=f"memory {format_rate(bandwidth, 'B/s')}")
    for dot in found:
        share = min(1.0, max(0.0, dot.row.share))
        ax.scatter(dot.intensity, dot.achieved, s=30 + 700 * share, color=hue(dot.row.bound),
                   alpha=0.6, edgecolor=hue(dot.row.bound), zorder=3)  # fmt: skip
    _label(ax, found[:LABELLED], across, up)
    ax.legend(loc="lower right", frameon=False, fontsize=8)
    return ax


def _label(
    ax: Any, found: Sequence[Dot], across: tuple[float, float], up: tuple[float, float]
) -> None:
    """Name dots, those close to one another below each other."""
    placed: list[tuple[float, float]] = []
    for dot in found:
        at = _share(dot.intensity, across), _share(dot.achieved, up)
        near = sum(abs(at[0] - x) < NEAR[0] and abs(at[1] - y) < NEAR[1] for x, y in placed)
        placed.append(at)
        left = at[0] > 0.7
        ax.annotate(
            dot.row.name.rpartition(".")[2], (dot.intensity, dot.achieved),
            xytext=(-9 if left else 9, -11 * (near + 1)), textcoords="offset points",
            ha="right" if left else "left", fontsize=8,
        )  # fmt: skip


def _share(value: float, ends: tuple[float, float]) -> float:
    """Return where a value lies on a logarithmic axis, 0 to 1."""
    return math.log(value / ends[0]) / math.log(ends[1] / ends[0])


def breakdown(phase: Phase, name: str, ax: Any = None) -> Any:
    """Draw the operators that take most of a phase, the longest on top."""
    shown = longest(phase)
    ax = axes(ax, 7.2, 0.8 + 0.3 * max(1, len(shown)))
    places = range(len(shown))
    ax.barh(places, [time_s for _, _, time_s, _ in shown],
            color=[hue(bound) for _, bound, _, _ in shown], height=0.6)  # fmt: skip
    ax.set_yticks(places, [words.shorten(op, 30) for op, *_ in shown])
    ax.invert_yaxis()
    for at, (_, _, time_s, share) in enumerate(shown):
        ax.annotate(f"{format_time(time_s)}  {words.percent(share)}", (time_s, at),
                    xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)  # fmt: skip
    ax.margins(x=0.25)
    ax.set(xlabel="time, s",
           title=f"Where the time of {name} goes: {format_time(phase.time_s)}")  # fmt: skip
    plain(ax.spines["top"], ax.spines["right"])
    return ax


def memory(held: Memory, name: str, ax: Any = None) -> Any:
    """Draw what lies in a device's memory beside its capacity."""
    ax = axes(ax, 7.2, 1.6)
    left = 0.0
    for part, label in LABELS.items():
        size = float(getattr(held, part)) / 1e9
        if size:
            ax.barh(0, size, left=left, color=MEMORY_HUES[part], height=0.5,
                    label=f"{label} {format_bytes(getattr(held, part))}")  # fmt: skip
        left += size
    of = ""
    if held.capacity is not None:
        ax.axvline(float(held.capacity) / 1e9, color="#b3261e", linewidth=2)
        of = f" of {format_bytes(held.capacity)}"
    ax.set(yticks=[], xlabel="GB", xlim=(0, None), ylim=(-0.5, 1.1),
           title=f"Memory of {name}: {format_bytes(held.total)}{of}")  # fmt: skip
    ax.legend(loc="upper left", ncols=4, frameon=False, fontsize=8)
    plain(ax.spines["top"], ax.spines["right"], ax.spines["left"])
    return ax
