"""Rows of a segment as polynomials: what each of its resources takes, side by side or alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mansard.backends.engine.arithmetic import Value, greatest
from mansard.backends.engine.greatest import Row, undominated
from mansard.backends.engine.links import sent_terms
from mansard.backends.engine.lowered import Segment
from mansard.backends.engine.parameters import Parameter, Rates
from mansard.backends.engine.polynomials import Rebound, Space, SpaceAtom, add, scaled, times
from mansard.backends.quantity import Terms
from mansard.backends.streams import stream_of
from mansard.backends.table import TableRow
from mansard.core.symbols import Symbol

MOST_SUMS = 8
"""Sums one stream is the greatest of; there is one row whose cost moves, attention, or two."""


def rows_of(segment: Segment, rates: Rates, space: Space) -> list[Row]:
    """Return the seconds of each resource of each row, occurrences included.

    Rows side by side are one row, whose resources are their streams: a stream takes as long as its
    rows together, and each of these as long as its slowest resource.

    Raises:
        NotCompiledError: a price that depends on a parameter in no way polynomials have.
    """
    if segment.table is None or segment.rows is None:
        return []
    found: list[Row] = []
    beside: dict[int, dict[str, list[Row]]] = {}
    for row in segment.table.rows:
        needs = list(_needs(row, segment.rows, rates, space))
        if not needs:
            continue
        if row.group:
            beside.setdefault(row.group, {}).setdefault(stream_of(row), []).append(needs)
        else:
            found.append(needs)
    for streams in beside.values():
        each = (_stream(rows, segment.index, space) for rows in streams.values())
        found.append([terms for sums in each for terms in sums])
    return found


def _stream(rows: Iterable[Row], index: Symbol | None, space: Space) -> list[Terms]:
    """Return polynomials whose greatest is the time of rows one after another.

    The greatest is an atom of a row the loop does not change. Of one that it does, an atom would
    bend along the loop; there ``max(a, b) + max(c, d)`` is the greatest of the four sums.
    """
    still: list[Terms] = []
    sums: list[Terms] = [{}]
    for row in rows:
        left = undominated(row)
        moves = len(left) > 1 and any(space.mentions(t, index) for t in left)
        if moves and len(sums) * len(left) <= MOST_SUMS:
            sums = [add([before, terms]) for before in sums for terms in left]
        else:
            still.append(greatest(*(Value(space, terms) for terms in left)).terms)
    return [add([*still, terms]) for terms in sums]


def _needs(row: TableRow, bound: Rebound, rates: Rates, space: Space) -> Iterator[Terms]:
    """Yield the seconds that each resource of a row needs."""
    opened = rates.of(row)
    count = bound.terms(row.count)
    for rated in opened.rates.values():
        parts = [_cost(space, bound.terms(slot), each, p) for slot, each, p in rated]
        yield times(count, add(parts))
    if opened.priced.transfers:
        sent = [
            sent_terms(space, bound.terms(t.quantity), t, opened.links.get(k))
            for k, t in enumerate(opened.priced.transfers)
        ]
        yield times(count, add(sent))


def _cost(space: Space, work: Terms, each: float, over: Parameter | None) -> Terms:
    if over is None:
        return scaled(work, each)
    return times(scaled(work, each), space.atom(SpaceAtom("symbol", over.inverse)))
