"""Where one constraint holds, and how that was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from mansard.backends.inverse.broken import Span
from mansard.query.solving.sets import Spans
from mansard.query.solving.unknowns import Unknown


@dataclass(frozen=True)
class Allowed:
    """Where a constraint holds.

    Args:
        spans: of the unknown.
        method: how they were found.
        best: the value of the unknown nearest to satisfying it, where nothing does.
        seen: the range that was looked at, where it is not all of it.
        bends: of the curve, where the answer is exact.
    """

    spans: Spans
    method: str
    best: Fraction | None = None
    seen: Span | None = None
    bends: int | None = None


def exactly(unknown: str, bends: int) -> str:
    """Say that an answer is exact."""
    some = f", {bends} breakpoint{'' if bends == 1 else 's'}" if bends else ""
    return f"exact: piecewise affine in {unknown}{some}"


def methods(found: Sequence[Allowed], unknown: Unknown) -> str:
    """Say how constraints were answered, the exact ones together."""
    bends = [a.bends for a in found if a.bends is not None]
    of = f"1/{unknown.name}" if unknown.is_rate else unknown.name
    exact = [exactly(of, sum(bends))] if bends else []
    return "; ".join(dict.fromkeys([*exact, *(a.method for a in found if a.bends is None)]))
