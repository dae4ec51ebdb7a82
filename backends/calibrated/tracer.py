"""Forms read as polynomials over atoms: what a row's time is made of, before any number is known.

The functions of a form run once on ``Traced`` numbers, polynomials of a space. What is linear stays
so, equal parts are one atom, and what the ranges of the scenarios decide is decided: which kernel
serves a row, which side of a maximum wins. ``numpy_functions`` turns the rest into functions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from mansard.backends.calibrated.covered import uncovered
from mansard.backends.calibrated.form import PLAIN, SNAP
from mansard.backends.calibrated.form_ranges import FormRanges
from mansard.backends.calibrated.knees import polynomial_of
from mansard.backends.calibrated.traced_numbers import (
    Traced,
    UndecidedError,
    Value,
    contents,
    terms_of,
)
from mansard.backends.engine.polynomials import (
    Frozen,
    Space,
    SpaceAtom,
    add,
    freeze,
    scaled,
    times,
)
from mansard.backends.engine.ranges import Interval
from mansard.backends.quantity import ONE, Terms
from mansard.core.symbols import Symbol

NOT = (freeze({}), freeze({ONE: 1.0}))
"""What a condition's opposite chooses between."""

NOTHING = 1e-100
"""Of a power of a share: far below the last digit of anything it is added to."""


