"""Interval arithmetic over polynomials: which side of a maximum always wins, within ranges.

>>> from mansard.core.symbols import batch, least
>>> space = Space()
>>> inside = Ranges(space, {batch: (1, 256)})
>>> inside.of(space.expression(8 - batch))
(-248.0, 7.0)
>>> space.written(inside.plain(space.expression(least(batch, 1000) * 2)))
'2*batch'
>>> inside.of(space.expression(1 / (batch + 3)))
(0.003861003861003861, 0.25)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mansard.backends.engine.greatest import Row, undominated
from mansard.backends.engine.polynomials import Space, add, scaled, substituted
from mansard.backends.engine.transfers import Pieces, pieces
from mansard.backends.quantity import EVALUATE, Monomial, Terms
from mansard.core.symbols import Symbol

Interval = tuple[float, float]
UNBOUNDED: Interval = (0.0, 1e60)
"""Of a quantity about which nothing is known but its sign."""


class Ranges:
    """What polynomials can be while symbols stay within their ranges.

    Args:
        space: of the polynomials.
        ranges: symbol → its least and its greatest value, neither negative.
    """

    def __init__(self, space: Space, ranges: Mapping[Symbol, Interval]) -> None:
        self._space, self._ranges = space, ranges
        self._atoms: dict[int, Interval] = {}
        self._plain: dict[int, Terms] = {}

    def of(self, terms: Terms) -> Interval:
        """Return bounds of a polynomial."""
        low = high = 0.0
        for monomial, c in terms.items():
            a, b = self._monomial(monomial)
            low += float(c) * (a if c > 0 else b)
            high += float(c) * (b if c > 0 else a)
        return low, high

    def plain(self, terms: Terms) -> Terms:
        """Return a polynomial without the functions whose outcome the ranges decide."""
        slots = {slot for m in terms for slot, _ in m}
        known = {slot: self._decided(slot) for slot in slots}
        return substituted(terms, {k: v for k, v in known.items() if v is not None})

    def greatest(self, row: Row) -> list[Terms]:
        """Return the polynomials of a row that may be its greatest."""
        kept: list[Terms] = []
        for terms in undominated([self.plain(t) for t in row]):
            if any(self.of(_less(other, terms))[0] >= 0 for other in kept):
                continue
            kept = [other for other in kept if self.of(_less(terms, other))[0] < 0]
            kept.append(terms)
        return kept

    def _decided(self, slot: int) -> Terms | None:
        """Return what a ``least`` always is, None where either argument may win."""
        atom = self._space.atoms[slot]
        if atom.kind != "least":
            return None
        if slot not in self._plain:
            a, b = (self.plain(dict(arg)) for arg in atom.args)
            low, high = self.of(_less(a, b))
            self._plain[slot] = a if high <= 0 else b if low >= 0 else {}
        return self._plain[slot] or None

    def _monomial(self, monomial: Monomial) -> Interval:
        low = high = 1.0
        for slot, exponent in monomial:
            a, b = self._atom(slot)
            if exponent < 0:
                a, b = (1 / b if b else math.inf), (1 / a if a else UNBOUNDED[1])
            n = abs(exponent)
            low, high = low * a**n, min(high * b**n, UNBOUNDED[1])
        return low, high

    def _atom(self, slot: int) -> Interval:
        if slot not in self._atoms:
            self._atoms[slot] = self._bounded(slot)
        return self._atoms[slot]

    def _bounded(self, slot: int) -> Interval:
        atom = self._space.atoms[slot]
        if atom.symbol is not None:
            return self._ranges.get(atom.symbol, UNBOUNDED)
        inner = [self._nonnegative(self.of(dict(a))) for a in atom.args]
        if atom.kind == "power":  # whose exponent may be below 0
            inner[1] = self.of(dict(atom.args[1]))
        match atom.kind:
            case "transfer":
                assert atom.link is not None
                return _transfer(inner[0], pieces(*atom.link))
            case "least":
                return min(a for a, _ in inner), min(b for _, b in inner)
            case "ceil_div" if inner[1][0] > 0:
                (a, b), (n, m) = inner
                return math.ceil(a / m), math.ceil(b / n) if b < 1e15 else UNBOUNDED[1]
            case "pick":
                return min(a for a, _ in inner[1:]), max(b for _, b in inner[1:])
            case "power" | "geometric" if all(b < 1e6 for _, b in inner):
                return _corners(atom.kind, inner)
        return UNBOUNDED

    @staticmethod
    def _nonnegative(interval: Interval) -> Interval:
        return max(interval[0], 0.0), max(interval[1], 0.0)


def _corners(kind: str, inner: Sequence[Interval]) -> Interval:
    """Return bounds of a function that is monotone in each argument."""
    try:
        found = [float(EVALUATE[kind](a, n)) for a in inner[0] for n in inner[1]]
    except (OverflowError, ZeroDivisionError, ValueError):
        return UNBOUNDED
    return min(found), max(found)


def _transfer(size: Interval, lines: Pieces) -> Interval:
    starts, slopes, bases = (line.tolist() for line in lines)
    found = []
    for k, start in enumerate(starts):
        after = starts[k + 1] if k + 1 < len(starts) else math.inf
        low, high = max(size[0], start), min(size[1], after)
        if low <= high:
            found += [slopes[k] * low + bases[k], slopes[k] * high + bases[k]]
    return min(found, default=0.0), max(found, default=UNBOUNDED[1])


def _less(a: Terms, b: Terms) -> Terms:
    return add([a, scaled(b, -1)])
