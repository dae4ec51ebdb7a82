"""Polynomials as sums of products that show their signs: what ``n`` tokens touch is one factor.

Of a block of weights of which each token needs a share ``q``, ``n`` independent tokens need
``1 - (1-q)**n``. As a polynomial that is two terms of opposite signs, which say nothing alone.

>>> from mansard.core.symbols import batch
>>> import sympy as sp
>>> space = Space()
>>> terms = space.expression(3 * batch + 6 * (1 - sp.Rational(3, 4) ** batch))
>>> [(p.scale, p.touched >= 0) for p in products(space, terms)]
[(3, False), (6, True)]
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from mansard.backends.engine.polynomials import Space, constant
from mansard.backends.quantity import Monomial, Scalar, Terms
from mansard.core.records import dataclass

NONE = -1


@dataclass(frozen=True)
class Product:
    """``scale · atoms · (1 - power)``.

    Args:
        scale: a number.
        atoms: each with its exponent.
        touched: the slot of a power of a number from 0 to 1, whose complement is a factor; or
            ``NONE``.
    """

    scale: Scalar
    atoms: Monomial
    touched: int = NONE


def products(space: Space, terms: Terms) -> tuple[Product, ...]:
    """Return a polynomial as products, of which as few as possible are negative."""
    left = dict(terms)
    found = [p for m, c in terms.items() if c < 0 for p in _complement(space, left, m, c)]
    return (*(Product(c, m) for m, c in left.items() if c), *found)


def _complement(space: Space, left: Terms, monomial: Monomial, c: Scalar) -> Iterator[Product]:
    """Take ``c·m·p`` and ``-c·m`` where terms have both; yield ``-c·m·(1 - p)``."""
    for at, (slot, exponent) in enumerate(monomial):
        rest = monomial[:at] + monomial[at + 1 :]
        if exponent == 1 and _is_share(space, slot) and left.get(rest, 0) >= -c:
            left[rest] += c
            del left[monomial]
            yield Product(-c, rest, slot)
            return


def _is_share(space: Space, slot: int) -> bool:
    """Say whether an atom is a power of a number from 0 to 1."""
    atom = space.atoms[slot]
    if atom.kind != "power":
        return False
    base = constant(atom.args[0])
    return base is not None and 0 <= Fraction(base) <= 1
