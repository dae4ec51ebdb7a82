"""What memory holds, as straight-line steps: every storage at its largest, and what is alive."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mansard.backends.engine.emit import Bound, Emitter
from mansard.backends.engine.footprints import Footprints
from mansard.backends.engine.lowered import Segment
from mansard.backends.engine.polynomials import add, scaled
from mansard.backends.engine.timed import NEAR
from mansard.backends.engine.trips import trips_of
from mansard.backends.hardware import Hardware
from mansard.backends.quantity import Terms


class Occupied:
    """Writes the sizes of a program as steps.

    Args:
        emit: writes polynomials, within the ranges.
        bound: the scenario's symbols.
    """

    def __init__(self, emit: Emitter, bound: Bound) -> None:
        self._line, self._emit, self._bound = emit.line, emit, bound

    def show(self, footprints: Footprints, chip: Hardware, capacity: int | None = None) -> None:
        """Show each kind of size, their sum and the capacity.

        Args:
            footprints: what is held.
            chip: for what is set aside, and its capacity unless that varies.
            capacity: the step that is it.
        """
        line, do = self._line, self._line.do
        held: list[list[int]] = [[] for _ in footprints.varying]
        alive: list[int] = []
        for k, segment in enumerate(footprints.segments):
            for bound, happens in self._ends(segment):

                def counted(value: int, happens: int = happens) -> int:
                    return do("where", happens, value, line.constant(0))

                for sizes, (_, _, variants) in zip(held, footprints.varying, strict=True):
                    if (terms := variants[k]) is not None:
                        sizes.append(counted(self._emit.polynomial(dict(terms), bound)))
                rows = self._emit.ranges.greatest(footprints.alive[k])
                if rows:
                    alive.append(counted(self._emit.greatest(rows, bound)))
        kinds: dict[str, list[int]] = {k: [line.constant(v)] for k, v in footprints.fixed.items()}
        for (kind, count, _), found in zip(footprints.varying, held, strict=True):
            kinds[kind].append(do("mul", self._largest(found), line.constant(count)))
        sums = {kind: line.total(parts) for kind, parts in kinds.items()}
        sums["activations"] = self._largest(alive)
        reserve = line.constant(float(chip.reserve_bytes))
        for kind, value in sums.items():
            line.show(kind, value)
        line.show("overhead", reserve)
        line.show("memory", line.total([*sums.values(), reserve]))
        if capacity is None:
            size = chip.capacity_bytes
            capacity = line.constant(math.nan if size is None else float(size))
        line.show("capacity", capacity)

    def _largest(self, steps: Sequence[int]) -> int:
        best = self._line.constant(0)
        for step in sorted(dict.fromkeys(steps), key=lambda s: self._line.masks[s].bit_count()):
            best = self._line.do("max", best, step)
        return best

    def _ends(self, segment: Segment) -> list[tuple[Bound, int]]:
        """Return what binds the first and the last call of a segment, and whether it happens."""
        line, do = self._line, self._line.do
        happens = line.constant(True)
        for factor in segment.factors:
            happens = do("and", happens, self._positive(factor))
        if segment.index is None or segment.times is None:
            return [(self._bound, happens)]
        happens = do("and", happens, self._positive(segment.times))
        zero, one = line.constant(0), line.constant(1)
        count, part = trips_of(segment, self._emit, self._bound)
        last = do("sub", count, one) if part is None else self._ceiling_less_one(segment.times)
        first_at, last_at = {segment.index: zero}, {segment.index: do("max", last, zero)}
        return [({**self._bound, **first_at}, happens), ({**self._bound, **last_at}, happens)]

    def _positive(self, terms: Terms) -> int:
        plain = self._emit.ranges.plain(terms)
        if self._emit.ranges.of(plain)[0] > 0:
            return self._line.constant(True)
        value = self._emit.polynomial(plain, self._bound)
        return self._line.do("less", self._line.constant(0), value)

    def _ceiling_less_one(self, times: Terms) -> int:
        line, do = self._line, self._line.do
        value = self._emit.polynomial(add([scaled(times, -1)]), self._bound)
        down = do("floor", do("add", value, line.constant(NEAR)))
        return do("sub", do("sub", line.constant(0), down), line.constant(1))
