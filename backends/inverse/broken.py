"""Continuous piecewise-affine functions of one unknown, in rationals.

>>> rows = Broken(ZERO, Fraction(100), Fraction(3), ZERO, Bends([(Fraction(3), Fraction(1))]))
>>> rows.at(2), rows.at(5)    # max(3, x) on [0, 100]
(Fraction(3, 1), Fraction(5, 1))
>>> [(int(a), int(b)) for a, b in rows.where(10)]    # at most 10
[(0, 10)]
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mansard.core.records import dataclass

Array = NDArray[np.float64]

Span = tuple[Fraction, Fraction]
"""Both ends included."""


@dataclass(frozen=True)
class Piece:
    """``base + slope·x`` from ``low`` to ``high``."""

    low: Fraction
    high: Fraction
    base: Fraction
    slope: Fraction

    def at(self, x: Fraction | int) -> Fraction:
        """Return its value."""
        return self.base + self.slope * x


ZERO = Fraction(0)
MANY = 32
"""Bends that are sooner looked at as arrays."""
SURE = 1e-9
"""Part of a float's terms beyond which its sign is not that of rounding."""


class Bends(tuple[tuple[Fraction, Fraction], ...]):
    """(where, by how much the slope changes), ascending; running sums are made once."""

    @cached_property
    def places(self) -> list[float]:
        """Where they are, as floats."""
        return [float(x) for x, _ in self]

    @cached_property
    def offsets(self) -> list[tuple[Fraction, Fraction]]:
        """What base and slope are off by after the first 0, 1, 2 … bends."""
        found = [(ZERO, ZERO)]
        for x, change in self:
            base, slope = found[-1]
            found.append((base - change * x, slope + change))
        return found

    @cached_property
    def rounded(self) -> list[tuple[float, float]]:
        """The same as floats."""
        return [(float(base), float(slope)) for base, slope in self.offsets]

    @cached_property
    def columns(self) -> tuple[Array, Array, Array]:
        """Places, and bases and slopes after them, as arrays."""
        bases, slopes = np.array(self.rounded).T
        return np.array(self.places), bases, slopes


NONE = Bends()


