"""Continuous piecewise-affine functions of one unknown, in rationals.

>>> rows = greatest([line(3, 0, 0, 100), line(0, 1, 0, 100)])    # max(3, x) on [0, 100]
>>> rows.at(2), rows.at(5), [int(x) for x, _ in rows.bends]
(Fraction(3, 1), Fraction(5, 1), [3])
>>> [(int(a), int(b)) for a, b in rows.where(10)]    # at most 10
[(0, 10)]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

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
    bends: tuple[tuple[Fraction, Fraction], ...] = ()

    def at(self, x: Fraction | int) -> Fraction:
        """Return its value."""
        return self.base + self.slope * x + sum((d * (x - b) for b, d in self.bends if b < x), ZERO)

    def __add__(self, other: Broken) -> Broken:
        return summed([self, other])

    def scaled(self, by: Fraction | int) -> Broken:
        """Return it times a number."""
        if by == 1:
            return self
        bends = tuple((x, d * by) for x, d in self.bends) if by else ()
        return Broken(self.low, self.high, self.base * by, self.slope * by, bends)

    def pieces(self) -> Iterator[Piece]:
        """Yield its affine pieces, in order."""
        low, base, slope = self.low, self.base, self.slope
        for x, change in self.bends:
            if x > low:
                yield Piece(low, x, base, slope)
                low = x
            base, slope = base - change * x, slope + change
        yield Piece(low, self.high, base, slope)

    def where(self, limit: Fraction | int) -> tuple[Span, ...]:
        """Return where it is at most ``limit``."""
        found: list[Span] = []
        for piece in self.pieces():
            a, b = piece.at(piece.low) - limit, piece.at(piece.high) - limit
            if a > 0 and b > 0:
                continue
            root = piece.low if a == b else piece.low + (piece.high - piece.low) * a / (a - b)
            low, high = (piece.low if a <= 0 else root), (piece.high if b <= 0 else root)
            if found and found[-1][1] == low:
                low = found.pop()[0]
            found.append((low, high))
        return tuple(found)


ZERO = Fraction(0)


def line(
    base: Fraction | int, slope: Fraction | int, low: Fraction | int, high: Fraction | int
) -> Broken:
    """Return an affine function."""
    return Broken(Fraction(low), Fraction(high), Fraction(base), Fraction(slope))


def summed(parts: Sequence[Broken]) -> Broken:
    """Add functions over one range."""
    changes: dict[Fraction, Fraction] = {}
    for part in parts:
        for x, change in part.bends:
            changes[x] = changes.get(x, ZERO) + change
    return Broken(
        parts[0].low,
        parts[0].high,
        sum((p.base for p in parts), ZERO),
        sum((p.slope for p in parts), ZERO),
        tuple(sorted((x, c) for x, c in changes.items() if c)),
    )


def greatest(parts: Sequence[Broken]) -> Broken:
    """Return the greatest of functions over one range."""
    return joined([piece for piece, _ in winners(parts)])


def winners(parts: Sequence[Broken]) -> list[tuple[Piece, int]]:
    """Return the pieces of the greatest function, each with which of the parts it is.

    Of two that are equal at a point the one that is greater after it wins; of two that are equal
    everywhere the first.
    """
    low, high = parts[0].low, parts[0].high
    cuts = sorted({low, high, *(x for p in parts for x, _ in p.bends if low < x < high)})
    found: list[tuple[Piece, int]] = []
    for start, end in pairwise(cuts) if len(cuts) > 1 else [(low, high)]:
        for piece, which in _upper([_piece(p, start) for p in parts], start, end):
            last = found[-1] if found else None
            if last and last[1] == which and _same(last[0], piece):
                found[-1] = (Piece(last[0].low, piece.high, piece.base, piece.slope), which)
            else:
                found.append((piece, which))
    return found


def joined(pieces: Sequence[Piece]) -> Broken:
    """Return the function that adjoining pieces make."""
    first = pieces[0]
    bends = [(b.low, b.slope - a.slope) for a, b in pairwise(pieces) if a.slope != b.slope]
    return Broken(first.low, pieces[-1].high, first.base, first.slope, tuple(bends))


def _piece(function: Broken, start: Fraction) -> tuple[Fraction, Fraction]:
    base, slope = function.base, function.slope
    for x, change in function.bends:
        if x > start:
            break
        base, slope = base - change * x, slope + change
    return base, slope


def _same(a: Piece, b: Piece) -> bool:
    return a.base == b.base and a.slope == b.slope


def _upper(
    lines: Sequence[tuple[Fraction, Fraction]], low: Fraction, high: Fraction
) -> Iterator[tuple[Piece, int]]:
    """Yield the pieces of the upper envelope of lines."""
    at, best = low, _best(lines, low)
    while True:
        base, slope = lines[best]
        meets = [((base - b) / (s - slope), s, -k) for k, (b, s) in enumerate(lines) if s > slope]
        ahead = [m for m in meets if at < m[0] < high]
        if not ahead:
            yield Piece(at, high, base, slope), best
            return
        x = min(m[0] for m in ahead)
        after = -max((s, k) for where, s, k in ahead if where == x)[1]
        yield Piece(at, x, base, slope), best
        at, best = x, after


def _best(lines: Sequence[tuple[Fraction, Fraction]], at: Fraction) -> int:
    return max(range(len(lines)), key=lambda k: (lines[k][0] + lines[k][1] * at, lines[k][1], -k))
