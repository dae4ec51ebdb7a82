"""Figures whose lengths are a distribution: expectations of exact curves, which are curves too.

A sum of piecewise-affine functions is one, so what is exact of one length is exact of all of them.
Throughput is no expectation but all tokens over all time; ``period`` and ``output`` are what it is
made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from mansard.backends.inverse.broken import ZERO, Broken, summed
from mansard.backends.inverse.curves import Curves, Each
from mansard.backends.inverse.sections import Priced

WHERE_IT_IS = ("tpot",)
"""Figures whose expectation is over the lengths that have one."""


class Mixed:
    """Expectations of figures as functions of one unknown.

    Args:
        each: of every length.
        weights: of each, as floats; they add to 1 but for rounding.
    """

    def __init__(self, each: Sequence[Curves], weights: Sequence[float]) -> None:
        total = sum(map(Fraction, weights), ZERO)
        self.each: Each = tuple(
            (c, Fraction(w) / total) for c, w in zip(each, weights, strict=True)
        )
        first = each[0]
        self.priced: Priced = first.priced
        self.unknown, self.low, self.high = first.unknown, first.low, first.high
        self._known: dict[str, Broken | None] = {}

    def figure(self, name: str) -> Broken | None:
        """Return the expectation of a figure; None where there is none.

        Raises:
            NotAffineError: it is not piecewise affine in the unknown.
        """
        if name not in self._known:
            self._known[name] = self._figure(name)
        return self._known[name]

    def _figure(self, name: str) -> Broken | None:
        found = [(curve.figure(name), weight) for curve, weight in self.each]
        known = [(curve, weight) for curve, weight in found if curve is not None]
        if not known or (len(known) < len(found) and name not in WHERE_IT_IS):
            return None
        return expectation(known)


def expectation(parts: Sequence[tuple[Broken, Fraction]]) -> Broken:
    """Return the mean of functions; that of equal ones is exactly each of them."""
    first = parts[0][0]
    if all(curve == first for curve, _ in parts):
        return first
    total = sum((weight for _, weight in parts), ZERO)
    return summed([curve.scaled(weight / total) for curve, weight in parts])
