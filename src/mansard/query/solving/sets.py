"""Sets of values as spans: both ends included, ascending, apart."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from mansard.backends.inverse.broken import Broken, Span

Spans = tuple[Span, ...]


def meet(a: Spans, b: Spans) -> Spans:
    """Return what is in both.

    >>> meet(((1, 5), (8, 9)), ((4, 8),))
    ((4, 5), (8, 8))
    """
    found = ((max(p[0], q[0]), min(p[1], q[1])) for p in a for q in b)
    return tuple((low, high) for low, high in found if low <= high)


def whole_where(curve: Broken, op: str) -> Spans:
    """Return the whole numbers at which ``curve op 0`` holds.

    >>> from mansard.backends.inverse.broken import line
    >>> rising = line(-10, 3, 1, 100)
    >>> [tuple(map(int, s)) for s in whole_where(rising, "<=")]
    [(1, 3)]
    """
    if op in (">", ">="):
        return whole_where(curve.scaled(-1), "<" if op == ">" else "<=")
    found: list[Span] = []
    for piece, sign in curve.changing():
        if sign > 0:
            continue
        low, high = Fraction(-(-piece.low // 1)), Fraction(piece.high // 1)
        if sign == 0 and piece.slope:
            root = -piece.base / piece.slope
            if piece.slope > 0:
                high = min(high, Fraction(-(-root // 1) - 1 if op == "<" else root // 1))
            else:
                low = max(low, Fraction(root // 1 + 1 if op == "<" else -(-root // 1)))
        elif sign == 0 and (piece.base > 0 or (op == "<" and piece.base == 0)):
            continue
        if low <= high:
            found.append((low, high))
    return joined(found)


def joined(spans: Sequence[Span]) -> Spans:
    """Join spans of whole numbers that touch."""
    found: list[Span] = []
    for low, high in spans:
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return tuple(found)


def with_value(spans: Spans, x: Fraction) -> Spans:
    """Return spans of whole numbers with one more.

    >>> with_value(((1, 4),), 5), with_value((), 3)
    (((1, 5),), ((3, 3),))
    """
    return joined(sorted([*spans, (x, x)]))


def without_value(spans: Spans, x: Fraction) -> Spans:
    """Return spans of whole numbers with one less.

    >>> without_value(((1, 4),), 4), without_value(((1, 4),), 2)
    (((1, 3),), ((1, 1), (3, 4)))
    """
    parts = ((a, b) for low, high in spans for a, b in _apart(low, high, x))
    return tuple((a, b) for a, b in parts if a <= b)


def _apart(low: Fraction, high: Fraction, x: Fraction) -> Spans:
    return ((low, x - 1), (x + 1, high)) if low <= x <= high else ((low, high),)


def crossings(curve: Broken) -> tuple[Fraction, ...]:
    """Return where a function is zero; of a stretch at zero, its ends."""
    found: list[Fraction] = []
    for piece, sign in curve.changing():
        if sign:
            continue
        a, b = piece.at(piece.low), piece.at(piece.high)
        if a == b == 0:
            found += [piece.low, piece.high]
        elif a * b <= 0:
            found.append(piece.low + (piece.high - piece.low) * a / (a - b))
    return tuple(dict.fromkeys(found))