class Tracer:
    """The functions forms use, on ``Traced`` numbers.

    Args:
        space: of the polynomials.
        ranges: symbol → its least and its greatest value.
        known: symbols that are a number.
        fewest: tokens, of all sequences together, at least.
    """

    def __init__(
        self, space: Space, ranges: Mapping[Symbol, Interval], known: Mapping[Symbol, float],
        fewest: float = 0.0,
    ) -> None:  # fmt: skip
        self.space, self._known = space, known
        self.ranges = FormRanges(space, ranges, fewest)
        self._sums: dict[object, Traced] = {}

    def number(self, terms: Terms) -> Value:
        """Return a quantity: a number where it is one."""
        return self.value(self._bound(terms) if self._known else terms)

    def _bound(self, terms: Terms) -> Terms:
        """Return a polynomial with the known symbols in it."""
        parts = []
        for monomial, c in terms.items():
            product: Terms = {ONE: c}
            for slot, exponent in monomial:
                atom = self.space.atoms[slot]
                if not any(self.space.atom_mentions(slot, s) for s in self._known):
                    factor: Terms = {((slot, exponent),): 1}
                elif atom.symbol is not None:
                    value = self._known[atom.symbol]
                    factor = {ONE: value**exponent} if value or exponent < 0 else {}
                elif exponent > 0:
                    args = [self._bound(dict(a)) for a in atom.args]
                    if atom.link is None:
                        inner = self.space.function(atom.kind, args)
                    else:
                        linked = replace(atom, args=tuple(freeze(a) for a in args))
                        inner = self.space.atom(linked)
                    factor = {ONE: 1}
                    for _ in range(exponent):
                        factor = times(factor, inner)
                else:
                    raise UndecidedError("a function of the step is evaluated at points")
                product = times(product, factor)
            parts.append(product)
        return add(parts)

    def value(self, terms: Terms) -> Value:
        """Return a polynomial as a number, where it is one."""
        if any(self._vanishes(slot) for m in terms for slot, e in m if e > 0):
            terms = {m: c for m, c in terms.items() if not any(self._vanishes(s) for s, _ in m)}
        if not terms:
            return 0.0
        if len(terms) == 1 and ONE in terms:
            return float(terms[ONE])
        return Traced(self, terms)

    def _vanishes(self, slot: int) -> bool:
        """Say whether a power is too small for a float, as what so many tokens leave unread is."""
        if self.space.atoms[slot].kind != "power":
            return False
        return self.ranges.of({((slot, 1),): 1})[1] < NOTHING

    def atom(self, kind: str, *args: Value) -> Traced:
        """Return a function of values."""
        frozen = tuple(freeze(terms_of(a)) for a in args)
        return Traced(self, self.space.atom(SpaceAtom(kind, args=frozen)))

    def interval(self, value: Value) -> Interval:
        """Return between which numbers a value is."""
        if isinstance(value, Traced):
            return self.ranges.of(value.terms)
        return float(value), float(value)

    def sign(self, value: Value) -> int | None:
        """Return 1 where a value is never negative, -1 where never positive; None if undecided."""
        if isinstance(value, Traced):  # what all terms share is never negative
            _, rest = contents(value.terms)
            low, high = self.ranges.of(rest)
        else:
            low = high = value
        return 1 if low >= 0 else -1 if high <= 0 else None

    def single(self, value: Value) -> Value:
        """Return a value as one product: a sum of several terms as an atom, times what it shares.

        Sums that differ in the last digits of their coefficients are one.
        """
        if not isinstance(value, Traced) or len(value.terms) == 1:
            return value
        content, rest = contents(value.terms)
        scale = max((float(c) for c in rest.values()), key=abs)
        same = tuple((m, f"{float(c) / scale:.13g}") for m, c in freeze(rest))
        if same not in self._sums:
            self._sums[same] = self.atom("sum", Traced(self, scaled(rest, 1.0 / scale)))
        return Traced(self, times({content: scale}, self._sums[same].terms))

    def ceil(self, value: Value) -> Value:
        """Round up."""
        return self.atom("ceil", value * SNAP) if isinstance(value, Traced) else PLAIN.ceil(value)

    def maximum(self, a: Value, b: Value) -> Value:
        """Return the greater of two."""
        sign = self.sign(a - b)
        if sign is not None:
            return a if sign > 0 else b
        for x, y in ((a, b), (b, a)):
            if self._holds(x, "max", y) or self._holds(y, "min", x):
                return x
        left = uncovered(self, b, a)
        if left is None:
            return a
        b = left
        return self.atom("max", *_ordered(a, b))

    def minimum(self, a: Value, b: Value) -> Value:
        """Return the lesser of two."""
        sign = self.sign(a - b)
        if sign is not None:
            return b if sign > 0 else a
        return self.atom("min", *_ordered(a, b))

    def _holds(self, value: Value, kind: str, other: Value) -> bool:
        """Say whether a value is a maximum, or minimum, of something with another value.

        A maximum may come out larger: no time is negative.
        """
        if not isinstance(value, Traced) or len(value.terms) != 1:
            return False
        ((monomial, c),) = value.terms.items()
        if len(monomial) != 1 or monomial[0][1] != 1 or (c < 1 if kind == "max" else c != 1):
            return False
        atom = self.space.atoms[monomial[0][0]]
        return atom.kind == kind and freeze(terms_of(other)) in atom.args

    def where(self, condition: Value, a: Value, b: Value) -> Value:
        """Choose one of two."""
        if not isinstance(condition, Traced):
            return a if condition else b
        ((monomial, _),) = condition.terms.items()
        inner = self.space.atoms[monomial[0][0]]
        if inner.kind == "where" and inner.args[1:] == NOT:
            return self.where(self.value(dict(inner.args[0])), b, a)
        if freeze(terms_of(a)) == freeze(terms_of(b)):
            return a
        return self.atom("where", condition, a, b)

    def any(self, value: Value) -> bool:
        """Say whether a value is anything but 0."""
        return self.interval(value) != (0.0, 0.0)

    def sqrt(self, value: Value) -> Value:
        """Return a square root."""
        return self.power(value, 0.5)

    def power(self, base: Value, exponent: float) -> Value:
        """Raise to a power: of a product, its factors."""
        if not isinstance(base, Traced):
            return math.pow(base, exponent)
        if isinstance(exponent, Traced):
            raise UndecidedError("an exponent that varies is evaluated at points")
        ((monomial, c),) = self.single(base).terms.items()
        found: Value = math.pow(c, exponent)
        for slot, power in monomial:
            found = found * self._raised(slot, power * exponent)
        return found

    def _raised(self, slot: int, exponent: float) -> Value:
        if float(exponent).is_integer():
            return Traced(self, {((slot, int(exponent)),): 1.0}) if exponent else 1.0
        atom = self.space.atoms[slot]
        if atom.kind == "where":
            condition, a, b = (self.value(dict(t)) for t in atom.args)
            return self.where(condition, self.power(a, exponent), self.power(b, exponent))
        if exponent < 0:  # its inverse, so that equal powers are one atom
            return 1.0 / self._raised(slot, -exponent)
        one = Traced(self, {((slot, 1),): 1.0})
        return self.atom(f"raised {exponent!r}", one)

    def knee(self, ratio: Value, sharp: float) -> Value:
        """Return ``(1 + r^p)^(1/p)``."""
        if not isinstance(ratio, Traced):
            return math.pow(1.0 + math.pow(ratio, sharp), 1.0 / sharp)
        if sharp == 1.0:
            return 1.0 + ratio
        plain = polynomial_of(sharp, *self.interval(ratio))
        if plain is not None:
            found: Value = plain[-1]
            for c in plain[-2::-1]:
                found = found * ratio + c
            return found
        return self.atom(f"knee {sharp!r}", ratio)


def _ordered(a: Value, b: Value) -> tuple[Value, Value]:
    first, second = (_key(v) for v in (a, b))
    return (a, b) if first <= second else (b, a)


def _key(value: Value) -> Frozen:
    return freeze(terms_of(value))
