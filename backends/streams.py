"""Rows that run side by side: one stream per link, one per device; the longest counts.

The links of a mesh axis are one, and so is each direction between two places.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from mansard.backends.sums import Piece, total_of_greatest
from mansard.backends.table import TableRow
from mansard.backends.totals import RowTotal


def stream_of(row: TableRow) -> str:
    """Return which stream of its ``Overlap`` a row is in."""
    link = next(iter(row.payload), None)
    return f"device {row.device}" if link is None else f"link {link[1]}"


def overlapped_s(rows: Sequence[RowTotal], piece: Piece) -> float:
    """Return the time of the rows of one ``Overlap`` over a piece of a stretch [s].

    Each row's time is the greatest of affine functions of the step, so between the crossings of
    all rows each stream's sum is affine, and the greatest stream is summed as a row is.
    """
    streams: dict[str, list[RowTotal]] = {}
    for row in rows:
        streams.setdefault(stream_of(row.row), []).append(row)
    edges = sorted({0, piece.steps, *(c for row in rows for c in _crossings(row, piece))})
    total = 0.0
    for low, after in pairwise(edges):
        starts = [sum(_at(row, piece, low) for row in some) for some in streams.values()]
        ends = [sum(_at(row, piece, after - 1) for row in some) for some in streams.values()]
        total += sum(total_of_greatest(starts, ends, after - low))
    return total


def _ends(row: RowTotal, piece: Piece) -> Iterator[tuple[float, float]]:
    for name in row.priced.resources:
        yield row.priced.seconds(name, piece.start), row.priced.seconds(name, piece.end)


def _crossings(row: RowTotal, piece: Piece) -> Iterator[int]:
    ends = list(_ends(row, piece))
    for k, (a, b) in enumerate(ends):
        for c, d in ends[:k]:
            if (a - c) * (b - d) < 0:
                yield math.floor((piece.steps - 1) * (a - c) / ((a - c) - (b - d))) + 1


def _at(row: RowTotal, piece: Piece, step: int) -> float:
    share = step / (piece.steps - 1) if piece.steps > 1 else 0.0
    times = (start + (end - start) * share for start, end in _ends(row, piece))
    return max(times, default=0.0) * float(piece.start[row.row.count])
