"""Polynomials over scenario symbols: what a table's quantities become once a call binds them.

>>> from mansard.core.symbols import B, P, S, batch, prompt
>>> tape = Tape()
>>> pairs = tape.add(B * S * (P + S))
>>> space = Space()
>>> bound = Rebound(tape, {B: batch, S: prompt, P: 0 * prompt}, space)
>>> space.written(bound.terms(pairs))
'1*batch*prompt**2'
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import TypeAlias

from mansard.backends.collectives import Level
from mansard.backends.quantity import EVALUATE, ONE, Monomial, Scalar, Tape, Terms
from mansard.core.records import dataclass
from mansard.core.symbols import Expr, Symbol

Frozen: TypeAlias = tuple[tuple[Monomial, Scalar], ...]
"""Terms in an order of their own, so that equal ones are equal."""
ZERO: Terms = {}


@dataclass(frozen=True)
class SpaceAtom:
    """A symbol, or a function of polynomials; every atom is nonnegative.

    Args:
        kind: symbol, a function of ``quantity``, or transfer: the time of a collective.
        symbol: of a symbol.
        args: what a function is of.
        link: of a transfer, the collective and the levels it crosses.
    """

    kind: str
    symbol: Symbol | None = None
    args: tuple[Frozen, ...] = ()
    link: tuple[str, tuple[Level, ...]] | None = None


class Space:
    """Atoms that polynomials of one program share, each with its slot."""

    def __init__(self) -> None:
        self.atoms: list[SpaceAtom] = []
        self._slots: dict[SpaceAtom, int] = {}
        self._mentions: dict[tuple[int, Symbol], bool] = {}

    def atom(self, atom: SpaceAtom) -> Terms:
        """Return the polynomial that is one atom."""
        if atom not in self._slots:
            self._slots[atom] = len(self.atoms)
            self.atoms.append(atom)
        return {((self._slots[atom], 1),): 1}

    def expression(self, value: Expr) -> Terms:
        """Return an expression over scenario symbols as a polynomial."""
        tape = Tape()
        return Rebound(tape, {}, self).terms(tape.add(value))

    def function(self, kind: str, args: Iterable[Terms]) -> Terms:
        """Return a function of polynomials, evaluated where they are numbers.

        Of ``least`` an argument that is nowhere above the other is the answer.
        """
        args = tuple(args)
        if kind == "least":
            a, b = args
            if dominates(b, a) or dominates(a, b):
                return a if dominates(b, a) else b
        frozen = tuple(freeze(a) for a in args)
        numbers = [constant(a) for a in frozen]
        known = [n for n in numbers if n is not None]
        if len(known) == len(numbers):
            return number(EVALUATE[kind](*known))
        return self.atom(SpaceAtom(kind, args=frozen))

    def atom_mentions(self, slot: int, symbol: Symbol) -> bool:
        """Say whether an atom depends on a symbol."""
        key = (slot, symbol)
        if key not in self._mentions:
            atom = self.atoms[slot]
            self._mentions[key] = atom.symbol == symbol or any(
                self.mentions(dict(a), symbol) for a in atom.args
            )
        return self._mentions[key]

    def mentions(self, terms: Terms, symbol: Symbol | None) -> bool:
        """Say whether a polynomial depends on a symbol."""
        if symbol is None:
            return False
        return any(self.atom_mentions(slot, symbol) for m in terms for slot, _ in m)

    def degree(self, monomial: Monomial, symbol: Symbol) -> int:
        """Return the sum of the exponents of the atoms that depend on a symbol."""
        return sum(e if e > 0 else 9 for slot, e in monomial if self.atom_mentions(slot, symbol))

    def written(self, terms: Terms) -> str:
        """Write a polynomial for people."""
        if not terms:
            return "0"
        return " + ".join("*".join([f"{c}", *map(self._power, m)]) for m, c in terms.items())

    def _power(self, factor: tuple[int, int]) -> str:
        slot, exponent = factor
        atom = self.atoms[slot]
        inner = ", ".join(self.written(dict(a)) for a in atom.args)
        name = atom.symbol.name if atom.symbol is not None else f"{atom.kind}({inner})"
        return name if exponent == 1 else f"{name}**{exponent}"


class Rebound:
    """The quantities of a tape with its symbols bound.

    Args:
        tape: of a graph, over its parameters.
        bind: what a call binds them to; a symbol it does not name stays.
        space: that the results are over.
    """

    def __init__(self, tape: Tape, bind: Mapping[Symbol, Expr], space: Space) -> None:
        self._tape, self._bind, self._space = tape, bind, space
        self._atoms: dict[int, Terms] = {}
        self._terms: dict[int, Terms] = {}

    def terms(self, slot: int) -> Terms:
        """Return one quantity."""
        if slot not in self._terms:
            parts = [scaled(self.monomial(m), c) for m, c in self._tape.quantities[slot].items()]
            self._terms[slot] = add(parts)
        return self._terms[slot]

    def monomial(self, monomial: Monomial) -> Terms:
        """Return a product of the tape's atoms."""
        product: Terms = {ONE: 1}
        for slot, exponent in monomial:
            product = times(product, self._raised(self._atom(slot), exponent))
        return product

    def _atom(self, slot: int) -> Terms:
        if slot not in self._atoms:
            atom = self._tape.atoms[slot]
            if atom.symbol is None:
                args = [self.terms(a) for a in atom.args]
                self._atoms[slot] = self._space.function(atom.kind, args)
            elif atom.symbol in self._bind:
                self._atoms[slot] = self._space.expression(self._bind[atom.symbol])
            else:
                self._atoms[slot] = self._space.atom(SpaceAtom("symbol", atom.symbol))
        return self._atoms[slot]

    def _raised(self, base: Terms, exponent: int) -> Terms:
        if len(base) == 1:
            ((monomial, c),) = base.items()
            power = c**exponent if exponent > 0 else _plain(Fraction(c) ** exponent)
            return {tuple((s, e * exponent) for s, e in monomial): power}
        if exponent < 0:
            return self._space.function("power", [base, number(exponent)])
        product: Terms = {ONE: 1}
        for _ in range(exponent):
            product = times(product, base)
        return product


