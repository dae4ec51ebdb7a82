"""The seconds of a segment on one chip, at arrays of points."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product

import numpy as np

from mansard.backends.engine.greatest import Greatest, Row, crossing
from mansard.backends.engine.lowered import NotCompiledError, Segment
from mansard.backends.engine.parameters import Rates
from mansard.backends.engine.points import Array, Operand, Points
from mansard.backends.engine.polynomials import (
    Space,
    add,
    constant,
    freeze,
    scaled,
    substituted,
)
from mansard.backends.engine.rows import rows_of
from mansard.backends.quantity import Scalar, Terms
from mansard.core.symbols import Symbol

NEAR = 1e-9
"""A trip count this close to a whole number is one: only rounding keeps it away."""

MOST_KINKS = 4
"""Bends of one loop whose sides are all tried; a model has one or two lengths of window."""


class Timed:
    """A segment with its rows priced.

    Args:
        segment: of a schedule.
        rates: price it.
        space: of its polynomials.

    ``still`` are the rows a loop does not change and ``moving`` the others; ``kinks`` are the
    functions that bend along it, each with the difference whose change of sign does it, and
    ``bends`` says that products of the step occur between kinks.

    Raises:
        NotCompiledError: a size that is not affine along the loop.
    """

    def __init__(self, segment: Segment, rates: Rates, space: Space) -> None:
        self.segment, self._space = segment, space
        rows = rows_of(segment, rates, space)
        if not rows and segment.seconds:
            rows = [[segment.seconds]]
        index = segment.index
        self.moving = [row for row in rows if any(space.mentions(t, index) for t in row)]
        self.still = [row for row in rows if not any(space.mentions(t, index) for t in row)]
        self._still, self._moving = Greatest(self.still), Greatest(self.moving)
        self.kinks = dict(kinks_of(space, index, self.moving)) if index is not None else {}
        self.bends = index is not None and _bends(space, index, self.moving)

    def trips(self, points: Points) -> tuple[Operand, Operand]:
        """Return whole trips of the loop around it, and the fraction of one more."""
        return trips_at(self.segment, points)

    def often(self, points: Points) -> Operand:
        """Return how often it happens beside its loop."""
        return product_of(points, self.segment.factors)

    def seconds(self, points: Points) -> Array:
        """Return its time at every point [s]."""
        whole, part = self.trips(points)
        total = self._still.at(points) * (whole + part)
        if self.segment.index is not None and not self._moving.empty:
            total = total + self._loop(points, whole, self.segment.index)
            if np.any(part > 0):
                after = self._moving.at(points.at(self.segment.index, whole))
                total = total + after * part
        found: Array = total * self.often(points)
        return found

    def _loop(self, points: Points, whole: Operand, index: Symbol) -> Operand:
        edges = [0.0 * whole, whole]
        if self.kinks:
            last = np.maximum(whole - 1, 0.0)
            first_at, last_at = points.at(index, 0.0 * whole), points.at(index, last)
            edges += [
                crossing(first_at.polynomial(d), last_at.polynomial(d), whole)
                for d in self.kinks.values()
            ]
            ordered = np.sort(np.array(np.broadcast_arrays(*edges)), axis=0)
            edges = list(ordered)
        total: Operand = 0.0
        for low, after in pairwise(edges):
            length = after - low
            if np.any(length > 0):
                first = points.at(index, low)
                end = points.at(index, np.maximum(after - 1, low))
                total = total + self._moving.over(first, end, length)
                if self.bends and np.any(length > 2):
                    middle = points.at(index, (low + after - 1) / 2)
                    self._moving.check_affine(first, middle, end, length > 2)
        return total


def trips_at(segment: Segment, points: Points) -> tuple[Operand, Operand]:
    """Return whole trips of the loop around a segment, and the fraction of one more."""
    if segment.times is None:
        return 1.0, 0.0
    count = np.maximum(points.polynomial(segment.times), 0.0)
    whole = np.floor(count + NEAR)
    part = count - whole
    return whole, np.where(part > NEAR, part, 0.0) if np.any(part) else 0.0


def product_of(points: Points, factors: tuple[Terms, ...]) -> Operand:
    """Return a product of factors, each at least 0; what happens never does so no times at all.

    A loop of ``n - 1`` trips, in each of which something happens ``k/(n - 1)`` times, has none of
    it where ``n`` is 1.
    """
    product: Operand = 1.0
    for k, terms in enumerate(factors):
        factor = np.maximum(points.polynomial(terms), 0.0)
        product = np.where(np.equal(product, 0), 0.0, product * factor) if k else factor
    return product


def kinks_of(space: Space, index: Symbol, rows: list[Row]) -> Iterator[tuple[int, Terms]]:
    """Yield functions that bend along the loop, with the difference whose sign says where.

    Raises:
        NotCompiledError: a function that is affine in the step on neither side of a kink.
    """
    slots = {s: None for row in rows for t in row for m in t for s, _ in m}
    for slot in (s for s in slots if space.atom_mentions(s, index)):
        atom = space.atoms[slot]
        if atom.symbol is not None:
            continue
        plain = all(_plain(space, dict(a), index) for a in atom.args)
        if atom.kind != "least" or not plain:
            raise NotCompiledError(f"a {atom.kind} that moves along the loop is stepped")
        yield slot, difference(space, slot)


def _bends(space: Space, index: Symbol, rows: list[Row]) -> bool:
    """Say whether products of the step are left between the kinks, whichever sides hold there."""
    bent = [t for row in rows for t in row if any(space.degree(m, index) > 1 for m in t)]
    slots = {s for t in bent for m in t for s, _ in m if space.atom_mentions(s, index)}
    kinked = [s for s in slots if space.atoms[s].symbol is None]
    if len(kinked) > MOST_KINKS:
        return True
    signs = [difference(space, s) for s in kinked]
    for sides in product((0, 1), repeat=len(kinked)):
        if _is_brief(space, index, signs, sides):
            continue
        chosen = {s: dict(space.atoms[s].args[k]) for s, k in zip(kinked, sides, strict=True)}
        straight = (substituted(t, chosen) for t in bent)
        if any(space.degree(m, index) > 1 for t in straight for m in t):
            return True
    return False


def difference(space: Space, slot: int) -> Terms:
    """Return by how much the first argument of a ``least`` exceeds the second."""
    a, b = (dict(arg) for arg in space.atoms[slot].args)
    return add([a, scaled(b, -1)])


def _is_brief(space: Space, index: Symbol, signs: list[Terms], sides: tuple[int, ...]) -> bool:
    """Say whether sides can hold together for a single step at most, on which nothing bends.

    Where one difference is positive and another, smaller by a constant, is not, as many steps fit
    as that constant holds slopes: one, between ``P`` and ``P + 1`` tokens against one window.
    """
    for k, upper in enumerate(signs):
        for j, lower in enumerate(signs):
            if sides[k] == 1 and sides[j] == 0:
                gap = constant(freeze(add([upper, scaled(lower, -1)])))
                slope = slope_of(space, index, lower)
                if gap is not None and slope is not None and slope > 0 and gap <= slope:
                    return True
    return False


def slope_of(space: Space, index: Symbol, terms: Terms) -> Scalar | None:
    """Return by how much a polynomial grows a step; None unless that is one number."""
    found = [(m, c) for m, c in terms.items() if space.degree(m, index)]
    if len(found) != 1 or len(found[0][0]) != 1 or space.atoms[found[0][0][0][0]].symbol is None:
        return None
    return found[0][1]


def _plain(space: Space, terms: Terms, index: Symbol) -> bool:
    """Say whether a polynomial is affine in the step, which no function in it mentions."""
    for monomial in terms:
        if space.degree(monomial, index) > 1:
            return False
        for slot, _ in monomial:
            if space.atoms[slot].symbol is None and space.atom_mentions(slot, index):
                return False
    return True
