"""Which resource asks most of each kernel, as whole values of one size go by.

A calibrated kernel takes the smooth maximum of what its resources ask for, by the efficiencies of
its set, and launches beside it. Here it counts as bound by the greater of the terms.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mansard.backends.calibrated.engine import slowing
from mansard.backends.calibrated.estimate import engine_of
from mansard.backends.calibrated.kernel_rows import KernelRow, each_row
from mansard.backends.calibrated.parameters import Calibration
from mansard.backends.calibrated.predict import Predictor
from mansard.backends.calibrated.segment_times import outside_s
from mansard.backends.calibrated.work import several_ranks
from mansard.backends.cluster import Cluster
from mansard.backends.engine.lowered import Lowered, Segment
from mansard.backends.engine.points import Array, Points
from mansard.backends.engine.polynomials import Space
from mansard.backends.engine.timed import product_of, trips_at
from mansard.backends.inverse.flips import ENUMERATED, Flip
from mansard.backends.rates import OVERHEAD
from mansard.core.symbols import SCENARIO, Symbol

FEWEST = 1024
"""Whole values looked at one by one however many lengths there are."""
OCTAVE = 16
"""Values looked at between one and its double, beyond those looked at one by one."""

Weighted = tuple[Mapping[str, float], float]
"""(batch, prompt and output by name, the share of requests that are so)."""


@dataclass(frozen=True)
class Turning:
    """What bounds a row.

    Args:
        name: as rows are called.
        kind: of the op.
        flips: ascending, of the middle step of a loop.
    """

    name: str
    kind: str
    flips: tuple[Flip, ...]
    _row: _Row = field(repr=False)

    def seconds(self, xs: Sequence[int]) -> Array:
        """Return its share of the phase's time at some values [s]."""
        return self._row.seconds(np.array(xs, dtype=float))

    def at(self, value: int) -> str:
        """Return the resource that bounds it at a value."""
        return next((r for low, high, r in self.flips if low <= value <= high), self.flips[-1][2])