class Ragged(Rebound):
    """The quantities of a ragged step: what is per sequence is added over its groups.

    A monomial is per sequence that mentions a group's own symbol, as in ``Tape.evaluate_ragged``.

    Args:
        tape: of a graph, over its parameters.
        bind: what the call binds them to, the whole step's ``T`` and ``R`` among them.
        groups: the same, as each group of sequences binds it.
        own: the symbols that make a monomial per sequence.
        space: that the results are over.
    """

    def __init__(
        self, tape: Tape, bind: Mapping[Symbol, Expr], groups: Iterable[Mapping[Symbol, Expr]],
        own: Iterable[Symbol], space: Space,
    ) -> None:  # fmt: skip
        super().__init__(tape, bind, space)
        self._groups = [Rebound(tape, group, space) for group in groups]
        self._own = tape.mentioning(set(own))

    def monomial(self, monomial: Monomial) -> Terms:
        """Return a product of the tape's atoms; per sequence, its sum over the groups."""
        if not any(slot in self._own for slot, _ in monomial):
            return super().monomial(monomial)
        return add(group.monomial(monomial) for group in self._groups)


def number(value: Scalar) -> Terms:
    """Return a number as a polynomial."""
    return {ONE: value} if value else {}


def constant(frozen: Frozen) -> Scalar | None:
    """Return the number a polynomial is; None when it holds a symbol."""
    if not frozen:
        return 0
    return frozen[0][1] if len(frozen) == 1 and frozen[0][0] == ONE else None


def freeze(terms: Terms) -> Frozen:
    """Return terms in an order of their own."""
    return tuple(sorted(terms.items(), key=lambda item: item[0]))


def add(parts: Iterable[Terms]) -> Terms:
    """Add polynomials."""
    total: Terms = {}
    for part in parts:
        for monomial, c in part.items():
            total[monomial] = total.get(monomial, 0) + c
    return {m: c for m, c in total.items() if c}


def scaled(terms: Terms, by: Scalar) -> Terms:
    """Multiply a polynomial by a number."""
    return terms if by == 1 else {m: c * by for m, c in terms.items() if by}


def times(a: Terms, b: Terms) -> Terms:
    """Multiply polynomials."""
    total: Terms = {}
    for m, c in a.items():
        for n, d in b.items():
            powers = dict(m)
            for slot, exponent in n:
                powers[slot] = powers.get(slot, 0) + exponent
            key = tuple(sorted((s, e) for s, e in powers.items() if e))
            total[key] = total.get(key, 0) + c * d
    return {m: c for m, c in total.items() if c}


def substituted(terms: Terms, by: Mapping[int, Terms]) -> Terms:
    """Replace atoms by polynomials, where their exponents are positive."""
    if not any(slot in by for m in terms for slot, _ in m):
        return terms
    parts = []
    for monomial, c in terms.items():
        product: Terms = {ONE: c}
        for slot, exponent in monomial:
            inner = by.get(slot)
            if inner is None or exponent < 0:
                product = times(product, {((slot, exponent),): 1})
                continue
            for _ in range(exponent):
                product = times(product, inner)
        parts.append(product)
    return add(parts)


def dominates(a: Terms, b: Terms) -> bool:
    """Say whether ``a`` is at least ``b`` everywhere, coefficient by coefficient."""
    return all(a.get(m, 0) >= b.get(m, 0) for m in a.keys() | b.keys())


def _plain(value: Fraction) -> Scalar:
    return value.numerator if value.denominator == 1 else value
