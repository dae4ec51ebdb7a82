"""What a fit found, as lines of text: a line a set, a histogram of what was held back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from mansard.render.ansi_text import PLAIN_WIDTH

if TYPE_CHECKING:
    from mansard.backends.calibrated.user_csv import Report

EDGES = (0.5, 0.7, 0.8, 0.9, 0.95, 1.05, 1.1, 1.2, 1.4, 2.0)
"""Of measured over predicted, between the bars of a histogram."""

FIGURES, BARRED = 44, 14
"""Columns of a set's figures, and of its histogram."""
BARS = " ▁▂▃▄▅▆▇█"
SHOWN = 10
"""Rows faster than the bound that are listed; the others are counted."""


def lines(report: Report, width: int = PLAIN_WIDTH) -> Iterator[str]:
    """Yield the report of a fit in ``width`` columns, the histograms where there is space."""
    yield from _table(report, width)
    for line in _told(report):
        yield from wrap(line, width, subsequent_indent="  ", break_on_hyphens=False)


def _table(report: Report, width: int) -> Iterator[str]:
    """Yield a line a set; a long name has a line of its own."""
    names = [one.key.text() for one in report.calibration.sets]
    room = max(map(len, ("set", *names)))
    drawn, alone = room + FIGURES + BARRED <= width, room + FIGURES > width
    room = 2 if alone else room
    heads = f"{'set':<{room}} rows shapes  error  bound's  band"
    yield f"{heads:<{room + FIGURES}}{' 0.5 … 1 … 2' if drawn else ''}".rstrip()
    for one in report.calibration.sets:
        held = report.held[one.key.text()]
        known = one.error is not None
        band = f"{one.low:.2f} - {one.high:.2f}" if known else "unknown"
        error = f"{one.error:6.1%}" if known else "unknown"
        if alone:
            yield from wrap(one.key.text(), width)
        yield (
            f"{'' if alone else one.key.text():<{room}} {one.rows:4} {one.shapes:6} {error:>7}"
            f" {held.naive:7.1%}  {band:<13}"
            f" {histogram(held.ratios) if known and drawn else ''}".rstrip()
        )
    if drawn:
        yield "bars: how often measured/predicted is as much, from below 0.5 to over 2"


def _told(report: Report) -> Iterator[str]:
    """Yield what the figures mean, and what was not fitted."""
    yield "error: mean of |predicted / measured - 1| on shapes held back; band: 4 of 5 of them"
    if any(one.error is None for one in report.calibration.sets):
        yield "unknown: an estimate takes a factor of two either way for the band"
    for said in report.warned:
        yield f"warning: {said}"
    for reason in report.left:
        yield f"not fitted: {reason}"
    if report.repeated:
        pairs = [f"line {n} is line {first}" for n, first in report.repeated.items()]
        more = f", and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else ""
        rows = "1 row repeats" if len(pairs) == 1 else f"{len(pairs)} rows repeat"
        yield f"{rows} an earlier one and count once: {', '.join(pairs[:SHOWN])}{more}"
    if report.faster:
        yield f"{len(report.faster)} rows are faster than the bound and were kept out:"
        yield from (f"  {said}" for said in report.faster[:SHOWN])
        if len(report.faster) > SHOWN:
            yield f"  and {len(report.faster) - SHOWN} more"


def histogram(ratios: Sequence[float]) -> str:
    """Draw how often each ratio occurs.

    >>> histogram([1.0, 1.0, 1.0, 1.3])
    '▏     █  ▃  ▏'
    """
    counts = [0] * (len(EDGES) + 1)
    for ratio in ratios:
        counts[sum(ratio >= edge for edge in EDGES)] += 1
    top = max(max(counts), 1)
    return "▏" + "".join(BARS[-(-8 * n // top)] for n in counts) + "▏"
