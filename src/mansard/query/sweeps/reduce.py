"""Reductions of a stream of points: the Pareto front, the best few. They merge.

A point is known by its number: its place among all combinations, the last axis fastest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mansard.query.pareto import distinct, pareto
from mansard.query.sweeps.metrics import sign

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]
Place = Callable[[Numbers], Numbers]
"""Turns places within a block into numbers of points."""
MOST = 200_000
"""Points of a front; beyond it those that tie with another are left out."""
PIVOTS = 12


class Reduction(Protocol):
    """What keeps a few of many points."""

    dropped: int

    def add(self, values: Mapping[str, Array], place: Place) -> None:
        """Take the points of a block in: metric → values, and what numbers them."""

    def merge(self, other: Any) -> None:
        """Take in what another of the same kind kept."""

    @property
    def numbers(self) -> Numbers:
        """The points that are kept, in their order."""


class Front:
    """The Pareto front: points that no other is at least as good as in all and better in one.

    Args:
        metrics: to trade against each other.
    """

    def __init__(self, metrics: Sequence[str]) -> None:
        self.metrics = tuple(metrics)
        self._signs = np.array([sign(m) for m in metrics])
        self._points: Array = np.empty((len(self.metrics), 0))
        self._numbers: Numbers = np.empty(0, dtype=np.int64)
        self.dropped = 0

    def add(self, values: Mapping[str, Array], place: Place) -> None:
        """Take points in; those that a point of the front beats are left out at once."""
        points = np.array([values[m] for m in self.metrics]) * self._signs[:, None]
        numbers = np.arange(points.shape[1])
        known = np.isfinite(points).all(axis=0)
        if not known.all():
            points, numbers = points[:, known], numbers[known]
        for pivot in self._pivots():
            if not points.shape[1]:
                return
            beaten = points[0] >= pivot[0]
            equal = points[0] == pivot[0]
            for row, least in zip(points[1:], pivot[1:], strict=True):
                beaten &= row >= least
                equal &= row == least
            keep = ~beaten | equal
            if np.count_nonzero(keep) < 0.9 * keep.size:
                points, numbers = points[:, keep], numbers[keep]
        self._take(points, place(numbers))

    def merge(self, other: Front) -> None:
        """Take in another front of the same metrics."""
        self._take(other._points, other._numbers)
        self.dropped += other.dropped

    @property
    def numbers(self) -> Numbers:
        """The points of the front, by number."""
        return np.sort(self._numbers)

    def _pivots(self) -> list[Array]:
        count = self._points.shape[1]
        if not count:
            return []
        chosen = np.unique(np.linspace(0, count - 1, min(count, PIVOTS)).astype(int))
        middle = sorted(chosen, key=lambda k: abs(int(k) - count // 2))
        return [self._points[:, k] for k in middle]

    def _take(self, points: Array, numbers: Numbers) -> None:
        if not points.shape[1]:
            return
        points = np.concatenate([self._points, points], axis=1)
        numbers = np.concatenate([self._numbers, numbers])
        order = np.lexsort((numbers, *points[::-1]))
        points, numbers = points[:, order], numbers[order]
        kept = pareto(points)
        points, numbers = points[:, kept], numbers[kept]
        if numbers.size > MOST:
            first = distinct(points)
            self.dropped += int(numbers.size - np.count_nonzero(first))
            points, numbers = points[:, first], numbers[first]
        self._points, self._numbers = points, numbers


class Top:
    """The best few points by one metric; of equal ones the first.

    Args:
        metric: to compare by.
        count: how many are kept.
    """

    def __init__(self, metric: str, count: int) -> None:
        self.metric, self.count = metric, count
        self._sign = sign(metric)
        self._values: Array = np.empty(0)
        self._numbers: Numbers = np.empty(0, dtype=np.int64)
        self.dropped = 0

    def add(self, values: Mapping[str, Array], place: Place) -> None:
        """Take points in."""
        found = values[self.metric] * self._sign
        keep = np.isfinite(found)
        if self._values.size == self.count:
            keep &= found <= self._values[-1]
        if np.any(keep):
            self._take(found[keep], place(np.flatnonzero(keep)))

    def merge(self, other: Top) -> None:
        """Take in the best of another."""
        self._take(other._values, other._numbers)

    @property
    def numbers(self) -> Numbers:
        """The best points, best first."""
        return self._numbers

    def _take(self, values: Array, numbers: Numbers) -> None:
        values = np.concatenate([self._values, values])
        numbers = np.concatenate([self._numbers, numbers])
        order = np.lexsort((numbers, values))[: self.count]
        self._values, self._numbers = values[order], numbers[order]
