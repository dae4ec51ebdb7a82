"""What a fit found, as lines of text: a line a set, a histogram of what was held back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mansard.backends.calibrated.user_csv import Report

EDGES = (0.5, 0.7, 0.8, 0.9, 0.95, 1.05, 1.1, 1.2, 1.4, 2.0)
"""Of measured over predicted, between the bars of a histogram."""

BARS = " ▁▂▃▄▅▆▇█"
SHOWN = 10
"""Rows faster than the bound that are listed; the others are counted."""


def lines(report: Report) -> Iterator[str]:
    """Yield the report of a fit."""
    yield f"{'set':<44} rows shapes  error  bound's  band          measured/predicted 0.5 … 1 … 2"
    for one in report.calibration.sets:
        held = report.held[one.key.text()]
        known = one.error is not None
        band = f"{one.low:.2f} - {one.high:.2f}" if known else "unknown"
        error = f"{one.error:6.1%}" if known else "unknown"
        yield (
            f"{one.key.text():<44} {one.rows:4} {one.shapes:6} {error:>7} {held.naive:7.1%}"
            f"  {band:<13} {histogram(held.ratios) if known else ''}".rstrip()
        )
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
