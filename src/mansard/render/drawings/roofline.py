"""A phase's operators under the roof of the chip."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mansard.backends.estimate import Phase, Row
from mansard.backends.hardware import Hardware
from mansard.core.errors import MansardError
from mansard.core.records import dataclass
from mansard.core.units import format_flops, format_rate, format_time
from mansard.render import words
from mansard.render.drawings.drawing import INK, QUIET, Drawing, Figure, LogAxis
from mansard.render.palette import hue

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 24, 34, 52
LABELLED = 5


@dataclass(frozen=True)
class Dot:
    """An operator: FLOP/B and FLOP/s."""

    row: Row
    intensity: float
    achieved: float


def dots(phase: Phase) -> list[Dot]:
    """Return the operators that do arithmetic on what they move, by share of the time."""
    return [
        Dot(row, row.intensity, row.flops / row.time_s)
        for row in phase.ops
        if row.intensity and row.flops and row.time_s
    ]


def ceilings(chip: Hardware, phase: Phase) -> list[tuple[str, float]]:
    """Return the peaks the operators meet, by name, the highest first."""
    found: dict[str, float] = {}
    for row in phase.ops:
        if row.unit not in ("matrix", "vector") or not row.flops:
            continue
        try:
            peak = chip.peak(row.unit, row.compute_dtype)
        except MansardError:
            continue
        if peak.flops_per_s is not None:
            label = peak.dtype if row.unit == "matrix" else "vector"
            found[label] = float(peak.flops_per_s)
    return sorted(found.items(), key=lambda item: -item[1])


def extent(
    points: Sequence[Dot], peaks: Sequence[tuple[str, float]], bandwidth: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the ends of both axes, powers of ten that hold the roof and every operator."""
    ridges = [peak / bandwidth for _, peak in peaks]
    least = min([0.2, *(p.intensity for p in points)])
    most = max([1000.0, *(3 * r for r in ridges), *(1.3 * p.intensity for p in points)])
    top = max([bandwidth, *(p for _, p in peaks), *(p.achieved for p in points)])
    low = min([top / 1e3, *(p.achieved for p in points)])
    y1 = 10.0 ** math.ceil(math.log10(top) + 0.12)
    y0 = max(y1 / 1e7, 10.0 ** math.floor(math.log10(low)))
    x0, x1 = 10.0 ** math.floor(math.log10(least)), 10.0 ** math.ceil(math.log10(most))
    return (x0, x1), (y0, y1)


def roofline(chip: Hardware, phase: Phase, title: str) -> Figure:
    """Draw a phase's operators; a dot's size is its share of the time, its hue what bounds it."""
    points, peaks = dots(phase), ceilings(chip, phase)
    bandwidth = float(chip.bandwidth_bytes_per_s)
    across, up = extent(points, peaks, bandwidth)
    x = LogAxis(*across, LEFT, WIDTH - RIGHT)
    y = LogAxis(*up, HEIGHT - BOTTOM, TOP)
    drawing = Drawing(WIDTH, HEIGHT, f"Roofline of {title}")
    drawing.text(LEFT, 18, drawing.title, fill=INK, size=13, bold=True)
    for power in x.powers:
        at = x.at(10.0**power)
        drawing.line(at, TOP, at, HEIGHT - BOTTOM)
        drawing.text(at, HEIGHT - BOTTOM + 16, f"{10.0**power:g}", anchor="middle")
    for power in y.powers:
        at = y.at(10.0**power)
        drawing.line(LEFT, at, WIDTH - RIGHT, at)
        drawing.text(LEFT - 7, at + 4, _tick(power), anchor="end")
    drawing.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, "arithmetic intensity, FLOP/B",
                 anchor="middle")  # fmt: skip
    drawing.text(8, TOP - 14, "FLOP/s")
    start = max(across[0], up[0] / bandwidth)
    for k, (label, peak) in enumerate(peaks):
        ridge = peak / bandwidth
        begin = f"M{x.at(start):.1f},{y.at(bandwidth * start):.1f}L" if k == 0 else "M"
        path = f"{begin}{x.at(ridge):.1f},{y.at(peak):.1f}L{WIDTH - RIGHT},{y.at(peak):.1f}"
        stroke, width, dashes = (QUIET, 1.3, "5 4") if k else (INK, 1.8, None)
        drawing.add("path", d=path, fill="none", stroke=stroke, stroke_width=width,
                    stroke_dasharray=dashes)  # fmt: skip
        drawing.text(WIDTH - RIGHT, y.at(peak) + (14 if k else -6),
                     f"{label} {format_flops(peak, per_second=True)}", anchor="end", fill=INK,
                     bold=True)  # fmt: skip
    drawing.text(x.at(start) + 8, y.at(bandwidth * start) - 24, format_rate(bandwidth, "B/s"),
                 fill=INK, bold=True)  # fmt: skip
    for dot in points:
        row = dot.row
        drawing.add(
            "circle", cx=x.at(dot.intensity), cy=y.at(dot.achieved),
            r=4 + 13 * math.sqrt(min(1.0, max(0.0, row.share))), fill=hue(row.bound),
            fill_opacity=0.55, stroke=hue(row.bound),
            tip=f"{row.name}: {words.intensity(dot.intensity)} FLOP/B, "
            f"{format_flops(dot.achieved, per_second=True)}, {row.bound} bound, "
            f"{format_time(row.time_s)}, {words.percent(row.share)}",
        )  # fmt: skip
    taken: list[tuple[float, float, float]] = []
    for dot in points[:LABELLED]:
        _label(drawing, dot, x, y, taken)
    return drawing.done()


def _label(
    drawing: Drawing, dot: Dot, x: LogAxis, y: LogAxis, taken: list[tuple[float, float, float]]
) -> None:
    """Name a dot where nothing else is named."""
    text = dot.row.name.rpartition(".")[2]
    width, radius = 6.3 * len(text), 9 + 13 * math.sqrt(dot.row.share)
    cx, cy = x.at(dot.intensity), y.at(dot.achieved)
    for left, base in (
        (cx + radius, cy + 14),
        (cx + radius, cy - 3),
        (cx - radius - width, cy - 8),
    ):
        inside = left > LEFT and left + width < WIDTH - 8
        clear = all(
            abs(base - b) >= 13 or left >= a + w + 4 or a >= left + width + 4 for a, b, w in taken
        )
        if inside and clear:
            taken.append((left, base, width))
            drawing.text(left, base, text, fill=INK, over=True)
            return


def _tick(power: int) -> str:
    prefixes = ("", "k", "M", "G", "T", "P", "E", "Z")
    step = max(0, min(power // 3, len(prefixes) - 1))
    return f"{10 ** (power - 3 * step):g} {prefixes[step]}".strip()
