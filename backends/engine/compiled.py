"""A program on hardware as functions of batch, prompt and output: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from mansard.backends.cluster import Cluster
from mansard.backends.engine.arrays import Columns, FastGrid, Grid
from mansard.backends.engine.footprints import Footprints
from mansard.backends.engine.formulas import SYMBOLS, WIDEST, Formulas
from mansard.backends.engine.generated import scalar
from mansard.backends.engine.lowered import Lowered, NotCompiledError
from mansard.backends.engine.points import Array, Operand, Points
from mansard.backends.engine.ranges import Interval
from mansard.backends.engine.straight import Straight
from mansard.backends.engine.timed import Timed, product_of
from mansard.backends.hardware import Hardware
from mansard.backends.roofline import DECODE, ENCODE, PREFILL, Answer, estimate, wanted_phases
from mansard.core.symbols import batch, output, prompt
from mansard.ir.program import Program

TIMES = (
    "ttft",
    "tpot",
    "latency",
    "throughput",
    "tokens_per_s_per_user",
    "prefill",
    "decode",
    "period",
)
SIZES = ("memory", "weights", "kv_cache", "activations", "overhead", "capacity")
FIGURES = (*TIMES, *SIZES)
"""Names of what can be asked, seconds, tokens per second and bytes; NaN where one is unknown.

