"""Calibrated figures of a program as functions of batch, prompt and output: arrays in, arrays out.

The rows, the forms and the sums are those of ``estimate``; here each is evaluated for all points of
a sweep at once. Sizes and the bound beside come from the engine of the bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from mansard.backends.calibrated.bands import BANDS, Spread, bands_of
from mansard.backends.calibrated.columns import COLUMNS, Frame, Part, distinct
from mansard.backends.calibrated.estimate import engine_of, estimate
from mansard.backends.calibrated.grids import CalibratedGrid
from mansard.backends.calibrated.kernel_rows import MixedError
from mansard.backends.calibrated.parameters import Calibration
from mansard.backends.calibrated.predict import Predictor
from mansard.backends.calibrated.segment_times import Prepared, SegmentTimes
from mansard.backends.calibrated.work import is_judged_whole, phase_band, several_ranks
from mansard.backends.cluster import Cluster
from mansard.backends.engine.compiled import Compiled, compile_program
from mansard.backends.engine.figures import FIGURES, IDEAL, SIZES
from mansard.backends.engine.footprints import Footprints
from mansard.backends.engine.lowered import NotCompiledError
from mansard.backends.engine.parameters import Rates
from mansard.backends.engine.points import Array, Operand
from mansard.backends.engine.rowwise import PhaseTimes, tokens_of
from mansard.backends.engine.stepwise import Stepwise
from mansard.backends.engine.timed import Timed
from mansard.backends.estimate import PREFILL
from mansard.backends.hardware import Hardware
from mansard.ir.program import Program

CHUNK = 65536
"""Points evaluated at once: as many as make the calls of some hundred steps cheap beside them."""


class CalibratedCompiled:
    """Calibrated figures of one program on one chip.

    Args:
        bound: the program in the bound, compiled.
        framework: the engine; empty for the median of all.
        own: a user's calibration of the chip.

    Raises:
        NotCompiledError: the schedule holds what only ``estimate`` evaluates.
    """

    method = "compiled"

    def __init__(
        self, bound: Compiled, framework: str = "", own: Calibration | None = None
    ) -> None:
        self.bound, self.framework, self.own = bound, framework, own
        self.lowered, self.cluster, self.phases = bound.lowered, bound.cluster, bound.phases
        predictor, space = Predictor(self.cluster.chip, own), self.lowered.space
        self._engine = engine_of(predictor, framework)
        several = several_ranks(self.cluster)
        self._segments = [
            SegmentTimes(
                Timed(s, Rates(self.cluster), space), self.cluster, space, predictor, framework,
                self._engine, several,
            )
            for s in self.lowered.segments
            if s.phase in self.phases
        ]  # fmt: skip

    def on(self, cluster: Hardware | Cluster) -> CalibratedCompiled:
        """Return the same program on other hardware; it is lowered no second time."""
        return CalibratedCompiled(self.bound.on(cluster), self.framework, self.own)

    @property
    def footprints(self) -> Footprints:
        """The sizes of what it holds."""
        return self.bound.footprints

    @cached_property
    def _stepwise(self) -> CalibratedStepwise:
        program = self.lowered.program
        return CalibratedStepwise(program, self.cluster, self.phases, self.framework, self.own)

    def figures(
        self, batch: Operand, prompt: Operand, output: Operand, names: Sequence[str] = FIGURES
    ) -> dict[str, Array]:
        """Return each figure at every point.

        Args:
            batch: sequences, one a point, or one for all.
            prompt: tokens of each prompt, likewise.
            output: tokens to generate, likewise.
            names: of ``FIGURES``, ``BANDS`` and ``IDEAL``.
        """
        arrays = [np.asarray(v, dtype=float).reshape(-1) for v in (batch, prompt, output)]
        count = max(a.size for a in arrays)
        if any(a.size not in (1, count) for a in arrays):
            raise ValueError("batch, prompt and output differ in length")
        frame = Frame(*arrays)
        b, p, n = arrays
        found = self.of_bound(names, lambda asked: self.bound.figures(b, p, n, asked))
        mine = [name for name in names if name not in found]
        if mine:
            found |= self.listed(frame, mine)
        return {name: np.broadcast_to(found[name], (count,)) for name in names}

    def point(
        self, batch: float, prompt: float, output: float, names: Sequence[str] = FIGURES
    ) -> dict[str, float]:
        """Return each figure at one point."""
        return {k: float(v[0]) for k, v in self.figures(batch, prompt, output, names).items()}

    def grid(
        self, axes: Mapping[str, Sequence[float]], names: Sequence[str] = FIGURES,
        *, fast: bool = False,
    ) -> CalibratedGrid | None:  # fmt: skip
        """Return the figures of every combination; None where a loop must be stepped.

        Args:
            axes: batch, prompt and output, the one that varies most slowly first.
            names: of ``FIGURES``, ``BANDS`` and ``IDEAL``.
            fast: no matter here: loops that numba compiles are of the bound.
        """
        bound = self.bound.grid(axes, _names_of_bound(names) or ("capacity",))
        return None if bound is None else CalibratedGrid(self, bound, axes, names)

    def at(self, frame: Frame, names: Sequence[str]) -> dict[str, Operand]:
        """Return times and bands of scenarios side by side; arrays broadcast to the frame.

        Raises:
            NotCompiledError: other kernels serve some of them.
        """
        part = self.over(frame, names)
        if len(frame.shape) != 1 or frame.size <= CHUNK:
            return part((slice(None),) * len(frame.shape))
        found = {name: np.empty(frame.size) for name in names}
        for low in range(0, frame.size, CHUNK):
            for name, values in part((slice(low, low + CHUNK),)).items():
                found[name][low : low + CHUNK] = values
        return found

    def over(
        self, frame: Frame, names: Sequence[str]
    ) -> Callable[[tuple[slice, ...]], dict[str, Operand]]:
        """Return what gives times and bands of stretches of scenarios, shared work done once.

        Raises:
            NotCompiledError: other kernels serve some of them.
        """
        bands = any(name in BANDS for name in names)
        with np.errstate(all="ignore"):
            prepared = [s.prepared(frame, bands) for s in self._segments]

        def part(where: tuple[slice, ...]) -> dict[str, Operand]:
            with np.errstate(all="ignore"):
                return self._named(frame.part(where), where, prepared, names)

        return part

    def of_bound(
        self, names: Sequence[str], ask: Callable[[tuple[str, ...]], Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Return the sizes, and the bound's figures by their names beside the estimate's."""
        asked = _names_of_bound(names)
        values = ask(asked) if asked else {}
        found = {name: values[name] for name in names if name in SIZES}
        return found | {name: values[IDEAL[name]] for name in names if name in IDEAL}

    def listed(self, frame: Frame, names: Sequence[str]) -> dict[str, Array]:
        """Return times and bands of a list; of points that other kernels serve, apart."""
        try:
            return self.at(frame, names)
        except MixedError:
            codes = self._codes(frame)
        except NotCompiledError:
            codes = np.zeros(frame.size)
        b, p, n = (
            np.broadcast_to(a, frame.shape) for a in (frame.batch, frame.prompt, frame.output)
        )
        kinds = np.unique(codes)
        if kinds.size == 1:
            return self._stepwise.figures(b, p, n, names)
        found = {name: np.empty(frame.size) for name in names}
        for kind in kinds:
            here = np.flatnonzero(codes == kind)
            part = self.listed(Frame(b[here], p[here], n[here]), names)
            for name, values in part.items():
                found[name][here] = values
        return found

    def _codes(self, frame: Frame) -> Array:
        """Return a number that is equal where the same kernels serve the rows no loop changes."""
        points = frame.points(self.lowered.space)
        codes: Array = np.zeros(frame.shape)
        for segment in self._segments:
            for row in segment.still:
                code = row.regime(points)
                if np.ptp(code) > 0:
                    codes = distinct(codes * 4 + code)[1].astype(float)
        return codes

    def _named(
        self, part: Part, where: tuple[slice, ...], prepared: Sequence[Prepared],
        names: Sequence[str],
    ) -> dict[str, Operand]:  # fmt: skip
        seconds: dict[str, Operand] = {}
        spreads: dict[str, Spread] = {}
        for segment, ready in zip(self._segments, prepared, strict=True):
            phase, waits = segment.segment.phase, segment.segment.waits
            spread = spreads.setdefault(phase, Spread())
            for (kind, form), value in ready.at(part, where).items():
                if kind in ("time", "waits"):
                    seconds[phase] = seconds[phase] + value if phase in seconds else value
                elif not waits:
                    spread.add(kind, form, value)
        frame = part.frame
        tokens = tokens_of(self.lowered, frame.points(self.lowered.space))
        times = PhaseTimes(seconds, tokens, frame.batch, frame.output)
        found = times.of(name for name in names if name not in BANDS)
        if any(name in BANDS for name in names):
            around = {p: self._band(p, t, spreads[p]) for p, t in seconds.items()}
            found |= bands_of(times, around)
        return {name: found[name] for name in names}

    def _band(self, phase: str, total_s: Operand, spread: Spread) -> tuple[Operand, Operand]:
        rests = [
            (row.form, row.basis)
            for s in self._segments
            if s.segment.phase == phase and not s.segment.waits
            for row in s.rows
        ]
        whole = is_judged_whole(self._engine, self.framework, self.own is not None, rests)
        around = self._engine.band(phase == PREFILL) if self._engine else None
        return phase_band(total_s, spread.halves, spread.bound_s, around, whole, COLUMNS)


