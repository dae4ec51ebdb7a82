"""Polynomials with the arithmetic of numbers: a formula written for floats makes one of them.

>>> from mansard.backends.collectives import Level, seconds
>>> from mansard.core.symbols import batch, symbol
>>> space = Space()
>>> size, slow = (Value(space, space.expression(s)) for s in (batch, symbol("1/bandwidth", "rate")))
>>> link = Level(2, 1 / slow, 1e-6)
>>> space.written(seconds("all_reduce", 4 * size, (link,), (least, greatest)).terms)
'4.0*batch*1/bandwidth + 1e-06'
"""

from __future__ import annotations

from functools import reduce
from typing import Any

from mansard.backends.engine.polynomials import Space, add, dominates, number, scaled, times
from mansard.backends.quantity import Terms
from mansard.core.errors import SpecError
from mansard.core.records import dataclass


@dataclass(frozen=True, eq=False)
class Value:
    """A polynomial of a space, nowhere negative.

    Args:
        space: of its atoms.
        terms: it is.
    """

    space: Space
    terms: Terms

    def __add__(self, other: Value | float) -> Value:
        return Value(self.space, add([self.terms, self._read(other)]))

    __radd__ = __add__

    def __mul__(self, other: Value | float) -> Value:
        return Value(self.space, times(self.terms, self._read(other)))

    __rmul__ = __mul__

    def __truediv__(self, other: Value | float) -> Value:
        return Value(self.space, times(self.terms, _inverse(self._read(other))))

    def __rtruediv__(self, other: float) -> Value:
        return Value(self.space, scaled(_inverse(self.terms), other))

    def _read(self, other: Value | float) -> Terms:
        return other.terms if isinstance(other, Value) else number(other)


def least(*values: Value) -> Value:
    """Return the least of values, without what another never exceeds."""
    kept: list[Value] = []
    for value in values:
        if any(dominates(value.terms, other.terms) for other in kept):
            continue
        kept = [other for other in kept if not dominates(other.terms, value.terms)]
        kept.append(value)
    return reduce(_least, kept)


def greatest(*values: Value) -> Value:
    """Return the greatest of values: ``a + b - least(a, b)``."""

    def larger(a: Value, b: Value) -> Value:
        if dominates(a.terms, b.terms):
            return a
        if dominates(b.terms, a.terms):
            return b
        return Value(a.space, add([a.terms, b.terms, scaled(_least(a, b).terms, -1)]))

    return reduce(larger, values)


def _least(a: Value, b: Value) -> Value:
    return Value(a.space, a.space.function("least", (a.terms, b.terms)))


def _inverse(terms: Terms) -> Terms:
    """Return one over a polynomial of one term.

    Raises:
        SpecError: it has several.
    """
    if len(terms) != 1:
        raise SpecError("a quotient by a sum is no polynomial")
    ((monomial, c),) = terms.items()
    inverse: Any = 1 / c
    return {tuple((slot, -exponent) for slot, exponent in monomial): inverse}
