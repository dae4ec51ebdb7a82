"""The greatest of piecewise-affine functions: their upper envelope, exactly.

>>> from mansard.backends.inverse.broken import line
>>> rows = greatest([line(3, 0, 0, 100), line(0, 1, 0, 100)])    # max(3, x) on [0, 100]
>>> rows.at(2), rows.at(5), [int(x) for x, _ in rows.bends]
(Fraction(3, 1), Fraction(5, 1), [3])
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise

from mansard.backends.inverse.broken import Broken, Piece, joined


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


def _piece(function: Broken, start: Fraction) -> tuple[Fraction, Fraction]:
    after = sum(x <= start for x, _ in function.bends)
    base, slope = function.bends.offsets[after]
    return function.base + base, function.slope + slope


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
