"""The Pareto front of a service: throughput a device against speed for a user."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mansard.query.pareto import distinct, pareto
from mansard.query.planning.replica import Replica


@dataclass(frozen=True)
class Point:
    """A replica at a batch.

    Args:
        layout: in words.
        variant: the techniques it adds.
        batch: sequences of the replica.
        tokens_per_s_per_device: generated, in the steady state.
        tokens_per_s_per_user: generated for one sequence.
        ttft_s: time to the first token [s].
    """

    layout: str
    variant: str
    batch: int
    tokens_per_s_per_device: float
    tokens_per_s_per_user: float
    ttft_s: float


def front(replicas: Sequence[Replica]) -> tuple[Point, ...]:
    """Return the points that fit the memory and that no other beats in both, fastest user first."""
    found = [point for replica in replicas for point in _points(replica)]
    if not found:
        return ()
    found.sort(key=lambda p: (-p[0], -p[1]))
    worse = -np.array([(user, rate) for user, rate, _, _ in found]).T
    return tuple(
        Point(str(r.layout), r.variant, int(r.batches[k]), rate, user, float(r.steady["ttft"][k]))
        for (user, rate, k, r), kept in zip(found, pareto(worse) & distinct(worse), strict=True)
        if kept
    )


def _points(r: Replica) -> Iterator[tuple[float, float, int, Replica]]:
    names = ("tokens_per_s_per_user", "throughput", "memory", "capacity")
    for k, (user, rate, held, has) in enumerate(zip(*(r.steady[n] for n in names), strict=True)):
        if not held > has and np.isfinite(user) and np.isfinite(rate):
            yield float(user), float(rate) / r.layout.devices, k, r