def _names_of_bound(names: Sequence[str]) -> tuple[str, ...]:
    sizes = [name for name in names if name in SIZES]
    return tuple(dict.fromkeys([*sizes, *(IDEAL[name] for name in names if name in IDEAL)]))


def compile_calibrated(
    program: Program, on: Hardware | Cluster, phases: Sequence[str] = (), framework: str = "",
    own: Calibration | None = None,
) -> CalibratedCompiled | CalibratedStepwise:  # fmt: skip
    """Return what gives calibrated figures at arrays: compiled where the schedule allows it."""
    try:
        return CalibratedCompiled(Compiled(program, on, phases), framework, own)
    except NotCompiledError:
        return CalibratedStepwise(program, on, phases, framework, own)


class CalibratedStepwise(Stepwise):
    """The same figures a point at a time, for any schedule.

    Args:
        program: after its passes.
        on: one device, or several.
        phases: that count; every one unless given.
        framework: the engine; empty for the median of all.
        own: a user's calibration of the chip.
    """

    def __init__(
        self, program: Program, on: Hardware | Cluster, phases: Sequence[str] = (),
        framework: str = "", own: Calibration | None = None,
    ) -> None:  # fmt: skip
        super().__init__(program, on, phases, partial(estimate, framework=framework, own=own))
        self.framework, self.own = framework, own
        self.bound = compile_program(program, self.cluster, phases)

    def on(self, cluster: Hardware | Cluster) -> CalibratedStepwise:
        """Return the same program on other hardware."""
        return CalibratedStepwise(self.program, cluster, self.phases, self.framework, self.own)

    def figures(
        self, batch: Operand, prompt: Operand, output: Operand, names: Sequence[str] = FIGURES
    ) -> dict[str, Array]:
        """Return each figure at every point, the bound's beside."""
        beside = [IDEAL[name] for name in names if name in IDEAL]
        bound = self.bound.figures(batch, prompt, output, beside) if beside else {}
        mine = super().figures(batch, prompt, output, [n for n in names if n not in IDEAL])
        return {n: bound[IDEAL[n]] if n in IDEAL else mine[n] for n in names}
