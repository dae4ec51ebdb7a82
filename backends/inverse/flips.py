"""Which resource bounds each row, as whole values of the unknown go by."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import field
from fractions import Fraction
from functools import cached_property
from itertools import groupby

import numpy as np

from mansard.backends.engine.points import Array, Points
from mansard.backends.inverse.broken import Broken, line
from mansard.backends.inverse.curves import Curves, Each
from mansard.backends.inverse.envelope import winners
from mansard.backends.inverse.forms import NotAffineError
from mansard.backends.inverse.mixed import expectation
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

    @cached_property
    def starts(self) -> list[int]:
        """The first value of each flip."""
        return [low for low, _, _ in self.flips]

    def at(self, value: int) -> str:
        """Return the resource that bounds it at a value; of those it has, the nearest."""
        return self.flips[max(bisect_right(self.starts, value) - 1, 0)][2]

    def seconds(self, each: Each, values: Sequence[int]) -> list[float]:
        """Return the time of the row in its mean step at values [s]."""
        if self.needed:
            curves = list(self.needed.values())
            return [max(f.near(value) for f in curves) for value in values]
        at = expected_seconds(each, self.section, np.array(values, dtype=float))
        return [float(v) for v in np.max(list(at.values()), axis=0)]


def bounds(each: Each, section: Section) -> Bounds:
    """Return what bounds a row at every whole value of the unknown, lengths being of each kind."""
    try:
        needed = _needed(each, section)
        if not needed:
            return Bounds(section, (), True)
        names = list(needed)
        pieces = winners(list(needed.values()))
        found = [(p.low, p.high, names[which]) for p, which in pieces]
        return Bounds(section, _whole(found), True, needed)
    except NotAffineError:
        return Bounds(section, _enumerated(each, section), False)


def _needed(each: Each, section: Section) -> dict[str, Broken]:
    """Return the expectation of the seconds each resource needs, over lengths that run the row."""
    steps = [(mean_step(curves.sums, section), weight) for curves, weight in each]
    ran = [(needed, weight) for needed, weight in steps if needed]
    names = dict.fromkeys(name for needed, _ in ran for name in needed)
    zero = line(0, 0, each[0][0].low, each[0][0].high)
    return {
        name: expectation([(needed.get(name, zero), weight) for needed, weight in ran])
        for name in names
    }


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


def _enumerated(each: Each, section: Section) -> tuple[Flip, ...]:
    low, high = int(each[0][0].low), int(each[0][0].high)
    xs = np.arange(low, min(high, low + ENUMERATED - 1) + 1, dtype=float)
    needed = expected_seconds(each, section, xs)
    names = list(needed)
    best = np.argmax(np.array([needed[n] for n in names]), axis=0)
    found: list[Flip] = []
    for which, group in groupby(range(len(xs)), key=lambda k: int(best[k])):
        members = list(group)
        found.append((int(xs[members[0]]), int(xs[members[-1]]), names[which]))
    return tuple(found)


def expected_seconds(each: Each, section: Section, xs: Array) -> dict[str, Array]:
    """Return the expectation, over lengths, of what ``seconds_at`` returns."""
    total: dict[str, Array] = {}
    for curves, weight in each:
        at = seconds_at(curves, section, SCENARIO[curves.unknown], xs)
        for name, seconds in at.items():
            total[name] = total.get(name, 0.0) + float(weight) * seconds
    return total


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
