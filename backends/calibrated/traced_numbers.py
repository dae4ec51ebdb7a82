"""Numbers that are not known yet: polynomials over symbols, and over functions that forms take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from mansard.backends.engine.lowered import NotCompiledError
from mansard.backends.engine.polynomials import add, scaled, times
from mansard.backends.quantity import ONE, Monomial, Terms

if TYPE_CHECKING:
    from mansard.backends.calibrated.tracer import Tracer

Value: TypeAlias = Any
"""A number, or a ``Traced``."""


class UndecidedError(NotCompiledError):
    """What a form does depends on more than the ranges say."""


def terms_of(value: Value) -> Terms:
    """Return a value as a polynomial."""
    if isinstance(value, Traced):
        return value.terms
    return {ONE: float(value)} if value else {}


def contents(terms: Terms) -> tuple[Monomial, Terms]:
    """Return the product that all terms of a polynomial share, and the terms without it."""
    powers = [dict(m) for m in terms]
    slots = set(powers[0]).union(*powers)
    shared = {s: min((p.get(s, 0) for p in powers), key=abs) for s in slots}
    shared = {s: e for s, e in shared.items() if all(p.get(s, 0) * e > 0 for p in powers)}
    content = tuple(sorted((s, e) for s, e in shared.items() if e))
    return content, times(terms, {tuple((s, -e) for s, e in content): 1})


class Traced:
    """A number that is not known yet: a polynomial over atoms."""

    __slots__ = ("terms", "tracer")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, tracer: Tracer, terms: Terms) -> None:
        self.tracer, self.terms = tracer, terms

    @property
    def is_sum(self) -> bool:
        """Whether it has several terms."""
        return len(self.terms) > 1

    @property
    def is_function(self) -> bool:
        """Whether it has atoms other than symbols."""
        atoms = self.tracer.space.atoms
        return any(atoms[slot].symbol is None for m in self.terms for slot, _ in m)

    def _made(self, terms: Terms) -> Value:
        return self.tracer.value(terms)

    def __add__(self, other: Value) -> Value:
        return self._made(add([self.terms, terms_of(other)]))

    __radd__ = __add__

    def __neg__(self) -> Value:
        return self._made(scaled(self.terms, -1))

    def __sub__(self, other: Value) -> Value:
        return self._made(add([self.terms, scaled(terms_of(other), -1)]))

    def __rsub__(self, other: Value) -> Value:
        return -self + other

    def __mul__(self, other: Value) -> Value:
        if not isinstance(other, Traced):
            return self._made(scaled(self.terms, float(other)))
        a, b = self, other
        if (a.is_sum and (b.is_sum or b.is_function)) or (b.is_sum and a.is_function):
            a, b = self.tracer.single(a), self.tracer.single(b)  # they are not multiplied out
        return self._made(times(a.terms, b.terms))

    __rmul__ = __mul__

    def __truediv__(self, other: Value) -> Value:
        if not isinstance(other, Traced):
            return self._made(scaled(self.terms, 1.0 / float(other)))
        return self * other._inverse()

    def __rtruediv__(self, other: Value) -> Value:
        return self._inverse() * float(other)

    def _inverse(self) -> Traced:
        ((monomial, c),) = self.tracer.single(self).terms.items()
        return Traced(self.tracer, {tuple((s, -e) for s, e in monomial): 1.0 / float(c)})

    def __lt__(self, other: Value) -> Value:
        sign = self.tracer.interval(self - other)
        if sign[1] < 0 or sign[0] >= 0:
            return sign[1] < 0
        return self.tracer.atom("less", self, other)

    def __ge__(self, other: Value) -> Value:
        return _not(self.tracer, self < other)

    def __gt__(self, other: Value) -> Value:
        sign = self.tracer.interval(self - other)
        if sign[0] > 0 or sign[1] <= 0:
            return sign[0] > 0
        return self.tracer.atom("less", other, self)

    def __le__(self, other: Value) -> Value:
        return _not(self.tracer, self > other)

    def __eq__(self, other: object) -> Any:
        low, high = self.tracer.interval(self - other)
        if low <= 0 <= high:
            raise UndecidedError("whether two sizes are equal depends on the scenario")
        return False

    def __and__(self, other: Value) -> Value:
        if not isinstance(other, Traced):
            return self if other else False
        return self * other

    __rand__ = __and__

    def __bool__(self) -> bool:
        low, high = self.tracer.interval(self)
        if low > 0 or (low, high) == (0.0, 0.0):
            return low > 0
        raise UndecidedError("what serves a row depends on the scenario")


def _not(tracer: Tracer, condition: Value) -> Value:
    if not isinstance(condition, Traced):
        return not condition
    return tracer.where(condition, 0.0, 1.0)
