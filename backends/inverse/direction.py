"""Which way a quantity goes as one symbol grows: a certificate, or none.

Every atom is nonnegative. A monomial grows when each factor grows or stays; a sum when each term
does. ``1 - (1-q)**n`` grows though a coefficient is negative, since the power falls.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from mansard.backends.engine.polynomials import Space, SpaceAtom, constant
from mansard.backends.quantity import Terms
from mansard.core.symbols import Symbol

UP, STILL, DOWN = 1, 0, -1
Way = int | None
"""``UP``: it grows or stays; ``DOWN``: it falls or stays; None: nobody knows."""


def together(ways: Iterable[Way]) -> Way:
    """Return the way of a sum, or of a product of nonnegative factors."""
    found = set(ways)
    if None in found or found >= {UP, DOWN}:
        return None
    return UP if UP in found else DOWN if DOWN in found else STILL


def turned(way: Way, by: int = -1) -> Way:
    """Return the way of a quantity times a number of a sign."""
    return None if way is None else way * by


class Directions:
    """Ways of polynomials of one space.

    Args:
        space: of the polynomials.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self._ways: dict[tuple[int, Symbol], Way] = {}

    def of(self, terms: Terms, symbol: Symbol) -> Way:
        """Return which way a polynomial goes."""
        return together(
            turned(self._monomial(m, symbol), 1 if c > 0 else -1) for m, c in terms.items()
        )

    def of_cost(self, terms: Terms, symbol: Symbol) -> Way:
        """Return which way a polynomial goes that is a cost, whatever number the symbol is.

        Where the symbol is only a factor, and squared nowhere, the cost is ``A + B·symbol``. Of no
        number it is negative, so ``B`` is not either, whatever the signs of its terms: the sum over
        a window is such a difference.
        """
        way = self.of(terms, symbol)
        if way is not None:
            return way
        slots = {slot: e for m in terms for slot, e in m if self.space.atom_mentions(slot, symbol)}
        plain = all(self.space.atoms[slot].symbol is not None for slot in slots)
        straight = all(e == 1 for m in terms for slot, e in m if slot in slots)
        return UP if plain and straight else None

    def _monomial(self, monomial: tuple[tuple[int, int], ...], symbol: Symbol) -> Way:
        return together(
            turned(self.atom(slot, symbol), 1 if exponent > 0 else -1)
            for slot, exponent in monomial
        )

    def atom(self, slot: int, symbol: Symbol) -> Way:
        """Return which way an atom goes."""
        key = (slot, symbol)
        if key not in self._ways:
            self._ways[key] = self._found(self.space.atoms[slot], slot, symbol)
        return self._ways[key]

    def _found(self, atom: SpaceAtom, slot: int, symbol: Symbol) -> Way:
        if atom.symbol is not None:
            return UP if atom.symbol == symbol else STILL
        if not self.space.atom_mentions(slot, symbol):
            return STILL
        ways = [self.of(dict(a), symbol) for a in atom.args]
        match atom.kind:
            case "least" | "transfer":
                return together(ways)
            case "ceil_div":
                return together([ways[0], turned(ways[1])])
            case "geometric" if ways[0] == STILL:
                return ways[1]
            case "power" if ways[0] == STILL:
                base = constant(atom.args[0])
                if base is None or not Fraction(base) >= 0:
                    return None
                return turned(ways[1], 1 if base >= 1 else -1)
            case "power" if ways[1] == STILL and (raised := constant(atom.args[1])) is not None:
                return turned(ways[0], 1 if raised > 0 else -1)
            case _:
                return None

    def per(self, terms: Terms, symbol: Symbol) -> Way:
        """Return which way a polynomial goes when divided by the symbol."""
        slot = next(iter(self.space.atom(SpaceAtom("symbol", symbol))))[0][0]
        divided: Terms = {}
        for monomial, c in terms.items():
            powers = dict(monomial)
            powers[slot] = powers.get(slot, 0) - 1
            divided[tuple(sorted((s, e) for s, e in powers.items() if e))] = c
        return self.of(divided, symbol)
