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
        band = f"{one.low:.2f} - {one.high:.2f}"
        yield (
            f"{one.key.text():<44} {one.rows:4} {one.shapes:6} {one.error:6.1%} {held.naive:8.1%}"
            f"  {band:<13} {histogram(held.ratios)}"
        )
    yield "error: mean of |predicted / measured - 1| on shapes held back; band: 4 of 5 of them"
    for said in report.warned:
        yield f"warning: {said}"
    for reason in report.left:
        yield f"not fitted: {reason}"
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
