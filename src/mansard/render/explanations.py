"""What a metric is made of, in a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mansard.core.units import format_bytes, format_count, format_time
from mansard.query.metrics import METRICS
from mansard.query.solving.explanation import ONCE, Explanation, Part, changes, definition_of
from mansard.query.solving.fits import bases_of
from mansard.query.solving.wording import written
from mansard.render import estimate_words, words
from mansard.render.calibrated_rows import BESIDE, beside, columns_beside, fitted
from mansard.render.console import PLAIN_WIDTH, show_parts, uncoloured
from mansard.render.headline import caveat, packed
from mansard.render.memory_bar import memory_bar
from mansard.render.palette import QUIET, STRONG, bound_style
from mansard.render.pieces import affine_in, bounds_of, inset, pieces, titled

TOP = 10
"""Rows of a phase that are shown unless every one is asked for."""
WIDE = 110
"""Columns from which formulas have a column of their own."""


def renderables(of: Explanation, width: int, top: int | None = TOP) -> Iterator[RenderableType]:
    """Yield the parts of an explanation for a terminal of ``width`` columns."""
    asked = [Text(a, QUIET) for a in estimate_words.scenario(of.estimate)]
    yield from packed(
        [Text(estimate_words.title(of.estimate), STRONG), *asked], width, Text(" · ", QUIET)
    )
    yield Text.assemble((f"{of.metric} = ", QUIET), of.definition, (" = ", QUIET),
                        (_value(of, of.value), STRONG))  # fmt: skip
    for said in of.said:
        yield Text(f"  {said}", QUIET)
    if of.stretches or (of.over and of.method and not of.op and not of.technique):
        yield ""
        yield from pieces(of)
    if not of.parts and not of.op:
        yield ""
        yield from memory_bar(of.estimate.memory, width, estimate_words.kept(of.estimate))
    for phase in dict.fromkeys(part.phase for part in of.parts):
        yield ""
        yield from _phase(of, phase, width, top)
    if of.effects and not of.op:
        yield ""
        yield from _passes(of)
    if of.origins:
        yield ""
        yield from _sources(of)
    if of.estimate.calibrated is None:
        yield caveat(width)
        return
    rested = estimate_words.rests_on(of.estimate)
    yield Text(f"{rested}. --op NAME shows what was fitted." * (not of.op), QUIET)


def plain(of: Explanation, width: int = PLAIN_WIDTH, top: int | None = TOP) -> str:
    """Return the text without colour."""
    return uncoloured(renderables(of, width, top), width)


def show(of: Explanation, stream: IO[str], top: int | None = TOP) -> None:
    """Print an explanation."""
    show_parts(lambda width: renderables(of, width, top), stream)


def _value(of: Explanation, value: float | None) -> str:
    return written(value, METRICS[of.metric].dimension)


# Rows.


def _phase(of: Explanation, phase: str, width: int, top: int | None) -> Iterator[RenderableType]:
    parts = [part for part in of.parts if part.phase == phase]
    calibrated = of.estimate.calibrated is not None
    step = "mean step" if phase == "decode" else "all of it"
    told = f"  {step}, all occurrences; "
    told += (
        "bound: its slowest resource"
        if calibrated
        else "a row takes as long as its slowest resource"
    )
    yield Text.assemble((phase, STRONG), (told if width >= 90 else f"  {step}", QUIET))
    if of.op:
        for part in parts:
            yield from _one(of, part, width)
        return
    shown = parts if top is None else parts[:top]
    kept = columns_beside(shown, width) if calibrated else ()
    table = titled(("op", False), ("×", True), ("time", True), *((n, True) for n in kept),
                   ("share", True), ("bound by", False) if calibrated else ("bound", False),
                   *([("seconds of each resource", False)] if width >= WIDE else []))  # fmt: skip
    for part in shown:
        row = part.row
        table.add_row(
            words.shorten(row.name, 30), words.times(row.count), format_time(part.time_s),
            *(beside(part)[BESIDE.index(n)] for n in kept), words.percent(row.share),
            Text(row.bound, bound_style(row.bound)),
            *([_needs(of, part)] if width >= WIDE else []),
        )  # fmt: skip
        if width < WIDE and len(part.needs) > 1:
            for resource, (base, slope) in part.needs.items():
                text = f"  {resource} {affine_in(base, slope, of.over, 'time')}"
                table.add_row(Text(text, QUIET))
    yield inset(table)
    if calibrated and len(kept) < len(BESIDE):
        without = ", ".join(name for name in BESIDE if name not in kept)
        yield Text(f"  without {without}, for want of space (-f json has all)", QUIET)
    if len(parts) > len(shown):
        rest = parts[len(shown) :]
        share = words.percent(sum(p.row.share for p in rest))
        yield Text(f"  and {len(rest)} more rows with {share} of the time", QUIET)


def _needs(of: Explanation, part: Part) -> str:
    """Write what each resource of a row needs: as functions of the parameter, or as times."""
    if part.needs:
        each = [f"{r} {affine_in(b, m, of.over, 'time')}" for r, (b, m) in part.needs.items()]
    else:
        count = float(part.row.count)
        each = [
            f"{r} {format_time(t * count)}" for r, t in part.row.time_by_resource_s.items() if t
        ]
    return f"max({', '.join(each)})" if len(each) > 1 else "".join(each)


def _one(of: Explanation, part: Part, width: int) -> Iterator[RenderableType]:
    """Yield everything about one row."""
    row = part.row
    table = Table.grid(padding=(0, 2))
    table.add_column(style=QUIET)
    table.add_column(overflow="fold")
    dims = ", ".join(f"{k}={v}" for k, v in row.dims.items())
    table.add_row("op", f"{row.name} ({row.kind}), {words.times(row.count)} times a step")
    if row.members:
        table.add_row("made of", ", ".join(row.members))
    table.add_row("sizes", dims)
    for name, formula in row.formulas.items():
        table.add_row(name.replace("_", " "), formula)
    if any(re.search(r"\bT\b", formula) for formula in row.formulas.values()):
        table.add_row("T", "tokens of a step: batch × the new tokens of each sequence")
    table.add_row("work", f"{format_count(row.flops)}FLOP, {format_bytes(row.bytes)}"
                  f" ({words.intensity(row.intensity)} FLOP/B), each time")  # fmt: skip
    for resource, time_s in row.time_by_resource_s.items():
        mark = "  <- bound" if resource == row.bound else ""
        table.add_row(resource, f"{format_time(time_s)}{mark}")
    whole = f"{format_time(part.time_s)}, {words.percent(row.share)} of {part.phase}"
    table.add_row("time", f"{format_time(row.time_s)} × {words.times(row.count)} = {whole}")
    if row.basis:
        bound, times, band = beside(part)
        table.add_row("bound", f"{bound}: the time is {times} times it, the band {band}")
    if part.needs:
        table.add_row(f"over {of.over}", _needs(of, part))
    for crossing in of.crossings:
        for op in crossing.ops:
            if op.name == row.name and crossing.phase == part.phase:
                table.add_row("bound by", bounds_of(op.flips))
    for reason in row.because:
        table.add_row("changed by", reason)
    yield inset(table)
    for basis in bases_of(of.estimate, [row]):
        yield ""
        yield from fitted(basis)


# Passes and sources.


def _passes(of: Explanation) -> Iterator[RenderableType]:
    wanted, _ = definition_of(of.metric, of.estimate)
    alone = len(wanted) < 2 and of.metric not in ONCE
    what = of.metric if alone else "time"
    yield Text.assemble(("Techniques", STRONG), (f"  {what} before and after each", QUIET))
    table = titled(("technique", False), ("before", True), ("after", True), ("changed", False))
    dimension = METRICS[of.metric].dimension if what == of.metric else "time"
    for effect, before, after in changes(of):
        name = effect.technique.name
        options = ",".join(f"{k}={v}" for k, v in effect.technique.options.items())
        table.add_row(
            f"{name}:{options}" if options else name, written(before, dimension),
            written(after, dimension), effect.technique.changed or "nothing",
        )  # fmt: skip
    yield inset(table)


def _sources(of: Explanation) -> Iterator[RenderableType]:
    yield Text.assemble(("Numbers of the chip", STRONG), (f"  {of.estimate.chip.id}", QUIET))
    for origin in of.origins:
        said = origin.sources[0] if origin.sources else "no source recorded"
        more = f", and {len(origin.sources) - 1} more" if len(origin.sources) > 1 else ""
        value = written(origin.value, origin.dimension)
        yield Text.assemble(f"  hardware.{origin.field} ", (value, STRONG))
        yield Padding(Text(f"{said}{more}", QUIET), (0, 0, 0, 4))
