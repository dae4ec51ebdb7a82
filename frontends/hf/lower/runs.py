"""Layers as bodies that repeat: periods and runs, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from mansard.core.records import dataclass

Item = TypeVar("Item")


@dataclass(frozen=True)
class Run:
    """``items[first : first + period]``, ``trips`` times over."""

    first: int
    period: int
    trips: int

    def index(self, offset: int) -> str:
        """Return how a layer's index in the body reads in names: ``{i}``, ``{6i+2}``, ``3``."""
        at = self.first + offset
        if self.trips == 1:
            return str(at)
        step = f"{self.period}i" if self.period > 1 else "i"
        return f"{{{step}+{at}}}" if at else f"{{{step}}}"


def runs(items: Sequence[Item]) -> Iterator[Run]:
    """Cut a sequence into runs of a repeating period, the longest stretch first found.

    >>> [(r.first, r.period, r.trips) for r in runs("aaaaab" * 2 + "aa")]
    [(0, 6, 2), (12, 1, 2)]
    >>> [(r.first, r.period, r.trips) for r in runs("dmmm")]
    [(0, 1, 1), (1, 1, 3)]
    """
    at = 0
    while at < len(items):
        run = max(_candidates(items, at), key=lambda r: (r.period * r.trips, -r.period))
        yield run
        at += run.period * run.trips


def _candidates(items: Sequence[Item], at: int) -> Iterator[Run]:
    yield Run(at, 1, 1)
    for period in range(1, (len(items) - at) // 2 + 1):
        body, trips = items[at : at + period], 1
        while items[at + trips * period : at + (trips + 1) * period] == body:
            trips += 1
        if trips > 1:
            yield Run(at, period, trips)
