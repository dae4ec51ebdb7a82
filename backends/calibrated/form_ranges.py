"""Intervals of polynomials whose atoms are functions of forms."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mansard.backends.engine.polynomials import Space
from mansard.backends.engine.ranges import Interval, Ranges
from mansard.backends.quantity import Monomial
from mansard.core.symbols import Symbol, batch, prompt


class FormRanges(Ranges):
    """What polynomials can be while symbols stay within their ranges, functions of forms in them.

    Args:
        space: of the polynomials.
        ranges: symbol → its least and its greatest value.
        fewest: tokens, of all sequences together, at least.
    """

    def __init__(
        self, space: Space, ranges: Mapping[Symbol, Interval], fewest: float = 0.0
    ) -> None:
        super().__init__(space, ranges)
        (a, b), (c, d) = (ranges[s] for s in (batch, prompt))
        self._tokens = max(a * c, fewest), max(b * d, fewest)

    def _monomial(self, monomial: Monomial) -> Interval:
        """Bound what is left of a monomial without the batch times the prompt."""
        powers = {self._space.atoms[slot].symbol: (slot, e) for slot, e in monomial if e > 0}
        if batch not in powers or prompt not in powers:
            return super()._monomial(monomial)
        count = min(powers[batch][1], powers[prompt][1])
        less = {powers[s][0]: count for s in (batch, prompt)}
        rest = tuple((slot, e - less.get(slot, 0)) for slot, e in monomial)
        low, high = super()._monomial(tuple((slot, e) for slot, e in rest if e))
        return low * self._tokens[0] ** count, high * self._tokens[1] ** count

    def _bounded(self, slot: int) -> Interval:
        atom = self._space.atoms[slot]
        kind, _, constant = atom.kind.partition(" ")
        inner = [self._nonnegative(self.of(dict(a))) for a in atom.args]
        match kind:
            case "sum":
                return inner[0]
            case "ceil":
                return float(math.ceil(inner[0][0])), inner[0][1] + 1.0
            case "max":
                return max(inner[0][0], inner[1][0]), max(inner[0][1], inner[1][1])
            case "min":
                return min(inner[0][0], inner[1][0]), min(inner[0][1], inner[1][1])
            case "knee":
                return 1.0, 2.0 ** (1.0 / float(constant))
            case "raised" if float(constant) > 0:
                ends = (end ** float(constant) for end in inner[0])
                return next(ends), next(ends)
            case "less":
                return 0.0, 1.0
            case "where":
                return min(inner[1][0], inner[2][0]), max(inner[1][1], inner[2][1])
        return super()._bounded(slot)
