"""Quantities a table can evaluate: polynomials over symbols and a few atoms.

sympy carries formulas while people and passes look at them; it does not evaluate. Here each
expression becomes ``{monomial: coefficient}`` once, atoms are shared by all, and a point costs a
few multiplications.

>>> from mansard.core.symbols import P, S, least
>>> table = Tape()
>>> pairs = table.add(S * P + S * (S + 1) / 2)
>>> table.evaluate({P: 100, S: 4})[pairs]
410
>>> kept = table.add(least(P, 64) + 1)
>>> table.evaluate({P: 100, S: 4})[kept]
65
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import sympy as sp

from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.core.symbols import Expr, Symbol, ceil_div, geometric, least, pick

Scalar: TypeAlias = int | float | Fraction
Monomial: TypeAlias = tuple[tuple[int, int], ...]
"""((slot, exponent), …), slots ascending."""
Terms: TypeAlias = dict[Monomial, Scalar]

ONE: Monomial = ()


@dataclass(frozen=True)
class Atom:
    """A value other polynomials are made of: a symbol, or a function of quantities.

    Args:
        kind: symbol, least, ceil_div, geometric, pick or power.
        symbol: of a symbol.
        args: slots of the quantities a function is of.
    """

    kind: str
    symbol: Symbol | None = None
    args: tuple[int, ...] = ()


FUNCTIONS: dict[type[sp.Function], str] = {
    least: "least",
    ceil_div: "ceil_div",
    geometric: "geometric",
}


class Tape:
    """Atoms and quantities in the order in which they can be evaluated.

    A quantity that was added once keeps its index; equal polynomials are one quantity.
    """

    def __init__(self) -> None:
        self.atoms: list[Atom] = []
        self.quantities: list[Terms] = []
        self.order: list[tuple[bool, int]] = []  # (is atom, index): what to evaluate next
        self._atoms: dict[Atom, int] = {}
        self._quantities: dict[tuple[tuple[Monomial, Scalar], ...], int] = {}
        self._terms: dict[Expr, Terms] = {}

    def add(self, expression: Expr) -> int:
        """Return the index of the quantity that ``expression`` is."""
        return self._quantity(self._convert(expression))

    def total(self, expressions: Iterable[Expr]) -> int:
        """Return the index of the quantity that a sum is, without building it in sympy."""
        return self._quantity(_sum([self._convert(e) for e in expressions]))

    def symbols(self) -> set[Symbol]:
        """Return every symbol that must be bound."""
        return {a.symbol for a in self.atoms if a.symbol is not None}

    def evaluate(self, env: Mapping[Symbol, Any]) -> list[Any]:
        """Return the value of every quantity at a point (or elementwise at arrays of points).

        Raises:
            SpecError: a symbol is not bound.
        """
        return self._run(env)[1]

    def evaluate_ragged(
        self, env: Mapping[Symbol, Any], groups: Sequence[Mapping[Symbol, Any]],
        own: Iterable[Symbol],
    ) -> list[Any]:  # fmt: skip
        """Return the value of every quantity of a ragged step.

        A monomial that mentions a group's own symbol (``B``, ``S``, ``P``) is per sequence: it is
        evaluated in each group, with that group's ``T``, and added. The others (weights, work per
        token) are evaluated once, with the step's ``T`` and ``R``.

        Args:
            env: the whole step's values.
            groups: every symbol, as each group of sequences binds it.
            own: the symbols that make a monomial per sequence.
        """
        whole, _ = self._run(env)
        each = [self._run(group)[0] for group in groups]
        varying = self.mentioning(set(own))
        values: list[Any] = []
        for terms in self.quantities:
            total: Any = 0
            for monomial, coefficient in terms.items():
                ragged = any(slot in varying for slot, _ in monomial)
                for atoms in each if ragged else (whole,):
                    total = total + coefficient * _monomial(monomial, atoms)
            values.append(total)
        return values

    def mentioning(self, symbols: set[Symbol]) -> set[int]:
        """Return the atoms that depend on any of the symbols."""
        found: set[int] = set()
        for slot, atom in enumerate(self.atoms):
            inner = (s for q in atom.args for m in self.quantities[q] for s, _ in m)
            if atom.symbol in symbols or any(s in found for s in inner):
                found.add(slot)
        return found

    def _run(self, env: Mapping[Symbol, Any]) -> tuple[list[Any], list[Any]]:
        atoms: list[Any] = [0] * len(self.atoms)
        values: list[Any] = [0] * len(self.quantities)
        for is_atom, index in self.order:
            if is_atom:
                atoms[index] = _evaluate(self.atoms[index], values, env)
                continue
            total: Any = 0
            for monomial, coefficient in self.quantities[index].items():
                total = total + coefficient * _monomial(monomial, atoms)
            whole = isinstance(total, Fraction) and total.denominator == 1
            values[index] = total.numerator if whole else total
        return atoms, values

    # Conversion.

    def _quantity(self, terms: Terms) -> int:
        key = tuple(sorted(terms.items(), key=lambda item: item[0]))
        if key not in self._quantities:
            self._quantities[key] = len(self.quantities)
            self.order.append((False, len(self.quantities)))
            self.quantities.append(terms)
        return self._quantities[key]

    def _atom(self, atom: Atom) -> Terms:
        if atom not in self._atoms:
            self._atoms[atom] = len(self.atoms)
            self.order.append((True, len(self.atoms)))
            self.atoms.append(atom)
        return {((self._atoms[atom], 1),): 1}

    def _convert(self, e: Expr) -> Terms:
        found = self._terms.get(e)
        if found is None:
            found = self._terms[e] = self._converted(e)
        return found

    def _converted(self, e: Expr) -> Terms:
        if e.is_Rational:
            number = Fraction(int(e.p), int(e.q))
            value = int(number) if number.denominator == 1 else number
            return {ONE: value} if value else {}
        if e.is_Float:
            return {ONE: float(e)}
        if e.is_Symbol:
            return self._atom(Atom("symbol", e))
        if e.is_Add:
            return _sum([self._convert(a) for a in e.args])
        if e.is_Mul:
            product: Terms = {ONE: 1}
            for factor in e.args:
                product = _product(product, self._convert(factor))
            return product
        if e.is_Pow:
            return self._power(e.base, e.exp)
        if isinstance(e, pick):
            table, index = e.args
            slots = (self.add(index), *(self.add(entry) for entry in table))
            return self._atom(Atom("pick", args=slots))
        for function, kind in FUNCTIONS.items():
            if isinstance(e, function):
                return self._atom(Atom(kind, args=tuple(self.add(a) for a in e.args)))
        raise SpecError(
            f"a cost holds {e.func.__name__}, which no table evaluates: {e}",
            hint="costs are made of + * powers and least, ceil_div, geometric, pick",
        )

    def _power(self, base: Expr, exponent: Expr) -> Terms:
        terms = self._convert(base)
        if exponent.is_Integer and (exponent > 0 or len(terms) == 1):
            whole = int(exponent)
            if len(terms) == 1:
                ((monomial, coefficient),) = terms.items()
                raised = tuple((slot, power * whole) for slot, power in monomial)
                scaled = coefficient**whole if whole > 0 else Fraction(coefficient) ** whole
                return {raised: scaled}
            result: Terms = {ONE: 1}
            for _ in range(whole):
                result = _product(result, terms)
            return result
        return self._atom(Atom("power", args=(self._quantity(terms), self.add(exponent))))


def _sum(parts: Sequence[Terms]) -> Terms:
    total: Terms = {}
    for part in parts:
        for monomial, coefficient in part.items():
            total[monomial] = total.get(monomial, 0) + coefficient
    return {m: c for m, c in total.items() if c}


def _product(a: Terms, b: Terms) -> Terms:
    total: Terms = {}
    for m, c in a.items():
        for n, d in b.items():
            key = _times(m, n)
            total[key] = total.get(key, 0) + c * d
    return {m: c for m, c in total.items() if c}


def _times(m: Monomial, n: Monomial) -> Monomial:
    if not m or not n:
        return m or n
    powers = dict(m)
    for slot, exponent in n:
        powers[slot] = powers.get(slot, 0) + exponent
    return tuple(sorted((s, e) for s, e in powers.items() if e))


def _monomial(monomial: Monomial, atoms: Sequence[Any]) -> Any:
    product: Any = 1
    for slot, exponent in monomial:
        value = atoms[slot]
        product = product * (value if exponent == 1 else _raised(value, exponent))
    return product


def _raised(value: Any, exponent: int) -> Any:
    if exponent < 0 and isinstance(value, int):
        return Fraction(value) ** exponent
    return value**exponent


def _evaluate(atom: Atom, values: Sequence[Any], env: Mapping[Symbol, Any]) -> Any:
    if atom.symbol is not None:
        try:
            return env[atom.symbol]
        except KeyError:
            raise SpecError(f"nothing binds the symbol {atom.symbol}") from None
    return EVALUATE[atom.kind](*(values[a] for a in atom.args))


def _least(a: Any, b: Any) -> Any:
    return a if a <= b else b


def _ceil_div(a: Any, n: Any) -> Any:
    return -((-a) // n)


def _geometric(a: Any, n: Any) -> Any:
    return n if a == 1 else (1 - _power(a, n)) / (1 - a)


def _power(a: Any, n: Any) -> Any:
    """Raise to a power in floats: an exact rational would have 10**5 bits."""
    return math.pow(a, n)


def _pick(index: Any, *table: Any) -> Any:
    return table[int(index)]


EVALUATE: dict[str, Callable[..., Any]] = {
    "least": _least,
    "ceil_div": _ceil_div,
    "geometric": _geometric,
    "power": _power,
    "pick": _pick,
}
