"""The roofline of a phase in a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from mansard.backends.estimate import Phase
from mansard.backends.hardware import Hardware
from mansard.core.units import format_flops, format_rate
from mansard.query.estimate import Estimate
from mansard.render import words
from mansard.render.braille import Canvas
from mansard.render.drawings.drawing import LogAxis
from mansard.render.drawings.roofline import Dot, ceilings, dots, extent
from mansard.render.headline import packed
from mansard.render.palette import QUIET, STRONG, bound_style

GUTTER, WIDEST, HEIGHT, MARKED = 8, 92, 15, 9


def rooflines(estimate: Estimate, width: int) -> Iterator[RenderableType]:
    """Yield the roofline of every phase for a terminal of ``width`` columns."""
    for phase in estimate.phases.values():
        yield ""
        yield from roofline(estimate.chip, phase, width)


def roofline(chip: Hardware, phase: Phase, width: int) -> Iterator[RenderableType]:
    """Yield a phase's roof, its operators as digits by share of the time, and their names."""
    points, peaks = dots(phase), ceilings(chip, phase)
    bandwidth = float(chip.bandwidth_bytes_per_s)
    if not points or not peaks:
        yield Text(f"{phase.name}: nothing computes, so there is no roofline", QUIET)
        return
    cells = max(24, min(WIDEST, width - GUTTER - 2))
    across, up = extent(points, peaks, bandwidth)
    x = LogAxis(*across, 0, 2 * cells - 1)
    y = LogAxis(*up, 4 * HEIGHT - 1, 0)
    canvas = Canvas(cells, HEIGHT)
    for column in range(2 * cells):
        intensity = across[0] * (across[1] / across[0]) ** (column / (2 * cells - 1))
        attained = min(peaks[0][1], intensity * bandwidth)
        if attained >= up[0]:
            canvas.dot(column, round(y.at(attained)))
    marked = points[:MARKED]
    for k, dot in enumerate(marked):
        canvas.letter(round(x.at(dot.intensity)), round(y.at(dot.achieved)), str(k + 1))
    label, peak = peaks[0]
    roof = f"{label} {format_flops(peak, per_second=True)}, {format_rate(bandwidth, 'B/s')}"
    ridge = f"ridge {words.intensity(peak / bandwidth)} FLOP/B"
    head = f"Roofline, {phase.name}"
    facts = [Text(fact, QUIET) for fact in (roof, ridge, "FLOP/s by FLOP/B")]
    yield from packed([Text(head, STRONG), *facts], width, Text("  "))
    ticks = {round(y.at(10.0**p)) // 4: format_flops(10.0**p) for p in y.powers}
    for row, line in enumerate(canvas.lines()):
        tick = ticks.get(row, "").removesuffix("FLOP").strip()
        yield Text.assemble((f"{tick:>{GUTTER - 2}} ┤", QUIET), *_coloured(line, marked))
    yield Text(f"{'':>{GUTTER - 2}} └{'─' * cells}", QUIET)
    yield Text(f"{'':>{GUTTER}}{_axis(x, cells)}", QUIET)
    names = [
        Text.assemble((f"{k + 1} ", STRONG), (dot.row.name, bound_style(dot.row.bound)))
        for k, dot in enumerate(marked)
    ]
    yield from packed(names, width - 2, Text("  "), indent=2)


def _coloured(line: str, marked: list[Dot]) -> Iterator[tuple[str, str]]:
    """Yield the characters of a line, digits in the colour of what bounds their operator."""
    for c in line:
        known = c.isdigit() and c.isascii()
        yield c, f"bold {bound_style(marked[int(c) - 1].row.bound)}".strip() if known else ""


def _axis(x: LogAxis, cells: int) -> str:
    """Return the numbers below the axis."""
    places = [" "] * (cells + 8)
    for power in x.powers:
        text = f"{10.0**power:g}"
        at = min(math.floor(x.at(10.0**power) / 2), cells - len(text))
        places[at : at + len(text)] = text
    return "".join(places).rstrip()
