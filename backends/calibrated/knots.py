"""Contexts between which the time of a step is taken as affine, the same for every loop.

Along a loop only the context grows. A step's time is what the forms say at the knots, and on the
straight line between two of them elsewhere; a loop's sum over whole steps is then closed. Since the
knots are those of every prompt and output, a sweep evaluates the forms there once a batch, and
looks up the rest.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise

from mansard.backends.sums import Piece, Point, Values
from mansard.core.records import dataclass

OCTAVE = 8
"""Knots between a context and its double: a time bends by ``(p-1)/4`` at its sharpest knee, so the
chord of a ninth of the context is off by less than ``(p-1)/32 · 0.09²``, 0.2 % at ``p = 10``."""
LONGEST = 2**40
"""Context no loop reaches."""


@cache
def knots() -> tuple[int, ...]:
    """Return the contexts, ascending from nothing; small ones are all of them."""
    steps = range(OCTAVE * int(math.log2(LONGEST)) + 1)
    return tuple(dict.fromkeys((0, *(math.floor(2 ** (k / OCTAVE)) for k in steps))))


@dataclass(frozen=True)
class Chord(Piece):
    """Steps whose times lie on the line between those of two others.

    Args:
        low, high: the values at those two, of which the first may be before the steps and the
            second after them.
        before: steps from the first of the two to the piece.
        span: steps from one to the other.
    """

    low: Values
    high: Values
    before: int
    span: int

    def share(self, step: float) -> float:
        """Return how far from the first of the two to the second a step of the piece is."""
        return (self.before + step) / self.span if self.span else 0.0

    @property
    def middle(self) -> float:
        """How far the mean step is."""
        return self.share((self.steps - 1) / 2)


def around(begins: float, slope: float, first: int, last: int, free: bool) -> list[int]:
    """Return the steps at knots, from the one at or before a loop to the one at or after it.

    Args:
        begins: context of the first step.
        slope: by how much it grows a step.
        first: of the steps.
        last: of them.
        free: whether a step outside the loop says what its context takes; else the loop's own
            ends stand in for them.

    >>> around(100.0, 1.0, 0, 31, True)    # contexts 98, 107, 117, 128 and 139
    [-2, 7, 17, 28, 39]
    """
    if not slope:
        return sorted({first, last})
    known, after = knots(), last + 1 if free else last
    contexts = sorted((begins, begins + slope * (after - first)))
    low = max(bisect_right(known, contexts[0]) - 1, 0)
    some = known[low : bisect_left(known, contexts[1]) + 1]
    steps = {math.floor((k - begins) / slope) + first for k in some}
    inside = {step for step in steps if first < step <= last}
    if not free:
        return sorted({first, *inside, last})
    before = max((step for step in steps if step <= first), default=first)
    beyond = min((step for step in steps if step > last), default=last)
    return sorted({before, *inside, beyond})


def chords(
    affine: Iterable[Piece], nodes: Iterable[int], first: int, last: int, at: Point
) -> Iterator[Chord]:
    """Yield the steps ``first … last`` as chords between nodes and the ends of pieces.

    Args:
        affine: pieces over which every quantity is affine, which reach as far as the nodes.
        nodes: steps at knots.
        first: of the steps to yield.
        last: of them.
        at: evaluates the quantities at a step.
    """
    every = sorted(nodes)
    for piece in affine:
        ends = [piece.first, *(n for n in every if piece.first < n < piece.last), piece.last]
        values = {piece.first: piece.start, piece.last: piece.end}
        for low, high in pairwise(ends) if piece.steps > 1 else [(piece.first, piece.first)]:
            begins = max(low if low == piece.first else low + 1, first)
            stops = min(high, last)
            if begins > stops:
                continue
            for step in (low, high, begins, stops):
                if step not in values:
                    values[step] = at(step)
            yield Chord(
                begins, stops, values[begins], values[stops], values[low], values[high],
                begins - low, high - low,
            )  # fmt: skip
