"""Polynomials with all but the unknown and the step of a loop bound: ``c + x·cx + t·(ct + x·cxt)``.

What is no such form (a power of the unknown, a window it moves through) raises ``NotAffineError``:
then the answer is found by a search that a certificate of monotony allows, or by enumeration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from mansard.backends.engine.polynomials import Space, SpaceAtom
from mansard.backends.engine.transfers import pieces as transfer_pieces
from mansard.backends.inverse.broken import ZERO, Broken, Piece, joined, line, summed
from mansard.backends.quantity import EVALUATE, Terms
from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.core.symbols import Symbol


class NotAffineError(SpecError):
    """A quantity is not affine in the unknown; the message says which."""


@dataclass(frozen=True)
class Form:
    """``base + slope·x + t·(tilt + twist·x) + bent(x)``, ``t`` the step of the loop around it.

    Args:
        base: value at x = 0, t = 0.
        slope: per unit of the unknown.
        tilt: per step.
        twist: per step and unit.
        bent: the times of collectives, which no step changes.
    """

    base: Fraction = ZERO
    slope: Fraction = ZERO
    tilt: Fraction = ZERO
    twist: Fraction = ZERO
    bent: Broken | None = None

    @property
    def moves(self) -> bool:
        """Whether the step changes it."""
        return bool(self.tilt or self.twist)

    def at(self, step: Fraction | int, low: Fraction, high: Fraction) -> Broken:
        """Return it at one step."""
        straight = line(self.base + self.tilt * step, self.slope + self.twist * step, low, high)
        return straight if self.bent is None else straight + self.bent

    def over(self, first: int, after: int, low: Fraction, high: Fraction) -> Broken:
        """Return its sum over steps ``first … after - 1``."""
        steps, series = after - first, Fraction((after - first) * (first + after - 1), 2)
        straight = line(
            self.base * steps + self.tilt * series, self.slope * steps + self.twist * series,
            low, high,
        )  # fmt: skip
        return straight if self.bent is None else straight + self.bent.scaled(steps)

    def __add__(self, other: Form) -> Form:
        bents = [b for b in (self.bent, other.bent) if b is not None]
        return Form(
            self.base + other.base, self.slope + other.slope, self.tilt + other.tilt,
            self.twist + other.twist, summed(bents) if bents else None,
        )  # fmt: skip

    def along(self, by: Fraction | int) -> Form:
        """Return a form that does not depend on the unknown, times the unknown and ``by``."""
        if self.slope or self.twist or (self.bent and (self.bent.slope or self.bent.bends)):
            raise NotAffineError("a product of the unknown with itself")
        base = self.base + (self.bent.base if self.bent else 0)
        return Form(ZERO, base * by, ZERO, self.tilt * by)


class Bound:
    """Reads polynomials of a space as forms.

    Args:
        space: of the polynomials.
        env: every symbol but the unknown and the steps of loops.
        unknown: the one asked for; none where it is no symbol.
        low: the least value of the unknown.
        high: its greatest.
    """

    def __init__(
        self, space: Space, env: Mapping[Symbol, float], unknown: Symbol | None,
        low: Fraction, high: Fraction,
    ) -> None:  # fmt: skip
        self.space, self.env, self.unknown = space, env, unknown
        self.low, self.high = low, high
        self._numbers: dict[int, Any] = {}

    def form(self, terms: Terms, index: Symbol | None = None, span: Steps = (0, 0)) -> Form:
        """Return a polynomial as a form.

        Args:
            terms: the polynomial.
            index: counts steps; none outside a loop.
            span: the first and the last of them.

        Raises:
            NotAffineError: it is none, or a window is reached between the two steps.
        """
        total: Product = {}
        bents: list[Broken] = []
        for monomial, c in terms.items():
            product: Product = {(0, 0): Fraction(c)}
            link: Broken | None = None
            for slot, exponent in monomial:
                atom = self.space.atoms[slot]
                if not self._varies(slot, index):
                    factor = Fraction(self.number(slot)) ** exponent
                    product = {k: v * factor for k, v in product.items()}
                elif atom.link is not None and exponent == 1 and link is None:
                    link = self._transfer(atom, index)
                else:
                    part = self._part(slot, index, span)
                    if exponent < 0:
                        raise NotAffineError(
                            f"a quotient by {self.space.written({((slot, 1),): 1})}"
                        )
                    for _ in range(exponent):
                        product = _times(product, part)
            if link is not None:
                if product.keys() - {(0, 0)}:
                    raise NotAffineError("a collective that happens more often")
                bents.append(link.scaled(product.get((0, 0), ZERO)))
            else:
                for key, value in product.items():
                    total[key] = total.get(key, ZERO) + value
        if any(v for (x, t), v in total.items() if x > 1 or t > 1):
            raise NotAffineError("a product of the unknown with itself")
        keys = ((0, 0), (1, 0), (0, 1), (1, 1))
        base, slope, tilt, twist = (total.get(k, ZERO) for k in keys)
        return Form(base, slope, tilt, twist, summed(bents) if bents else None)

    def _part(self, slot: int, index: Symbol | None, span: Steps) -> Product:
        """Return an atom that the unknown or a step is in."""
        atom = self.space.atoms[slot]
        if atom.symbol is not None:
            return {(1, 0) if atom.symbol == self.unknown else (0, 1): Fraction(1)}
        forms = [self.form(dict(a), index, span) for a in atom.args]
        if not any(f.slope or f.twist or f.bent is not None for f in forms):
            if span[0] == span[1]:
                values = [f.base + f.tilt * span[0] for f in forms]
                return {(0, 0): Fraction(EVALUATE[atom.kind](*values))}
            if atom.kind == "least":
                a, b = ([f.base + f.tilt * t for t in span] for f in forms)
                for form, mine, other in ((forms[0], a, b), (forms[1], b, a)):
                    if mine[0] <= other[0] and mine[1] <= other[1]:
                        return {(0, 0): form.base, (0, 1): form.tilt}
        raise NotAffineError(f"a {atom.kind.replace('_', ' ')} of it")

    def kinks(self, terms: Terms, index: Symbol, steps: int) -> set[int]:
        """Return the steps within a loop at which a window is reached; all, of other functions."""
        found: set[int] = set()
        slots = {slot for m in terms for slot, _ in m if self.space.atom_mentions(slot, index)}
        functions = [self.space.atoms[s] for s in slots if self.space.atoms[s].symbol is None]
        if any(a.kind != "least" for a in functions):
            if steps > MOST_STEPS:
                raise NotAffineError(f"a function of the step over {steps:,} steps")
            return set(range(1, steps))
        for atom in functions if steps > 1 else ():
            a, b = (self.form(dict(arg), index, (0, steps - 1)) for arg in atom.args)
            base, tilt = a.base - b.base, a.tilt - b.tilt
            if tilt and not (a.slope or b.slope or a.twist or b.twist):
                at = -base / tilt
                found |= {k for k in (at.__floor__(), at.__floor__() + 1) if 0 < k < steps}
        return found

    def value(self, terms: Terms) -> Fraction:
        """Return a polynomial the unknown is not in.

        Raises:
            NotAffineError: the unknown is in it.
        """
        form = self.form(terms)
        if form.slope or form.bent is not None:
            raise NotAffineError("how often something happens depends on the unknown")
        return form.base

    def _varies(self, slot: int, index: Symbol | None) -> bool:
        return any(
            s is not None and self.space.atom_mentions(slot, s) for s in (self.unknown, index)
        )

    def number(self, slot: int) -> Any:
        """Return the value of an atom that neither the unknown nor a step is in."""
        if slot not in self._numbers:
            atom = self.space.atoms[slot]
            if atom.symbol is not None:
                if atom.symbol not in self.env:
                    raise SpecError(f"nothing binds the symbol {atom.symbol}")
                self._numbers[slot] = self.env[atom.symbol]
            elif atom.link is not None:
                size = self.form(dict(atom.args[0])).base
                self._numbers[slot] = _on(lines_of(atom), size)
            else:
                args = [self.form(dict(a)).base for a in atom.args]
                self._numbers[slot] = EVALUATE[atom.kind](*args)
        return self._numbers[slot]

    def _transfer(self, atom: SpaceAtom, index: Symbol | None) -> Broken:
        """Return the time of a collective whose size is affine in the unknown."""
        size = self.form(dict(atom.args[0]), index)
        if size.moves or size.bent is not None or size.slope <= 0:
            raise NotAffineError("a message that changes from step to step")
        lines = lines_of(atom)
        found: list[Piece] = []
        for k, (start, slope, base) in enumerate(lines):
            ends = lines[k + 1][0] if k + 1 < len(lines) else None
            low = max(self.low, (start - size.base) / size.slope) if k else self.low
            high = self.high if ends is None else min(self.high, (ends - size.base) / size.slope)
            if low < high or (low == high and not found):
                found.append(Piece(low, high, base + slope * size.base, slope * size.slope))
        return joined(found)


Lines = Sequence[tuple[Fraction, Fraction, Fraction]]
"""(where it begins, slope, value at no bytes) of each piece."""
Steps = tuple[int, int]
MOST_STEPS = 4096
"""Steps of a loop that are looked at one by one; longer ones are searched instead."""
Product = dict[tuple[int, int], Fraction]
"""(exponent of the unknown, exponent of the step) → coefficient."""


def _times(a: Product, b: Product) -> Product:
    found: Product = {}
    for (x, t), c in a.items():
        for (y, u), d in b.items():
            found[x + y, t + u] = found.get((x + y, t + u), ZERO) + c * d
    return found


def lines_of(atom: SpaceAtom) -> Lines:
    """Return the pieces of a collective's time, joined where they meet exactly."""
    assert atom.link is not None
    rows = zip(*transfer_pieces(*atom.link), strict=True)
    found: list[tuple[Fraction, Fraction, Fraction]] = []
    for start, slope, base in (map(Fraction, map(float, row)) for row in rows):
        if not found:
            found.append((start, slope, base))
        elif slope != found[-1][1]:
            _, before, b = found[-1]
            found.append(((b - base) / (slope - before), slope, base))
    return found


def _on(lines: Lines, size: Fraction) -> Fraction:
    _, slope, base = next((piece for piece in reversed(lines) if piece[0] <= size), lines[0])
    return slope * size + base
