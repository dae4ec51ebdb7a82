"""Contexts at which the sum over a loop is cut, the same for every loop.

Along a loop only the context grows, and between neighbouring knots the time of a step is taken as
affine in it. Since the knots are those of every prompt and output, a sweep knows the sum between
any two of them once for all its points.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise

from mansard.backends.sums import Piece, Point

OCTAVE = 8
"""Knots between a context and its double: a time bends by ``(p-1)/4`` at its sharpest knee, so the
chord of a ninth of the context is off by less than ``(p-1)/32 · 0.09²``, 0.2 % at ``p = 10``."""
LONGEST = 2**40
"""Context no loop reaches."""


@cache
def knots() -> tuple[int, ...]:
    """Return the contexts, ascending; small ones are all of them."""
    steps = range(OCTAVE * int(math.log2(LONGEST)) + 1)
    return tuple(dict.fromkeys(math.floor(2 ** (k / OCTAVE)) for k in steps))


def after_knots(first: float, last: float, steps: int) -> list[int]:
    """Return the steps, of ``steps`` along which the context goes evenly, that begin a new part.

    >>> after_knots(100.0, 131.0, 32)    # the knots 107, 117 and 128 each end a part
    [8, 18, 29]
    """
    if last == first:
        return []
    slope = (last - first) / (steps - 1)
    low, high = min(first, last), max(first, last)
    inside = (k for k in knots() if low <= k < high)
    found = {math.floor((k - first) / slope) + 1 for k in inside}
    return sorted(step for step in found if 0 < step < steps)


def cut_at(piece: Piece, starts: Iterable[int], at: Point) -> Iterator[Piece]:
    """Yield the parts of a piece that begin at some of its steps, counted from its first."""
    edges = [0, *starts, piece.steps]
    for low, after in pairwise(edges):
        first, last = piece.first + low, piece.first + after - 1
        start = piece.start if low == 0 else at(first)
        end = piece.end if after == piece.steps else start if first == last else at(last)
        yield Piece(first, last, start, end)
