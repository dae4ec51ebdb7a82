"""Which resource bounds each row, as whole values of the unknown go by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from fractions import Fraction
from itertools import groupby

import numpy as np

from mansard.backends.engine.points import Array, Points
from mansard.backends.inverse.broken import Broken, winners
from mansard.backends.inverse.curves import Curves
from mansard.backends.inverse.forms import NotAffineError
from mansard.backends.inverse.sections import Section
from mansard.backends.inverse.sums import mean_step
from mansard.core.records import dataclass
from mansard.core.symbols import SCENARIO, Symbol

Flip = tuple[int, int, str]
"""(first whole value, last one, resource)."""
ENUMERATED = 2**16
"""Whole values looked at where a row is not affine in the unknown."""


@dataclass(frozen=True)
class Bounds:
    """What bounds a row.

    Args:
        section: the row.
        flips: ascending; of the mean step, so a loop that flips on its way counts as its middle.
        exact: whether every value was decided; else those up to ``ENUMERATED``.
        needed: the seconds of each resource, where they are affine in the unknown.
    """

    section: Section
    flips: tuple[Flip, ...]
    exact: bool
    needed: Mapping[str, Broken] = field(default_factory=dict)

    def at(self, value: int) -> str:
        """Return the resource that bounds it at a value."""
        return next((r for low, high, r in self.flips if low <= value <= high), self.flips[-1][2])

    def seconds(self, curves: Curves, value: int) -> float:
        """Return the time of the row in its mean step at a value [s]."""
        if self.needed:
            return max(f.near(value) for f in self.needed.values())
        at = seconds_at(curves, self.section, SCENARIO[curves.unknown], np.array([float(value)]))
        return max(float(v[0]) for v in at.values())


def bounds(curves: Curves, section: Section) -> Bounds:
    """Return what bounds a row at every whole value of the unknown."""
    try:
        needed = mean_step(curves.sums, section)
        if not needed:
            return Bounds(section, (), True)
        names = list(needed)
        pieces = winners(list(needed.values()))
        found = [(p.low, p.high, names[which]) for p, which in pieces]
        return Bounds(section, _whole(found), True, needed)
    except NotAffineError:
        return Bounds(section, _enumerated(curves, section), False)


def _whole(pieces: Sequence[tuple[Fraction, Fraction, str]]) -> tuple[Flip, ...]:
    """Return pieces as whole numbers; one between two belongs to the piece that begins before."""
    found: list[Flip] = []
    for k, (low, high, name) in enumerate(pieces):
        first = int(-(-low // 1))
        last = int(high // 1)
        if k + 1 < len(pieces) and last == high:
            last -= 1
        if first > last:
            continue
        if found and found[-1][2] == name:
            found[-1] = (found[-1][0], last, name)
        else:
            found.append((first, last, name))
    return tuple(found)


def _enumerated(curves: Curves, section: Section) -> tuple[Flip, ...]:
    low = int(curves.low)
    xs = np.arange(low, min(int(curves.high), low + ENUMERATED - 1) + 1, dtype=float)
    needed = seconds_at(curves, section, SCENARIO[curves.unknown], xs)
    names = list(needed)
    best = np.argmax(np.array([needed[n] for n in names]), axis=0)
    found: list[Flip] = []
    for which, group in groupby(range(len(xs)), key=lambda k: int(best[k])):
        members = list(group)
        found.append((int(xs[members[0]]), int(xs[members[-1]]), names[which]))
    return tuple(found)


def seconds_at(curves: Curves, section: Section, unknown: Symbol, xs: Array) -> dict[str, Array]:
    """Return the seconds that each resource of a row needs in the middle step of its loop."""
    env: dict[Symbol, object] = {**curves.bound.env, unknown: xs}
    points = Points(curves.priced.space, env, len(xs))
    segment = section.segment
    if segment.index is not None and segment.times is not None:
        trips = np.maximum(points.polynomial(segment.times), 1.0)
        points = points.at(segment.index, (trips - 1) / 2)
    return {
        name: points.polynomial(terms) + np.zeros(len(xs))
        for name, terms in section.resources.items()
    }
