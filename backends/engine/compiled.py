"""A program on hardware as functions of batch, prompt and output: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from mansard.backends.cluster import Cluster
from mansard.backends.engine.arrays import Columns, Grid
from mansard.backends.engine.fast import FastGrid
from mansard.backends.engine.figures import FIGURES
from mansard.backends.engine.footprints import Footprints
from mansard.backends.engine.formulas import WIDEST, Formulas
from mansard.backends.engine.generated import scalar
from mansard.backends.engine.lowered import Lowered, NotCompiledError
from mansard.backends.engine.parameters import Parameter, Rates
from mansard.backends.engine.points import Array, Operand
from mansard.backends.engine.ranges import Interval
from mansard.backends.engine.rowwise import Rowwise
from mansard.backends.engine.stepwise import Stepwise
from mansard.backends.engine.straight import Straight
from mansard.backends.engine.timed import Timed
from mansard.backends.hardware import Hardware
from mansard.backends.roofline import wanted_phases
from mansard.ir.program import Program

MOST_LINES = 32
"""Steps for other ranges that are kept."""
FEW = 8
"""Points that are sooner evaluated one by one."""
MANY = 100_000
"""Points that are worth steps of their own, made for their ranges."""
NOTHING: Mapping[str, float] = MappingProxyType({})


class Compiled:
    """Figures of one program on one chip, from polynomials.

    Args:
        program: after its passes; or one lowered before, to be priced on another chip.
        on: one device, or several.
        phases: that count; every one unless given.
        parameters: fields of the chip that vary, too.

    Raises:
        NotCompiledError: the schedule holds what only ``roofline.estimate`` evaluates, or a
            parameter sets more than a rate.
    """

    method = "compiled"

    def __init__(
        self, program: Program | Lowered, on: Hardware | Cluster, phases: Sequence[str] = (),
        parameters: Sequence[Parameter] = (),
    ) -> None:  # fmt: skip
        self.lowered = program if isinstance(program, Lowered) else Lowered(program)
        self.cluster = on if isinstance(on, Cluster) else Cluster(on)
        self.phases = wanted_phases(phases, self.lowered.phases)
        space = self.lowered.space
        self.rates = Rates(self.cluster, parameters)
        self.parameters = {p.field: p for p in parameters}
        self.widest = {**WIDEST, **{p.field: p.values for p in parameters}}
        self._timed = [Timed(s, self.rates, space) for s in self.lowered.segments]
        self._rows = Rowwise(self.lowered, self._timed, self.rates, self.phases)
        self._lines: dict[tuple[tuple[Interval, ...], tuple[str, ...]], Straight | None] = {}
        self._scalars: dict[tuple[str, ...], Callable[..., tuple[float, ...]] | None] = {}

    def on(self, cluster: Hardware | Cluster) -> Compiled:
        """Return the same program on other hardware; it is lowered no second time."""
        other = Compiled(self.lowered, cluster, self.phases)
        other._rows.footprints = self.footprints
        return other

    def varying(self, parameters: Sequence[Parameter]) -> Compiled:
        """Return the same program with fields of the chip as parameters.

        Raises:
            NotCompiledError: one of them sets more than a rate.
        """
        other = Compiled(self.lowered, self.cluster, self.phases, parameters)
        other._rows.footprints = self.footprints
        return other

    @property
    def footprints(self) -> Footprints:
        """The sizes of what it holds."""
        return self._rows.footprints

    def figures(
        self, batch: Operand, prompt: Operand, output: Operand, names: Sequence[str] = FIGURES,
        fields: Mapping[str, Operand] = NOTHING,
    ) -> dict[str, Array]:  # fmt: skip
        """Return each figure at every point.

        Args:
            batch: sequences, one a point, or one for all.
            prompt: tokens of each prompt, likewise.
            output: tokens to generate, likewise.
            names: of ``FIGURES``.
            fields: each parameter, likewise.
        """
        columns = {"batch": batch, "prompt": prompt, "output": output}
        columns |= {name: fields[name] for name in self.parameters}
        arrays = [np.asarray(v, dtype=float).reshape(-1) for v in columns.values()]
        count = max(a.size for a in arrays)
        if any(a.size not in (1, count) for a in arrays):
            raise ValueError(f"{', '.join(columns)} differ in length")
        if count <= FEW:
            full = [np.broadcast_to(a, count) for a in arrays]
            each = [self._at(values, names) for values in zip(*full, strict=True)]
            return {name: np.array([at[name] for at in each]) for name in names}
        many = count >= MANY
        ranges = {k: (float(a.min()), float(a.max())) for k, a in zip(columns, arrays, strict=True)}
        line = self.line(ranges if many else None)
        if line is not None:
            return Columns(line, names).at(columns)
        return self._rows.figures(arrays, count, names)

    def point(
        self, batch: float, prompt: float, output: float, names: Sequence[str] = FIGURES,
        fields: Mapping[str, float] = NOTHING,
    ) -> dict[str, float]:  # fmt: skip
        """Return each figure at one point, in plain Python."""
        more = [fields[name] for name in self.parameters]
        return self._at((batch, prompt, output, *more), names)

    def _at(self, at: Sequence[float], names: Sequence[str]) -> dict[str, float]:
        key = tuple(names)
        if key not in self._scalars:
            line = self.line()
            self._scalars[key] = None if line is None else scalar(line, key)
        function = self._scalars[key]
        if function is not None:
            try:
                values = function(*map(float, at))
                return dict(zip(key, values, strict=True))
            except (ZeroDivisionError, OverflowError):
                pass
        arrays = [np.array([float(v)]) for v in at]
        return {name: float(v[0]) for name, v in self._rows.figures(arrays, 1, key).items()}

    def line(
        self, ranges: Mapping[str, Interval] | None = None, axes: Sequence[str] | None = None
    ) -> Straight | None:
        """Return every figure as straight-line steps; None where a loop must be stepped.

        Args:
            ranges: of batch, prompt, output and parameters, within which the steps hold; as wide
                as there are unless given.
            axes: their order, those that vary most slowly first; the others have one value.
        """
        ranges = self.widest if ranges is None else ranges
        axes = tuple(self.widest) if axes is None else axes
        key = (tuple(ranges[name] for name in self.widest), tuple(axes))
        if key not in self._lines:
            if len(self._lines) >= MOST_LINES:
                wide = tuple(self.widest.values())
                del self._lines[next(k for k in self._lines if k[0] != wide)]
            try:
                made = Formulas(
                    self.lowered, self._timed, self.footprints, self.rates, self.phases, ranges,
                    axes, tuple(self.parameters.values()),
                )  # fmt: skip
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
            axes: batch, prompt, output and parameters, the one that varies most slowly first.
            names: of ``FIGURES``.
            fast: as loops that numba compiles (the extra ``fast``).
        """
        ranges = {name: (float(min(v)), float(max(v))) for name, v in axes.items()}
        varying = {k: v for k, v in axes.items() if len(v) > 1}
        line = self.line(ranges, tuple(varying))
        if line is None:
            return None
        return FastGrid(line, names, varying) if fast else Grid(line, names, varying)


def compile_program(
    program: Program, on: Hardware | Cluster, phases: Sequence[str] = ()
) -> Compiled | Stepwise:
    """Return what gives figures at arrays: compiled where the schedule allows it."""
    try:
        return Compiled(program, on, phases)
    except NotCompiledError:
        return Stepwise(program, on, phases)