@dataclass(frozen=True)
class Broken:
    """``base + slope·x`` up to the first bend; each bend adds to the slope.

    Args:
        low: where it begins.
        high: where it ends.
        base: value at 0 of the first piece.
        slope: of the first piece.
        bends: (where, by how much the slope changes), ascending.
    """

    low: Fraction
    high: Fraction
    base: Fraction
    slope: Fraction
    bends: Bends = NONE

    def at(self, x: Fraction | int) -> Fraction:
        """Return its value."""
        k = bisect_left(self.bends.places, float(x))
        while k < len(self.bends) and self.bends[k][0] < x:
            k += 1
        while k and self.bends[k - 1][0] > x:
            k -= 1
        return self.piece(k).at(x)

    def near(self, x: float) -> float:
        """Return its value in floats."""
        base, slope = self.bends.rounded[bisect_left(self.bends.places, x)]
        return self._floats[0] + base + (self._floats[1] + slope) * x

    @cached_property
    def _floats(self) -> tuple[float, float]:
        return float(self.base), float(self.slope)

    def __add__(self, other: Broken) -> Broken:
        return summed([self, other])

    def scaled(self, by: Fraction | int) -> Broken:
        """Return it times a number."""
        if by == 1:
            return self
        bends = Bends((x, d * by) for x, d in self.bends) if by else Bends()
        return Broken(self.low, self.high, self.base * by, self.slope * by, bends)

    def piece(self, k: int) -> Piece:
        """Return the piece after the first ``k`` bends."""
        base, slope = self.bends.offsets[k]
        low = self.bends[k - 1][0] if k else self.low
        high = self.bends[k][0] if k < len(self.bends) else self.high
        return Piece(low, high, self.base + base, self.slope + slope)

    def pieces(self) -> Iterator[Piece]:
        """Yield its affine pieces, in order."""
        for k in range(len(self.bends) + 1):
            piece = self.piece(k)
            if piece.low < piece.high or not self.bends:
                yield piece

    def changing(self) -> Iterator[tuple[Piece, int]]:
        """Yield pieces that may meet zero, and spans of those that do not as one, with their sign.

        The sign of a piece that may meet it is 0. Floats decide what they can.
        """
        signs = self._signs()
        turns = [k for k in range(1, len(signs)) if signs[k] != signs[k - 1]]
        for first, end in pairwise([0, *turns, len(signs)]):
            sign = signs[first]
            if sign:
                yield self._between(first, end - 1), sign
                continue
            for k in range(first, end):
                piece = self.piece(k)
                if piece.low < piece.high or not self.bends:
                    yield piece, 0

    def _signs(self) -> list[int]:
        """Return the sign of each piece; 0 where floats cannot say that it has one."""
        low, high = float(self.low), float(self.high)
        if len(self.bends) < MANY:
            ends = pairwise([low, *self.bends.places, high])
            return [
                _sign(*self._floats, *after, start, end, max(abs(start), abs(end)))
                for after, (start, end) in zip(self.bends.rounded, ends, strict=True)
            ]
        places, bases, slopes = self.bends.columns
        starts, stops = np.append(low, places), np.append(places, high)
        wide = np.maximum(np.abs(starts), np.abs(stops))
        with np.errstate(all="ignore"):  # as floats have it
            found = _sign(*self._floats, bases, slopes, starts, stops, wide)
        return [int(sign) for sign in found]

    def _between(self, first: int, last: int) -> Piece:
        """Return the ends of several pieces; its line is that of the first alone."""
        start, end = self.piece(first), self.piece(last)
        return Piece(start.low, end.high, start.base, start.slope)

    def where(self, limit: Fraction | int) -> tuple[Span, ...]:
        """Return where it is at most ``limit``."""
        curve = self if not limit else replace(self, base=self.base - limit)
        found: list[Span] = []
        for piece, sign in curve.changing():
            if sign > 0:
                continue
            low, high = piece.low, piece.high
            if sign == 0:
                a, b = piece.at(low), piece.at(high)
                if a > 0 and b > 0:
                    continue
                root = low if a == b else low + (high - low) * a / (a - b)
                low, high = (low if a <= 0 else root), (high if b <= 0 else root)
            if found and found[-1][1] == low:
                low = found.pop()[0]
            found.append((low, high))
        return tuple(found)


def _sign(
    constant: float, rise: float, base: Any, slope: Any, low: Any, high: Any, wide: Any
) -> Any:
    """Return 1 or -1 where a line, or each of an array, keeps that sign from low to high, else 0.

    Args:
        constant: of the first piece, to which the line's own is added.
        rise: of the first piece, likewise.
        base: of the line.
        slope: of the line.
        low: where it begins.
        high: where it ends.
        wide: the greater of the two, without sign.
    """
    base, slope = constant + base, rise + slope
    least = SURE * (abs(base) + abs(slope) * wide + abs(constant) + abs(rise) * wide)
    a, b = base + slope * low, base + slope * high
    return ((a > least) & (b > least)) * 1 - ((a < -least) & (b < -least)) * 1


def line(
    base: Fraction | int, slope: Fraction | int, low: Fraction | int, high: Fraction | int
) -> Broken:
    """Return an affine function."""
    return Broken(Fraction(low), Fraction(high), Fraction(base), Fraction(slope))


def summed(parts: Sequence[Broken]) -> Broken:
    """Add functions over one range."""
    bent = [p for p in parts if p.bends]
    if len(bent) == 1:
        bends = bent[0].bends
    else:
        changes: dict[Fraction, Fraction] = {}
        for part in bent:
            for x, change in part.bends:
                changes[x] = changes[x] + change if x in changes else change
        bends = Bends(sorted((x, c) for x, c in changes.items() if c))
    base = sum((p.base for p in parts if p.base), ZERO)
    slope = sum((p.slope for p in parts if p.slope), ZERO)
    return Broken(parts[0].low, parts[0].high, base, slope, bends)


def joined(pieces: Sequence[Piece]) -> Broken:
    """Return the function that adjoining pieces make."""
    first = pieces[0]
    bends = Bends((b.low, b.slope - a.slope) for a, b in pairwise(pieces) if a.slope != b.slope)
    return Broken(first.low, pieces[-1].high, first.base, first.slope, bends)
