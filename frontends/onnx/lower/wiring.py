"""How the trips of a repeated stretch hang together: what each takes, and from where."""

from __future__ import annotations

from mansard.core.records import dataclass
from mansard.ir.graph import Graph
from mansard.ir.value import Value, stored_parts


@dataclass(frozen=True)
class Wiring:
    """What the body of a stretch takes and leaves, as values of the first trip.

    Args:
        carried_in: what the first trip takes where later ones take what the trip before made.
        left: what a trip leaves for the next one, in the order of ``carried_in``.
        results: the same of the last trip: what ops after the stretch may read.
        fixed: what every trip takes from outside.
        own: a leaf of the first trip, and the one at its place in the second.
        shared: leaves that every trip uses together.
    """

    carried_in: tuple[Value, ...]
    left: tuple[Value, ...]
    results: tuple[Value, ...]
    fixed: tuple[Value, ...]
    own: tuple[tuple[Value, Value], ...]
    shared: tuple[Value, ...]


def wiring(graph: Graph, first: int, period: int, trips: int) -> Wiring | None:
    """Return how a stretch is wired, or nothing where trips differ in it.

    Args:
        graph: it lies in.
        first: place of its first op.
        period: ops of a trip.
        trips: how often it repeats.
    """
    ops = graph.ops[first : first + period * trips]
    places = {out: (at, k) for at, op in enumerate(ops) for k, out in enumerate(op.outs)}
    made_before = {*graph.inputs, *(o for op in graph.ops[:first] for o in op.outs)}
    carried: dict[tuple[int, int], Value] = {}  # place in the trip before → the first trip's
    taken: dict[Value, tuple[int, int]] = {}
    fixed: dict[Value, None] = {}
    own: dict[Value, Value] = {}
    shared: dict[Value, None] = {}
    for at in range(period):
        for column in zip(*(ops[t * period + at].operands for t in range(trips)), strict=True):
            kinds = [places.get(v) for v in column]
            later = {(None if k is None else k[0] - t * period, k and k[1])
                     for t, k in enumerate(kinds) if t}  # fmt: skip
            if len(later) != 1:
                return None
            where, k = next(iter(later))
            if where is None:
                if kinds[0] is not None or not _leaf(column, made_before, fixed, own, shared):
                    return None
            elif where >= 0:
                if kinds[0] != (where, k):
                    return None
            else:
                source, start = (where + period, int(k or 0)), column[0]
                if source[0] < 0 or kinds[0] is not None or start not in made_before:
                    return None
                if carried.setdefault(source, start) is not start:
                    return None
                if taken.setdefault(start, source) != source:
                    return None
    results = {place: ops[(trips - 1) * period + place[0]].outs[place[1]] for place in carried}
    if not carried or _escapes(graph, first, ops, set(results.values())):
        return None
    left = tuple(ops[p[0]].outs[p[1]] for p in carried)
    pairs = zip(carried.values(), left, strict=True)
    if any(a.shape != b.shape or a.encoding != b.encoding for a, b in pairs):
        return None
    return Wiring(
        tuple(carried.values()), left, tuple(results.values()), tuple(fixed), tuple(own.items()),
        tuple(shared),
    )  # fmt: skip


def _leaf(
    column: tuple[Value, ...], before: set[Value], fixed: dict[Value, None],
    own: dict[Value, Value], shared: dict[Value, None],
) -> bool:  # fmt: skip
    """Sort what trips take from outside; no when some take one and some another op's."""
    first, second = column[0], column[1]
    if all(v is first for v in column):
        if first in before:
            fixed[first] = None
        else:
            shared[first] = None
        return True
    if any(v in before or not v.storage for v in column) or len(set(column)) != len(column):
        return False
    return own.setdefault(first, second) is second


def _escapes(graph: Graph, first: int, ops: tuple[object, ...], results: set[Value]) -> bool:
    """Whether something after the stretch reads what is not handed on at its end."""
    inside = {o for op in graph.ops[first : first + len(ops)] for o in op.outs} - results
    later = (v for op in graph.ops[first + len(ops) :] for v in op.operands)
    read = {part for v in later for part in (v, *stored_parts(v))}
    return bool(inside & (read | set(graph.outputs)))
