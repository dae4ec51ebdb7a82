"""Resources that never win: what they take is at most a mean of what two others take.

A kernel takes as long as its slowest resource. Where ``r ≤ θ·a + (1-θ)·b`` for some ``θ`` from 0 to
1, ``r`` is at most the greater of ``a`` and ``b``, and whichever way ``r`` goes does not matter. So
``ceil_div(x, n)``, which is at most ``x/n + 1``, is left out where decoding a tile's weights takes
less than reading them and less than the arithmetic on the tile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations_with_replacement

from mansard.backends.engine.polynomials import Space, add, constant, number, scaled, times
from mansard.backends.inverse.products import NONE, products
from mansard.backends.quantity import Monomial, Terms

Sums = Mapping[tuple[Monomial, int], float]
"""(atoms, what is touched) → how much of it."""


def competing(space: Space, rows: Sequence[Terms]) -> list[Terms]:
    """Return the polynomials that may be the greatest, without those that others cover."""
    kept = list(rows)
    for row in rows:
        others = [other for other in kept if other is not row]
        if others and _covered(space, row, others):
            kept = others
    return kept


def _covered(space: Space, row: Terms, others: Sequence[Terms]) -> bool:
    exact = [_sums(space, other) for other in others]
    known = [sums for sums in exact if sums is not None]
    return any(
        _mean_exceeds(a, b, above)
        for a, b in combinations_with_replacement(known, 2)
        if (above := _bound(space, row, a.keys() | b.keys())) is not None
    )


def _sums(space: Space, terms: Terms) -> Sums | None:
    """Return a polynomial by product; None where one is negative."""
    found = {(p.atoms, p.touched): float(p.scale) for p in products(space, terms)}
    return found if all(scale >= 0 for scale in found.values()) else None


def _bound(
    space: Space, terms: Terms, known: frozenset[tuple[Monomial, int]] | set[tuple[Monomial, int]]
) -> Sums | None:
    """Return what a polynomial is at most, over products that are known where it can be."""
    found: dict[tuple[Monomial, int], float] = {}
    for product in products(space, terms):
        if product.scale < 0:
            return None
        for monomial, c in _without_blocks(space, product.atoms).items():
            key = (monomial, product.touched if (monomial, product.touched) in known else NONE)
            found[key] = found.get(key, 0.0) + float(c) * float(product.scale)
    return found


def _without_blocks(space: Space, monomial: Monomial) -> Terms:
    """Return a product with each ``ceil_div(x, n)`` as ``x/n + 1``."""
    value: Terms = number(1)
    for slot, exponent in monomial:
        atom = space.atoms[slot]
        size = constant(atom.args[1]) if atom.kind == "ceil_div" else None
        if size is None or exponent != 1:
            value = times(value, {((slot, exponent),): 1})
        else:
            value = times(value, add([scaled(dict(atom.args[0]), 1 / float(size)), number(1)]))
    return value


def _mean_exceeds(a: Sums, b: Sums, row: Sums) -> bool:
    """Say whether some mean of two sums is at least a third one, product by product."""
    low, high = 0.0, 1.0
    for needed, x, y in _each(a, b, row):
        if x == y:
            if needed > y:
                return False
        elif x > y:
            low = max(low, (needed - y) / (x - y))
        else:
            high = min(high, (needed - y) / (x - y))
    return low <= high


def _each(a: Sums, b: Sums, row: Sums) -> Iterator[tuple[float, float, float]]:
    for key, needed in row.items():
        yield needed, a.get(key, 0.0), b.get(key, 0.0)