class Turns:
    """The rows of one phase, with what decides between their resources.

    Args:
        lowered: the program.
        cluster: the devices.
        phase: one of its phases.
        unknown: batch, prompt or output; its value in ``lengths`` is not read.
        lengths: scenarios with their shares.
        framework: the engine; empty for the median of all.
        own: a user's calibration of the chip.

    Raises:
        NotCompiledError: the schedule holds what only ``estimate`` evaluates.
    """

    def __init__(
        self, lowered: Lowered, cluster: Cluster, phase: str, unknown: str,
        lengths: Sequence[Weighted], framework: str = "", own: Calibration | None = None,
    ) -> None:  # fmt: skip
        predictor = Predictor(cluster.chip, own)
        engine, several = engine_of(predictor, framework), several_ranks(cluster)
        self.most = max(FEWEST, ENUMERATED // len(lengths))
        self._rows: list[_Row] = []
        self._outside: list[tuple[_Place, Any]] = []
        for segment in lowered.segments:
            if segment.phase != phase or segment.waits:
                continue
            place = _Place(lowered.space, segment, SCENARIO[unknown], tuple(lengths))
            slower = partial(slowing, engine.one.values if engine else None, phase)
            rows = each_row(segment, cluster, lowered.space, predictor, framework, slower)
            self._rows += [_Row(row, place) for row in rows]
            if segment.table is not None and engine is not None:
                at = partial(outside_s, segment, lowered.space, engine, several)
                self._outside.append((place, at))

    def rows(self, end: int) -> tuple[Turning, ...]:
        """Return what bounds each row from 1 to ``end``: some values one by one, then bisected."""
        return tuple(
            Turning(row.kernel.kernel.row.name, row.kernel.kernel.row.kind,
                    tuple(row.flips(self.most, end)), row)
            for row in self._rows
        )  # fmt: skip

    def outside_s(self, xs: Sequence[int]) -> Array:
        """Return the phase's time outside its kernels at some values [s]."""
        values = np.array(xs, dtype=float)
        total = np.zeros(len(xs))
        for place, seconds in self._outside:
            for points, often, weight in place.each(values):
                total += weight * often * np.asarray(seconds(points))
        return total


@dataclass(frozen=True)
class _Place:
    """A segment over one size, at every length."""

    space: Space
    segment: Segment
    unknown: Symbol
    lengths: tuple[Weighted, ...]

    def each(self, xs: Array) -> Iterator[tuple[Points, Any, float]]:
        """Yield, of each length, its middle step, how often it has one, and the length's weight."""
        segment = self.segment
        for sizes, weight in self.lengths:
            env: dict[Symbol, object] = {SCENARIO[k]: v for k, v in sizes.items() if k in SCENARIO}
            points = Points(self.space, {**env, self.unknown: xs}, len(xs))
            whole, part = trips_at(segment, points)
            often = (whole + part) * product_of(points, segment.factors)
            if segment.index is not None:
                points = points.at(segment.index, np.maximum(whole - 1.0, 0.0) / 2)
            yield points, often, weight


@dataclass(frozen=True)
class _Row:
    kernel: KernelRow
    place: _Place

    def seconds(self, xs: Array) -> Array:
        total = np.zeros(len(xs))
        for points, often, weight in self.place.each(xs):
            for here in self._alike(points):
                parts = self.kernel.at(_some(points, here), bands=False)
                total[here] += weight * (parts["time", ""] * np.broadcast_to(often, len(xs))[here])
        return total

    def asked(self, xs: Array) -> dict[str, Array]:
        """Return what each resource asks for, in expectation over lengths that run the row."""
        total: dict[str, Array] = {}
        for points, often, weight in self.place.each(xs):
            runs = np.where(np.broadcast_to(often, len(xs)) > 0, weight, 0.0)
            for here in self._alike(points):
                for name, value in self.kernel.sides(_some(points, here)).items():
                    more = np.where(runs[here] > 0, runs[here] * value, 0.0)
                    total.setdefault(name, np.zeros(len(xs)))[here] += more
        return total

    def _alike(self, points: Points) -> Iterator[NDArray[np.intp]]:
        """Yield which of some points one kernel serves."""
        codes = np.broadcast_to(self.kernel.regime(points), points.size)
        for code in np.unique(codes):
            yield np.flatnonzero(codes == code)

    def winners(self, xs: Array) -> list[str]:
        """Return the resource that asks most at each value, of equals the first.

        Values at which the row does not run count as those that follow.
        """
        asked = self.asked(xs)
        names, values = list(asked), np.array(list(asked.values()))
        best, runs = np.argmax(values, axis=0), np.flatnonzero(values.max(axis=0) > 0)
        if not runs.size:
            return [names[0]] * len(xs)
        after = np.minimum(np.searchsorted(runs, np.arange(len(xs))), runs.size - 1)
        return [names[k] for k in best[runs[after]]]

    def flips(self, most: int, end: int) -> Iterator[Flip]:
        """Yield stretches that one resource bounds, up to ``end``."""
        near = np.arange(1, min(most, end) + 1, dtype=float)
        octaves = np.log2(max(end / near[-1], 1.0))
        far = near[-1] * 2.0 ** (np.arange(1, int(octaves * OCTAVE) + 2) / OCTAVE)
        xs = np.unique(np.concatenate([near, np.minimum(np.floor(far), end)]))
        found = self.winners(xs)
        first = 1
        for k in range(1, len(xs)):
            if found[k] != found[k - 1]:
                turn = self._turn(int(xs[k - 1]), int(xs[k]), found[k])
                yield first, turn - 1, found[k - 1]
                first = turn
        yield first, end, found[-1]

    def _turn(self, low: int, high: int, after: str) -> int:
        """Return the first value from which on ``after`` bounds it, between two that differ."""
        while high - low > 1:
            middle = (low + high) // 2
            if self.winners(np.array([float(middle)])) == [after]:
                high = middle
            else:
                low = middle
        return high


def _some(points: Points, here: NDArray[np.intp]) -> Points:
    """Return some of the points."""
    if len(here) == points.size:
        return points
    env = {s: v[here] if np.ndim(v) else v for s, v in points.env.items()}
    return Points(points.space, env, len(here))


def shares(
    turns: Turns, rows: Sequence[Turning], xs: Sequence[int]
) -> Iterator[tuple[int, Mapping[str, float]]]:
    """Yield the share of the phase's time that each resource bounds, at values that have it."""
    seconds = [row.seconds(xs) for row in rows]
    outside = turns.outside_s(xs)
    for k, x in enumerate(xs):
        won: dict[str, float] = {OVERHEAD: float(outside[k])} if outside[k] else {}
        for row, times in zip(rows, seconds, strict=True):
            won[row.at(x)] = won.get(row.at(x), 0.0) + float(times[k])
        total = sum(won.values())
        if total:
            yield x, {r: t / total for r, t in sorted(won.items(), key=lambda item: -item[1])}
