"""Figures of a compiled program by evaluating every row as arrays, which bear any loop."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mansard.backends.engine.figures import SIZES, TIMES
from mansard.backends.engine.footprints import Footprints
from mansard.backends.engine.lowered import Lowered, NotCompiledError
from mansard.backends.engine.parameters import Rates
from mansard.backends.engine.points import Array, Operand, Points
from mansard.backends.engine.stepwise import Stepwise
from mansard.backends.engine.timed import Timed, product_of
from mansard.backends.estimate import DECODE, ENCODE, PREFILL, called_once
from mansard.core.symbols import batch, output, prompt

CHUNK = 8192
"""Points evaluated at once, so that temporaries stay in the cache of one core."""


class Rowwise:
    """Rows of a program's segments, evaluated at arrays of scenarios.

    Args:
        lowered: the program.
        timed: its segments, priced.
        rates: with the devices, and the fields of them that vary.
        phases: that count.
    """

    def __init__(
        self, lowered: Lowered, timed: Sequence[Timed], rates: Rates, phases: Sequence[str]
    ) -> None:
        self._lowered, self._timed = lowered, timed
        self._rates, self._phases = rates, phases

    @cached_property
    def footprints(self) -> Footprints:
        """The sizes of what the program holds."""
        return Footprints(self._lowered)

    def figures(
        self, arrays: Sequence[Array], count: int, names: Sequence[str]
    ) -> dict[str, Array]:
        """Return each figure by evaluating every row at every point."""
        found = {name: np.empty(count) for name in names}
        for low in range(0, count, CHUNK):
            part = [float(c[0]) if c.size == 1 else c[low : low + CHUNK] for c in arrays]
            size = min(CHUNK, count - low)
            values_by_name: Mapping[str, Operand]
            try:
                values_by_name = self._chunk(part, size, names)
            except NotCompiledError:
                if self._rates.parameters:
                    raise
                slow = Stepwise(self._lowered.program, self._rates.cluster, self._phases)
                values_by_name = slow.figures(part[0], part[1], part[2], names)
            for name, values in values_by_name.items():
                found[name][low : low + size] = values
        return found

    def _chunk(
        self, columns: Sequence[Operand], size: int, names: Sequence[str]
    ) -> Mapping[str, Operand]:
        sizes, fields = columns[:3], columns[3:]
        env = dict(zip((batch, prompt, output), sizes, strict=True))
        varying = dict(zip(self._rates.parameters, fields, strict=True))
        found: dict[str, Operand] = {}
        with np.errstate(divide="ignore", invalid="ignore"):
            env |= {p.itself: value for p, value in varying.items()}
            env |= {p.inverse: np.divide(1.0, value) for p, value in varying.items()}
            points = Points(self._lowered.space, env, size)
            if any(name in TIMES for name in names):
                found |= self._times(points, columns[0], columns[2])
            if any(name in SIZES for name in names):
                held = self._rates.capacity
                found |= self._sizes(points, None if held is None else varying[held])
        return {name: found[name] for name in names}

    def _phase_seconds(self, points: Points) -> dict[str, Array]:
        """Return the time of each phase at every point [s]."""
        found: dict[str, Array] = {}
        for timed in self._timed:
            phase = timed.segment.phase
            if phase in self._phases:
                seconds = timed.seconds(points)
                found[phase] = found[phase] + seconds if phase in found else seconds
        return found

    def _times(self, points: Points, batch_: Operand, output_: Operand) -> dict[str, Operand]:
        tokens = tokens_of(self._lowered, points)
        times = PhaseTimes(self._phase_seconds(points), tokens, batch_, output_)
        return times.of(TIMES)

    def _sizes(self, points: Points, capacity: Operand | None) -> dict[str, Operand]:
        found = self.footprints.at(points)
        chip = self._rates.cluster.chip
        total = sum(found.values()) + float(chip.reserve_bytes)
        if capacity is None:
            capacity = np.nan if chip.capacity_bytes is None else float(chip.capacity_bytes)
        return {
            **found,
            "memory": total,
            "overhead": float(chip.reserve_bytes),
            "capacity": capacity,
        }


def tokens_of(lowered: Lowered, points: Points) -> dict[str, Operand]:
    """Return phase → tokens of one sequence."""
    tokens: dict[str, Operand] = {}
    for made in lowered.yields:
        tokens[made.phase] = tokens.get(made.phase, 0.0) + product_of(points, made.factors)
    return tokens


@dataclass(frozen=True)
class PhaseTimes:
    """What users steer by, from the time of each phase; the formulas are those of ``roofline``.

    Args:
        seconds: phase → its time.
        tokens: phase → tokens of one sequence.
        batch: sequences.
        output: tokens asked for.
    """

    seconds: Mapping[str, Operand]
    tokens: Mapping[str, Operand]
    batch: Operand
    output: Operand

    def of(self, names: Iterable[str]) -> dict[str, Operand]:
        """Return some of ``TIMES``; only they are computed."""
        return {name: getattr(self, name) for name in names}

    @cached_property
    def ttft(self) -> Operand:
        """The first token's wait."""
        return self.seconds.get(PREFILL, math.nan) + self.seconds.get(ENCODE, 0.0)

    @cached_property
    def tpot(self) -> Operand:
        """What a token takes; unknown where none is decoded."""
        if DECODE not in self.tokens or DECODE not in self.seconds:
            return math.nan
        made = self.tokens[DECODE]
        return self.seconds[DECODE] / np.where(made > 0, made, np.nan)

    @cached_property
    def latency(self) -> Operand:
        """A request from its start to its end."""
        if called_once(self.seconds):
            return self.total
        rest = np.where(np.equal(self.output, 1), 0.0, (self.output - 1) * self.tpot)
        named = (ENCODE, PREFILL, DECODE)
        between = sum((v for k, v in self.seconds.items() if k not in named), 0.0)
        return self.ttft + between + rest

    @cached_property
    def period(self) -> Operand:
        """From one batch to the next."""
        return sum(self.seconds.values(), 0.0) + 0.0 * self.latency

    @cached_property
    def total(self) -> Operand:
        """All phases, whatever they are."""
        return sum(self.seconds.values(), 0.0)

    @property
    def throughput(self) -> Operand:
        """Tokens a second of all sequences; of what makes none, sequences."""
        made = 1.0 if called_once(self.seconds) else self.output
        return self.batch * made / self.period

    @property
    def tokens_per_s_per_user(self) -> Operand:
        """Tokens a second of one sequence."""
        return 1.0 / self.tpot

    @property
    def prefill(self) -> Operand:
        """The mean step of prefill."""
        return self._mean("prefill")

    @cached_property
    def decode(self) -> Operand:
        """The mean step of decode, of a schedule that makes no tokens there too."""
        return self._mean("decode")

    def _mean(self, phase: str) -> Operand:
        if phase not in self.seconds:
            return math.nan
        made = self.tokens.get(phase)
        if made is None:
            return self.seconds[phase]
        seconds = np.asarray(self.seconds[phase])
        alone = np.where(seconds > 0, seconds, np.nan)  # of no token: all of it, if it happens
        return np.where(made > 0, seconds / np.where(made > 0, made, 1.0), alone)
