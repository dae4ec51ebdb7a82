"""Collectives at arrays of sizes: the pieces of what ``collectives.seconds`` says, found exactly.

The time of a message is piecewise affine in its size, where one algorithm overtakes another. In
rationals two probes give a line and two lines their crossing, so no algorithm is repeated here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mansard.backends.collectives import Level, seconds
from mansard.core.errors import SpecError

LARGEST = Fraction(2**70)
"""Bytes no message reaches."""
STEP = Fraction(1, 2**30)
DEEPEST = 64

Line = tuple[Fraction, Fraction]
"""(seconds per byte, seconds)."""
Pieces = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


@lru_cache(maxsize=256)
def pieces(op: str, levels: tuple[Level, ...]) -> Pieces:
    """Return where pieces begin [B], their slopes [s/B] and their values at no bytes [s]."""
    exact: tuple[Level, ...] = tuple(
        Level(Fraction(level.ranks), Fraction(level.bytes_per_s), Fraction(level.latency_s))
        for level in levels
    )

    def at(size: Fraction) -> Fraction:
        return Fraction(seconds(op, size, exact))

    low, high = Fraction(1), LARGEST
    found = list(_split(at, low, _line(at, low, STEP), high, _line(at, high, -STEP), 0))
    starts = np.array([0.0, *(float(s) for s, _ in found[1:])])
    slopes = np.array([float(line[0]) for _, line in found])
    return starts, slopes, np.array([float(line[1]) for _, line in found])


def transfer_s(
    size: NDArray[np.float64] | float, op: str, levels: tuple[Level, ...]
) -> NDArray[np.float64]:
    """Return the time of messages of each size [s]."""
    starts, slopes, bases = pieces(op, levels)
    which = np.searchsorted(starts[1:], size, side="right")
    found: NDArray[np.float64] = slopes[which] * size + bases[which]
    return found


def _line(at: Callable[[Fraction], Fraction], x: Fraction, step: Fraction) -> Line:
    slope = (at(x + step) - at(x)) / step
    return slope, at(x) - slope * x


def _split(
    at: Callable[[Fraction], Fraction], low: Fraction, a: Line, high: Fraction, b: Line, depth: int
) -> Iterator[tuple[Fraction, Line]]:
    """Yield (where it begins, its line) of each piece from ``low`` to ``high``."""
    if a == b:
        yield low, a
        return
    if depth > DEEPEST:
        raise SpecError("a collective's time is not piecewise affine in its size")
    x = (b[1] - a[1]) / (a[0] - b[0]) if a[0] != b[0] else low
    if low < x < high and at(x) == a[0] * x + a[1]:
        yield low, a
        yield x, b
        return
    if not low < x < high:
        x = (low + high) / 2
    yield from _split(at, low, a, x, _line(at, x, -STEP), depth + 1)
    after = list(_split(at, x, _line(at, x, STEP), high, b, depth + 1))
    yield from after
