"""The memory of a program at arrays of points: every storage at its largest, and the live peak."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from mansard.backends.engine.greatest import undominated
from mansard.backends.engine.lowered import Lowered, Segment
from mansard.backends.engine.points import Array, Operand, Points, Stack
from mansard.backends.engine.polynomials import Frozen, Space, add, constant, freeze
from mansard.backends.engine.timed import NEAR
from mansard.backends.memory import KEPT, in_flight, resident
from mansard.backends.quantity import Tape, Terms
from mansard.core.records import dataclass
from mansard.ir.footprint import idle_weights, storages
from mansard.ir.liveness import live_sets
from mansard.ir.value import MEMORY

Variants = tuple[Frozen | None, ...]
"""The size of one storage in each segment; None where the segment does not hold it."""


@dataclass(frozen=True)
class _Sizes:
    """What one segment holds: storage → (kind, bytes), and the sums alive at one time."""

    stored: Mapping[str, tuple[str, Terms]]
    alive: tuple[Terms, ...]


class Footprints:
    """Bytes by kind, as functions of the scenario.

    Args:
        lowered: the program.
    """

    def __init__(self, lowered: Lowered) -> None:
        self.segments = [s for s in lowered.segments if s.call is not None and not s.waits]
        sizes = [_sizes(s, lowered) for s in self.segments]
        self.fixed = {"weights": 0.0, "kv_cache": 0.0}
        self.varying: list[tuple[str, int, Variants]] = []  # kind, how many, sizes
        for (kind, variants), count in _grouped(sizes).items():
            known = [None if v is None else constant(v) for v in variants]
            if None not in known and len(set(known)) == 1:
                self.fixed[kind] += float(known[0] or 0) * count
            else:
                self.varying.append((kind, count, variants))
        held = {name for s in sizes for name in s.stored}
        called = [s.call.graph for s in self.segments if s.call is not None]
        idle = idle_weights(lowered.program, called)
        self.fixed["weights"] += float(sum(v for k, v in idle.items() if k not in held))
        self.alive = [undominated(s.alive) for s in sizes]
        self._stacks = [self._stack(k) for k in range(len(sizes))]
        self._space: Space = lowered.space

    def _stack(self, k: int) -> Stack:
        held = [dict(v[k] or ()) for _, _, v in self.varying]
        return Stack([*held, *(self.alive[k] or [{}])])

    def at(self, points: Points) -> dict[str, Operand]:
        """Return ``weights``, ``kv_cache`` and ``activations`` at every point [B]."""
        largest = np.zeros((len(self.varying), points.size))
        peak = np.zeros(points.size)
        for k, segment in enumerate(self.segments):
            for where, counts in _ends(segment, points):
                values = self._stacks[k].at(where)
                here = np.where(counts, values, 0.0)
                held = here[: len(self.varying)]
                np.maximum(largest, held, out=largest)
                np.maximum(peak, here[len(self.varying) :].max(axis=0), out=peak)
        found: dict[str, Operand] = {k: np.full(points.size, v) for k, v in self.fixed.items()}
        for (kind, count, _), sizes in zip(self.varying, largest, strict=True):
            found[kind] = found[kind] + count * sizes
        return {**found, "activations": peak}


def _ends(segment: Segment, points: Points) -> Iterator[tuple[Points, Array | bool]]:
    """Yield the first and last call of a segment, and where it happens at all."""
    happens: Operand = True
    for factor in segment.factors:
        happens = happens & (np.asarray(points.polynomial(factor)) > 0)
    if segment.index is None or segment.times is None:
        yield points, happens
        return
    times = points.polynomial(segment.times)
    happens = happens & (np.asarray(times) > 0)
    yield points.at(segment.index, 0.0 * times), happens
    yield points.at(segment.index, np.maximum(np.ceil(times - NEAR) - 1, 0.0)), happens


def _sizes(segment: Segment, lowered: Lowered) -> _Sizes:
    assert segment.call is not None
    graph = lowered.program.graph(segment.call.graph).wanting(segment.call.wants)
    tape = Tape()
    stored = {
        name: (KEPT.get(s.value.role, "weights"), tape.add(resident(s, in_flight(graph))))
        for name, s in storages(graph).items()
        if s.value.place == MEMORY
    }
    alive = [
        [tape.add(v.bytes) for v in values if v.place == MEMORY] for values in live_sets(graph)
    ]
    bound = segment.over(tape, lowered.space)
    return _Sizes(
        {name: (kind, bound.terms(slot)) for name, (kind, slot) in stored.items()},
        tuple(add(bound.terms(slot) for slot in slots) for slots in alive),
    )


def _grouped(sizes: list[_Sizes]) -> Counter[tuple[str, Variants]]:
    """Count storages of one kind whose sizes are the same in every segment."""
    found: Counter[tuple[str, Variants]] = Counter()
    names = dict.fromkeys(name for s in sizes for name in s.stored)
    for name in names:
        held = [s.stored.get(name) for s in sizes]
        kind = next(h[0] for h in held if h is not None)
        found[kind, tuple(None if h is None else freeze(h[1]) for h in held)] += 1
    return found