``period`` is the time from one batch to the next, for which devices are taken.
"""
CHUNK = 8192
"""Points evaluated at once, so that temporaries stay in the cache of one core."""
MOST_LINES = 32
"""Steps for other ranges that are kept."""
FEW = 8
"""Points that are sooner evaluated one by one."""
MANY = 100_000
"""Points that are worth steps of their own, made for their ranges."""


_WIDE = tuple(WIDEST[name] for name in SYMBOLS)


class Figured(Protocol):
    """What gives figures at arrays of scenarios."""

    method: str

    def figures(
        self, batch: Operand, prompt: Operand, output: Operand, names: Sequence[str] = FIGURES
    ) -> dict[str, Array]:
        """Return each figure at every point."""


class Compiled:
    """Figures of one program on one chip, from polynomials.

    Args:
        program: after its passes; or one lowered before, to be priced on another chip.
        on: one device, or several.
        phases: that count; every one unless given.

    Raises:
        NotCompiledError: the schedule holds what only ``roofline.estimate`` evaluates.
    """

    method = "compiled"

    def __init__(
        self, program: Program | Lowered, on: Hardware | Cluster, phases: Sequence[str] = ()
    ) -> None:
        self.lowered = program if isinstance(program, Lowered) else Lowered(program)
        self.cluster = on if isinstance(on, Cluster) else Cluster(on)
        self.phases = wanted_phases(phases, self.lowered.phases)
        space = self.lowered.space
        self._timed = [Timed(s, self.cluster, space) for s in self.lowered.segments]
        self._footprints: Footprints | None = None
        self._lines: dict[tuple[tuple[Interval, ...], tuple[str, ...]], Straight | None] = {}
        self._scalars: dict[tuple[str, ...], Callable[..., tuple[float, ...]] | None] = {}

    def on(self, cluster: Hardware | Cluster) -> Compiled:
        """Return the same program on other hardware; it is lowered no second time."""
        other = Compiled(self.lowered, cluster, self.phases)
        other._footprints = self.footprints
        return other

    @property
    def footprints(self) -> Footprints:
        """The sizes of what it holds."""
        if self._footprints is None:
            self._footprints = Footprints(self.lowered)
        return self._footprints

    def figures(
        self, batch: Operand, prompt: Operand, output: Operand, names: Sequence[str] = FIGURES
    ) -> dict[str, Array]:
        """Return each figure at every point.

        Args:
            batch: sequences, one a point, or one for all.
            prompt: tokens of each prompt, likewise.
            output: tokens to generate, likewise.
            names: of ``FIGURES``.
        """
        columns = {"batch": batch, "prompt": prompt, "output": output}
        arrays = [np.asarray(v, dtype=float).reshape(-1) for v in columns.values()]
        count = max(a.size for a in arrays)
        if any(a.size not in (1, count) for a in arrays):
            raise ValueError("batch, prompt and output differ in length")
        if count <= FEW:
            full = [np.broadcast_to(a, count) for a in arrays]
            each = [self.point(b, p, n, names) for b, p, n in zip(*full, strict=True)]
            return {name: np.array([at[name] for at in each]) for name in names}
        many = count >= MANY
        ranges = {k: (float(a.min()), float(a.max())) for k, a in zip(columns, arrays, strict=True)}
        line = self.line(ranges if many else WIDEST)
        if line is not None:
            return Columns(line, names).at(columns)
        return self._figures(arrays, count, names)

    def point(
        self, batch: float, prompt: float, output: float, names: Sequence[str] = FIGURES
    ) -> dict[str, float]:
        """Return each figure at one point, in plain Python."""
        key = tuple(names)
        if key not in self._scalars:
            line = self.line()
            self._scalars[key] = None if line is None else scalar(line, key)
        function = self._scalars[key]
        if function is not None:
            try:
                values = function(float(batch), float(prompt), float(output))
                return dict(zip(key, values, strict=True))
            except (ZeroDivisionError, OverflowError):
                pass
        arrays = [np.array([float(v)]) for v in (batch, prompt, output)]
        return {name: float(v[0]) for name, v in self._figures(arrays, 1, key).items()}

    def line(
        self, ranges: Mapping[str, Interval] = WIDEST, axes: Sequence[str] = tuple(SYMBOLS)
    ) -> Straight | None:
        """Return every figure as straight-line steps; None where a loop must be stepped.

        Args:
            ranges: of batch, prompt and output, within which the steps hold.
            axes: their order, those that vary most slowly first; the others have one value.
        """
        key = (tuple(ranges[name] for name in SYMBOLS), tuple(axes))
        if key not in self._lines:
            if len(self._lines) >= MOST_LINES:
                del self._lines[next(k for k in self._lines if k[0] != _WIDE)]
            try:
                chip = self.cluster.chip
                made = Formulas(
                    self.lowered, self._timed, self.footprints, chip, self.phases, ranges, axes
                )
                self._lines[key] = made.line
            except NotCompiledError:
                self._lines[key] = None
        return self._lines[key]

    def grid(
        self, axes: Mapping[str, Sequence[float]], names: Sequence[str] = FIGURES,
        *, fast: bool = False,
    ) -> Grid | FastGrid | None:  # fmt: skip
        """Return the figures of every combination; None where a loop must be stepped.

        Args:
            axes: batch, prompt and output, the one that varies most slowly first.
            names: of ``FIGURES``.
            fast: as loops that numba compiles (the extra ``fast``).
        """
        ranges = {name: (float(min(v)), float(max(v))) for name, v in axes.items()}
        varying = {k: v for k, v in axes.items() if len(v) > 1}
        line = self.line(ranges, tuple(varying))
        if line is None:
            return None
        return FastGrid(line, names, varying) if fast else Grid(line, names, varying)

    def _figures(
        self, arrays: Sequence[Array], count: int, names: Sequence[str]
    ) -> dict[str, Array]:
        """Return each figure by evaluating every row as arrays, which bear any loop."""
        found = {name: np.empty(count) for name in names}
        for low in range(0, count, CHUNK):
            part = [float(c[0]) if c.size == 1 else c[low : low + CHUNK] for c in arrays]
            size = min(CHUNK, count - low)
            values_by_name: Mapping[str, Operand]
            try:
                values_by_name = self._chunk(part, size, names)
            except NotCompiledError:
                slow = Stepwise(self.lowered.program, self.cluster, self.phases)
                values_by_name = slow.figures(part[0], part[1], part[2], names)
            for name, values in values_by_name.items():
                found[name][low : low + size] = values
        return found

    def _chunk(
        self, columns: Sequence[Operand], size: int, names: Sequence[str]
    ) -> Mapping[str, Operand]:
        env = dict(zip((batch, prompt, output), columns, strict=True))
        points = Points(self.lowered.space, env, size)
        found: dict[str, Operand] = {}
        with np.errstate(divide="ignore", invalid="ignore"):
            if any(name in TIMES for name in names):
                found |= self._times(points, *columns)
            if any(name in SIZES for name in names):
                found |= self._sizes(points)
        return {name: found[name] for name in names}

    def phase_seconds(self, points: Points) -> dict[str, Array]:
        """Return the time of each phase at every point [s]."""
        found: dict[str, Array] = {}
        for timed in self._timed:
            phase = timed.segment.phase
            if phase in self.phases:
                seconds = timed.seconds(points)
                found[phase] = found[phase] + seconds if phase in found else seconds
        return found

    def _times(
        self, points: Points, batch_: Operand, prompt_: Operand, output_: Operand
    ) -> dict[str, Operand]:
        """Return what users steer by; the formulas are those of ``roofline``."""
        seconds = self.phase_seconds(points)
        unknown = np.full(points.size, np.nan)
        tokens: dict[str, Operand] = {}
        for made in self.lowered.yields:
            tokens[made.phase] = tokens.get(made.phase, 0.0) + product_of(points, made.factors)
        ttft = seconds.get(PREFILL, unknown) + seconds.get(ENCODE, 0.0)
        tpot: Operand = unknown
        if "decode" in seconds and "decode" in tokens:
            count = tokens["decode"]
            tpot = np.where(count > 0, seconds["decode"] / count, np.nan)
        rest = np.where(np.equal(output_, 1), 0.0, (output_ - 1) * tpot)
        between = sum(v for k, v in seconds.items() if k not in (ENCODE, PREFILL, DECODE))
        latency = ttft + between + rest
        period = sum(seconds.values()) + 0.0 * latency
        return {
            "ttft": ttft,
            "tpot": tpot,
            "latency": latency,
            "throughput": batch_ * output_ / period,
            "tokens_per_s_per_user": 1.0 / tpot,
            "period": period,
            "prefill": self._mean("prefill", seconds, tokens, unknown),
            "decode": self._mean("decode", seconds, tokens, unknown),
        }

    def _mean(
        self, phase: str, seconds: Mapping[str, Array], tokens: Mapping[str, Operand],
        unknown: Array,
    ) -> Operand:  # fmt: skip
        if phase not in seconds:
            return unknown
        made = tokens.get(phase)
        return seconds[phase] if made is None else seconds[phase] / np.where(made > 0, made, np.nan)

    def _sizes(self, points: Points) -> dict[str, Operand]:
        found = self.footprints.at(points)
        chip = self.cluster.chip
        total = sum(found.values()) + float(chip.reserve_bytes)
        capacity = chip.capacity_bytes
        return {
            **found,
            "memory": total,
            "overhead": float(chip.reserve_bytes),
            "capacity": np.nan if capacity is None else float(capacity),
        }


class Stepwise:
    """The same figures from ``roofline.estimate``, a point at a time: for any schedule.

    Args:
        program: after its passes.
        on: one device, or several.
        phases: that count; every one unless given.
        price: what answers a point; the roofline unless given.
    """

    method = "stepwise"

    def __init__(
        self, program: Program, on: Hardware | Cluster, phases: Sequence[str] = (),
        price: Callable[..., Answer] = estimate,
    ) -> None:  # fmt: skip
        self.program, self.phases, self._price = program, tuple(phases), price
        self.cluster = on if isinstance(on, Cluster) else Cluster(on)

    def on(self, cluster: Hardware | Cluster) -> Stepwise:
        """Return the same program on other hardware."""
        return Stepwise(self.program, cluster, self.phases, self._price)

    def figures(
        self, batch: Operand, prompt: Operand, output: Operand, names: Sequence[str] = FIGURES
    ) -> dict[str, Array]:
        """Return each figure at every point."""
        columns = np.broadcast_arrays(*(np.atleast_1d(v) for v in (batch, prompt, output)))
        found = {name: np.empty(columns[0].size) for name in names}
        for k, (b, p, n) in enumerate(zip(*columns, strict=True)):
            scenario = {"batch": int(b), "prompt": int(p), "output": int(n)}
            answer = self._price(self.program, self.cluster, scenario, self.phases)
            known = _figures(answer, scenario)
            for name in names:
                value = known[name]
                found[name][k] = np.nan if value is None else value
        return found

    def grid(
        self, axes: Mapping[str, Sequence[float]], names: Sequence[str] = FIGURES,
        *, fast: bool = False,
    ) -> None:  # fmt: skip
        """Return nothing: there are no steps that a grid could share."""

    def point(
        self, batch: float, prompt: float, output: float, names: Sequence[str] = FIGURES
    ) -> dict[str, float]:
        """Return each figure at one point."""
        return {k: float(v[0]) for k, v in self.figures(batch, prompt, output, names).items()}


def _figures(answer: Answer, scenario: Mapping[str, int]) -> dict[str, float | None]:
    m, memory = answer.metrics, answer.memory
    phases = {k: answer.phases[k].time_s if k in answer.phases else None
              for k in ("prefill", "decode")}  # fmt: skip
    rate = m.throughput_tok_s
    period = scenario["batch"] * scenario["output"] / rate if rate else None
    return {
        "ttft": m.ttft_s, "tpot": m.tpot_s, "latency": m.latency_s,
        "throughput": m.throughput_tok_s, "tokens_per_s_per_user": m.tokens_per_s_per_user,
        **phases, "period": period, "memory": memory.total, "weights": memory.weights,
        "kv_cache": memory.kv_cache,
        "activations": memory.activations, "overhead": memory.overhead,
        "capacity": memory.capacity,
    }  # fmt: skip


def compile_program(
    program: Program, on: Hardware | Cluster, phases: Sequence[str] = ()
) -> Compiled | Stepwise:
    """Return what gives figures at arrays: compiled where the schedule allows it."""
    try:
        return Compiled(program, on, phases)
    except NotCompiledError:
        return Stepwise(program, on, phases)
