"""Calibrated rows in an explanation: the bound beside each, and what was fitted for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mansard.core.units import format_time
from mansard.query.solving.explanation import Part
from mansard.query.solving.fits import factor
from mansard.render import words
from mansard.render.palette import QUIET, STRONG

if TYPE_CHECKING:
    from mansard.backends.calibrated.work import Basis


BESIDE = ("bound", "factor", "band")
"""Columns beside the time of a calibrated row, in their order; the first is given up first."""
OTHERS = ("×", "time", "share", "bound by")
GAP, INDENT = 3, 2
"""Columns between those of a table, and before it."""
LONGEST = 30
"""Of an op's name, as it is shown."""


def columns_beside(parts: Sequence[Part], width: int) -> tuple[str, ...]:
    """Return those of ``BESIDE`` for which a table has space, no op's name broken."""
    name = max((len(words.shorten(p.row.name, LONGEST)) for p in parts), default=0)
    rows = [
        (words.times(p.row.count), format_time(p.time_s), words.percent(p.row.share), p.row.bound)
        for p in parts
    ]
    cells = [beside(p) for p in parts]
    for first in range(len(BESIDE)):
        titles = (*OTHERS, *BESIDE[first:])
        every = [titles, *((*row, *more[first:]) for row, more in zip(rows, cells, strict=True))]
        wide = sum(max(map(len, column)) for column in zip(*every, strict=True))
        if INDENT + name + wide + GAP * len(titles) <= width:
            return BESIDE[first:]
    return ()


def beside(part: Part) -> tuple[str, str, str]:
    """Write the bound of a calibrated row, how many times that it takes, and its band."""
    row, n = part.row, float(part.row.count)
    if row.low_s is None or row.high_s is None:
        return "-", "-", "-"
    times = factor(row)
    bound = format_time(row.ideal_s * n) if row.ideal_s else "-"
    return bound, f"{times:.2f}" if times else "-", words.band(row.low_s * n, row.high_s * n)


def fitted(basis: Basis) -> Iterator[RenderableType]:
    """Yield a set of parameters: what they mean, where they are from, how far off they are."""
    yield Text.assemble((f"Fitted: {basis.form}", STRONG), (f"  {basis.set}", QUIET))
    if basis.fit is None:
        return
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style=QUIET)
    table.add_column("parameter", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("meaning", overflow="fold")
    for parameter, value in basis.fit.parameters:
        table.add_row(parameter.name, f"{value:.4g}", Text(parameter.meaning))
    yield Padding(table, (0, 0, 0, 2))
    one, (low, high) = basis.fit.found.one, basis.fit.band
    files = ", ".join(dict.fromkeys(one.source.split(", "))) if one.source else ""
    rows = f"{one.rows} rows of {one.shapes} shapes" if one.shapes else f"{one.rows} rows"
    told = [files, rows, f"SHA-256 {one.digest}" if one.digest else ""]
    band = f"4 of 5 held back are {low:.2f} to {high:.2f} times it"
    yield Text(f"  from {', '.join(filter(None, told))}; {band}", QUIET)
    if one.chips:
        yield Text(f"  the median of {', '.join(one.chips)}", QUIET)
