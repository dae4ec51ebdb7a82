"""How often a segment's loop runs, as straight-line steps: whole trips, and the rest of one."""

from __future__ import annotations

from mansard.backends.engine.emit import Bound, Emitter
from mansard.backends.engine.lowered import Segment
from mansard.backends.engine.timed import NEAR


def trips_of(segment: Segment, emit: Emitter, bound: Bound) -> tuple[int, int | None]:
    """Return whole trips, and the fraction of one more where there may be one."""
    line, do = emit.line, emit.line.do
    if segment.times is None:
        return line.constant(1), None
    count = emit.at_least_zero(segment.times, bound)
    atoms = [emit.space.atoms[s] for m in segment.times for s, e in m if e > 0]
    whole_numbers = all(isinstance(c, int) for c in segment.times.values())
    powers = all(e > 0 for m in segment.times for _, e in m)
    if whole_numbers and powers and all(a.symbol in bound for a in atoms):
        return count, None
    whole = do("floor", do("add", count, line.constant(NEAR)))
    part = do("sub", count, whole)
    some = do("less", line.constant(NEAR), part)
    return whole, do("where", some, part, line.constant(0))
