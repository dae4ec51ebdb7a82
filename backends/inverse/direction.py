"""Which way a quantity goes as one symbol grows: a certificate, or none.

Every atom is nonnegative. A product grows when each factor grows or stays; a sum when each term
does. ``1 - (1-q)**n`` is one factor and grows, since the power falls.

**A cost per sequence.** ``f(b)/b`` falls, ``b`` = 1, 2, …, in these cases, ``f`` nowhere negative:

1. ``f = b``: it is 1. ``f`` that stays or falls: so does ``f/b``.
2. Sums, the least and the greatest of such functions, and one of them times what stays or falls.
3. A collective's time ``t(s)`` with ``s(b)/b`` falling: each algorithm takes ``α·s + β``, neither
   of both negative, so ``α·s/b + β/b`` falls, and ``t`` is made of such by case 2.
4. What ``n(b)`` tokens touch, ``g(n) = 1 - (1-q)**n``, with ``n`` growing and ``n(b)/b`` falling.
   ``g`` is concave (its second difference is ``-q²·(1-q)**n``) and ``g(0) = 0``, so ``g(n)/n``
   falls with ``n``: with ``m < n``, ``m = (m/n)·n + (1 - m/n)·0``, hence
   ``g(m) ≥ (m/n)·g(n)``. Then ``g(n(b))/b = g(n)/n · n/b`` is a product of two that fall.

Nothing is said of ``ceil_div(b, n)``: over ``b`` it is a sawtooth.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from mansard.backends.engine.polynomials import Space, SpaceAtom, constant
from mansard.backends.inverse.products import NONE, Product, products
from mansard.backends.quantity import Monomial, Terms
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
            turned(self._product(p, symbol), 1 if p.scale > 0 else -1)
            for p in products(self.space, terms)
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

    def _product(self, product: Product, symbol: Symbol) -> Way:
        return together([*self._factors(product.atoms, symbol), self._touched(product, symbol)])

    def _factors(self, monomial: Monomial, symbol: Symbol) -> list[Way]:
        return [turned(self.atom(s, symbol), 1 if e > 0 else -1) for s, e in monomial]

    def _touched(self, product: Product, symbol: Symbol) -> Way:
        return STILL if product.touched == NONE else turned(self.atom(product.touched, symbol))

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
        return together(self._per(p, symbol) for p in products(self.space, terms))

    def _per(self, product: Product, symbol: Symbol) -> Way:
        (own, _), *_ = next(iter(self.space.atom(SpaceAtom("symbol", symbol))))
        once = (own, 1) in product.atoms
        rest = tuple(factor for factor in product.atoms if factor != (own, 1))
        ways = [*self._factors(rest, symbol), self._touched(product, symbol)]
        sign = 1 if product.scale > 0 else -1
        if once:  # what is left of it
            return turned(together(ways), sign)
        growing = [k for k, way in enumerate(ways) if way not in (STILL, DOWN)]
        if growing and not (len(growing) == 1 and self._falls(product, growing[0], symbol)):
            return None
        return turned(DOWN, sign)

    def _falls(self, product: Product, which: int, symbol: Symbol) -> bool:
        """Say whether one factor falls when divided by the symbol; the last is what is touched."""
        if which < len(product.atoms):
            slot, exponent = product.atoms[which]
            atom = self.space.atoms[slot]
            if exponent != 1 or atom.kind not in ("least", "transfer"):
                return False
            return all(self.per(dict(a), symbol) in (STILL, DOWN) for a in atom.args)
        tokens = dict(self.space.atoms[product.touched].args[1])
        grows = self.of(tokens, symbol) in (STILL, UP)
        return grows and self.per(tokens, symbol) in (STILL, DOWN)
