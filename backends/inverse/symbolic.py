"""Figures as sympy expressions over scenario symbols, each row a ``Max`` that is left unevaluated.

For people: a formula to read, differentiate or print. Numbers come from the tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import sympy as sp

from mansard.backends.engine.polynomials import Space, SpaceAtom
from mansard.backends.inverse.forms import lines_of
from mansard.backends.inverse.sections import Priced, Section
from mansard.backends.quantity import Terms
from mansard.core.symbols import SCENARIO, Expr, Symbol, ceil_div, geometric, least, pick

FUNCTIONS: dict[str, Any] = {
    "least": least, "ceil_div": ceil_div, "geometric": geometric,
    "power": lambda a, n: _power(a, n), "pick": lambda i, *table: pick(sp.Tuple(*table), i),
}  # fmt: skip


def _power(base: Expr, exponent: Expr) -> Expr:
    """Raise to a power; a number in floats, since an exact one would have 10**5 digits."""
    return (sp.Float(base) if base.is_Rational else base) ** exponent


class Writer:
    """Writes polynomials of a space.

    Args:
        space: of the polynomials.
        bind: values of symbols that are not left.
    """

    def __init__(self, space: Space, bind: Mapping[Symbol, int] | None = None) -> None:
        self._space = space
        self._bind = {s: sp.Integer(v) for s, v in (bind or {}).items()}
        self._atoms: dict[int, Expr] = {}

    def terms(self, terms: Terms, over: Fraction | int = 1) -> Expr:
        """Return a polynomial, divided by a number."""
        return sp.Add(*(
            sp.Mul(exact(Fraction(c) / over), *(self.atom(slot) ** e for slot, e in monomial))
            for monomial, c in terms.items()
        ))  # fmt: skip

    def atom(self, slot: int) -> Expr:
        """Return an atom."""
        if slot not in self._atoms:
            atom = self._space.atoms[slot]
            self._atoms[slot] = self._written(atom)
        return self._atoms[slot]

    def _written(self, atom: SpaceAtom) -> Expr:
        if atom.symbol is not None:
            return self._bind.get(atom.symbol, atom.symbol)
        args = [self.terms(dict(a)) for a in atom.args]
        if atom.link is None:
            return FUNCTIONS[atom.kind](*args)
        return _collective(atom, args[0])


def exact(value: Fraction) -> Expr:
    """Return a number."""
    return sp.Rational(value.numerator, value.denominator)


def greatest(parts: Iterable[Expr]) -> Expr:
    """Return the greatest of expressions, unevaluated unless they are numbers."""
    several = list(dict.fromkeys(parts))
    if len(several) == 1:
        return several[0]
    if all(p.is_number for p in several):
        return max(several)
    # Shown, never evaluated: the one place where a maximum is an expression (DESIGN, section 4).
    return sp.Max(*several, evaluate=False)  # noqa: TID251


def _collective(atom: SpaceAtom, size: Expr) -> Expr:
    """Return the time of a collective: of its straight pieces the least, or the greatest."""
    pieces = lines_of(atom)
    straight = [exact(base) + exact(slope) * size for _, slope, base in pieces]
    slopes = [slope for _, slope, _ in pieces]
    if slopes == sorted(slopes):
        return greatest(straight)
    value = straight[0]
    for other in straight[1:]:
        value = least(value, other)
    return value


class Formulas:
    """Seconds of phases as expressions.

    Args:
        priced: the program on its chip.
        bind: values of symbols that are not left.
    """

    def __init__(self, priced: Priced, bind: Mapping[str, int] | None = None) -> None:
        self.priced = priced
        self.writer = Writer(priced.space, {SCENARIO[k]: v for k, v in (bind or {}).items()})

    def phase(self, name: str) -> Expr:
        """Return the seconds of a phase, all its steps."""
        return sp.Add(*(self.section(section) for section in self.priced.of_phase(name)))

    def tokens(self, name: str) -> Expr | None:
        """Return the tokens of a sequence that a phase makes; None where it makes none."""
        made = [y for y in self.priced.lowered.yields if y.phase == name]
        if not made:
            return None
        return sp.Add(*(sp.Mul(*map(self.writer.terms, y.factors)) for y in made))

    def resources(self, section: Section) -> dict[str, Expr]:
        """Return the seconds that each resource of a row needs in one step."""
        found: dict[str, list[Expr]] = {}
        for share in section.shares:
            found.setdefault(share.resource, []).append(self.writer.terms(share.work, share.rate))
        return {name: sp.Add(*parts) for name, parts in found.items()}

    def step(self, section: Section) -> Expr:
        """Return the seconds of a row in one step; what another always exceeds is left out."""
        written = self.resources(section)
        return greatest(written[r] for r in section.kept)

    def section(self, section: Section) -> Expr:
        """Return the seconds of a row, all its steps."""
        segment, once = section.segment, self.step(section)
        often = sp.Mul(*map(self.writer.terms, segment.factors))
        if segment.times is None or segment.index is None:
            return often * once
        times = self.writer.terms(segment.times)
        return often * _summed(once, segment.index, times)


def _summed(step: Expr, index: Symbol, times: Expr) -> Expr:
    """Return the sum of a step's time over a loop; the fraction of a last trip counts as such."""
    if not step.has(index):
        return step * times
    whole = times if times.is_integer else sp.floor(times)
    rest = (times - whole) * step.xreplace({index: whole})
    base, tilt = _straight(step, index)
    if base is not None:
        return base * whole + tilt * whole * (whole - 1) / 2 + rest
    return sp.Sum(step, (index, 0, whole - 1)) + rest


def _straight(step: Expr, index: Symbol) -> tuple[Expr | None, Expr]:
    """Return an expression as ``base + tilt·index``; no base where it is none."""
    terms = sp.Add.make_args(step)
    tilt: list[Expr] = []
    base: list[Expr] = []
    for term in terms:
        if not term.has(index):
            base.append(term)
            continue
        factor = term / index
        if factor.has(index):
            expanded = sp.expand(term)
            if expanded == term or isinstance(term, sp.Function):
                return None, sp.S.Zero
            inner, slope = _straight(expanded, index)
            if inner is None:
                return None, sp.S.Zero
            base.append(inner)
            tilt.append(slope)
        else:
            tilt.append(factor)
    return sp.Add(*base), sp.Add(*tilt)
