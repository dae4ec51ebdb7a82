"""Polynomials at arrays of points: monomials evaluated once, sums as one matrix product."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mansard.backends.engine.polynomials import Space
from mansard.backends.engine.transfers import transfer_s
from mansard.backends.quantity import ONE, Monomial, Terms
from mansard.core.errors import SpecError
from mansard.core.symbols import Symbol

Array: TypeAlias = NDArray[np.float64]
Operand: TypeAlias = Any
"""A float, or an array of one value a point."""


class Points:
    """Scenarios: atoms and monomials evaluated at most once each.

    Args:
        space: of the atoms.
        env: symbol → a float, or an array of one value a point.
        size: how many points.
    """

    def __init__(self, space: Space, env: Mapping[Symbol, Operand], size: int) -> None:
        self.space, self.env, self.size = space, env, size
        self._atoms: dict[int, Operand] = {}
        self._monomials: dict[Monomial, Operand] = {ONE: 1.0}
        self._parent: Points | None = None
        self._new: Symbol | None = None

    def at(self, index: Symbol, value: Operand) -> Points:
        """Return the same points at a step of a loop; what does not depend on it is shared."""
        inner = Points(self.space, {**self.env, index: value}, self.size)
        inner._parent, inner._new = self, index
        return inner

    def atom(self, slot: int) -> Operand:
        """Return an atom's values.

        Raises:
            SpecError: a symbol is not bound.
        """
        if self._parent is not None and not self.space.atom_mentions(slot, self._index):
            return self._parent.atom(slot)
        if slot not in self._atoms:
            self._atoms[slot] = self._evaluated(slot)
        return self._atoms[slot]

    @property
    def _index(self) -> Symbol:
        assert self._new is not None
        return self._new

    def _evaluated(self, slot: int) -> Operand:
        atom = self.space.atoms[slot]
        if atom.link is not None:
            return transfer_s(self.polynomial(dict(atom.args[0])), *atom.link)
        if atom.symbol is None:
            return FUNCTIONS[atom.kind](*(self.polynomial(dict(a)) for a in atom.args))
        if atom.symbol not in self.env:
            raise SpecError(f"nothing binds the symbol {atom.symbol}")
        return self.env[atom.symbol]

    def monomial(self, monomial: Monomial) -> Operand:
        """Return a monomial's values."""
        if monomial in self._monomials:
            return self._monomials[monomial]
        if self._parent is not None and not self.space.degree(monomial, self._index):
            return self._parent.monomial(monomial)
        (slot, exponent), rest = monomial[-1], monomial[:-1]
        value = _raised(self.atom(slot), exponent)
        if rest:
            value = self.monomial(rest) * value
        self._monomials[monomial] = value
        return value

    def polynomial(self, terms: Terms) -> Operand:
        """Return a polynomial's values."""
        total: Operand = 0.0
        for monomial, c in terms.items():
            total = total + float(c) * self.monomial(monomial)
        return total


def _raised(value: Operand, exponent: int) -> Operand:
    match exponent:
        case 1:
            return value
        case 2:
            return value * value
        case _:
            return value ** float(exponent)


class Stack:
    """Polynomials evaluated together."""

    def __init__(self, polynomials: Sequence[Terms]) -> None:
        self._monomials = tuple(dict.fromkeys(m for p in polynomials for m in p)) or (ONE,)
        rows = [[float(p.get(m, 0)) for m in self._monomials] for p in polynomials]
        self._coefficients = np.array(rows, dtype=float).reshape(len(rows), len(self._monomials))

    def at(self, points: Points) -> Array:
        """Return their values, (polynomials, points)."""
        basis = np.empty((len(self._monomials), points.size))
        for row, monomial in enumerate(self._monomials):
            basis[row] = points.monomial(monomial)
        found: Array = self._coefficients @ basis
        return found


def _geometric(a: Operand, n: Operand) -> Operand:
    safe = np.where(np.equal(a, 1), 2.0, a)
    return np.where(np.equal(a, 1), n, (1 - np.power(safe, n)) / (1 - safe))


def _pick(index: Operand, *table: Operand) -> Operand:
    return np.choose(np.asarray(index, dtype=int), np.broadcast_arrays(*table))


FUNCTIONS: dict[str, Callable[..., Operand]] = {
    "least": np.minimum,
    "ceil_div": lambda a, n: -np.floor_divide(-a, n),
    "geometric": _geometric,
    "power": lambda a, n: np.power(np.asarray(a, dtype=float), n),
    "pick": _pick,
}
