"""What a program holds, as polynomials: each storage, and the sums alive at one time."""

from __future__ import annotations

from collections.abc import Iterator

from mansard.backends.engine.footprints import Footprints
from mansard.backends.engine.lowered import Segment
from mansard.backends.quantity import ONE, Terms

Sized = tuple[Segment, Terms]
"""A size, in the calls of a segment."""
ALWAYS = Segment("")
"""What is held whichever calls happen."""


def storages(of: Footprints) -> Iterator[tuple[str, int, tuple[Sized, ...]]]:
    """Yield (kind, how many, its size in each segment that holds it) of every storage."""
    for kind, size in of.fixed.items():
        if size:
            yield kind, 1, ((ALWAYS, {ONE: size}),)
    for kind, count, variants in of.varying:
        there = zip(of.segments, variants, strict=True)
        yield kind, count, tuple((s, dict(v)) for s, v in there if v is not None)


def alive(of: Footprints) -> Iterator[Sized]:
    """Yield every sum alive at one time that may be the greatest."""
    for segment, sums in zip(of.segments, of.alive, strict=True):
        yield from ((segment, terms) for terms in sums)
