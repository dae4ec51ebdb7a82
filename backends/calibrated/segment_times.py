"""The calibrated seconds of a segment of a schedule, at scenarios side by side."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial

import numpy as np

from mansard.backends.calibrated.columns import (
    Frame,
    Part,
    Parts,
    Table,
    added,
    is_worth,
    mapped,
    points_of,
)
from mansard.backends.calibrated.curves import LoopSums
from mansard.backends.calibrated.engine import slowing
from mansard.backends.calibrated.kernel_rows import KernelRow, added_rows, kernel_rows
from mansard.backends.calibrated.knots import LONGEST
from mansard.backends.calibrated.lookup import Found
from mansard.backends.calibrated.loop_rows import LoopRows
from mansard.backends.calibrated.predict import Predictor
from mansard.backends.calibrated.token_rows import TokenRows, TokenTable, is_of_tokens
from mansard.backends.calibrated.traced_rows import Rows, TracedRows
from mansard.backends.calibrated.work import MIXERS
from mansard.backends.cluster import Cluster
from mansard.backends.engine.lowered import Segment
from mansard.backends.engine.points import Operand, Points
from mansard.backends.engine.polynomials import Space, add
from mansard.backends.engine.ranges import Ranges
from mansard.backends.engine.timed import Timed
from mansard.core.symbols import B, batch, output, prompt


class SegmentTimes:
    """A segment with its rows as calibrated.

    Args:
        timed: the segment in the bound, whose trips are the same.
        cluster: the devices.
        space: of its polynomials.
        predictor: of the chip.
        framework: of the engine; empty for any.
        engine: its set; None where none was measured.
        several: whether ranks share a layer.

    ``of_batch`` are the rows that depend on the batch alone, ``of_prompt`` on the prompt too,
    ``of_output`` on the tokens to generate, ``moving`` on the step of the loop.

    Raises:
        NotCompiledError: only the step-by-step backend evaluates it.
    """

    def __init__(
        self, timed: Timed, cluster: Cluster, space: Space, predictor: Predictor, framework: str,
        engine: Found | None, several: bool,
    ) -> None:  # fmt: skip
        segment = timed.segment
        self.timed, self.segment, self.space = timed, segment, space
        factor = partial(slowing, engine.one.values if engine else None, segment.phase)
        rows = kernel_rows(segment, cluster, space, predictor, framework, factor)
        index = segment.index
        moving = [r for r in rows if index is not None and r.mentions(space, index)]
        fixed = [r for r in rows if r not in moving]
        self.of_output = [r for r in fixed if r.mentions(space, output)]
        known = [r for r in fixed if r not in self.of_output]
        self.of_prompt = [r for r in known if r.mentions(space, prompt)]
        self.of_batch = [r for r in known if r not in self.of_prompt]
        self.traced = TracedRows(self.of_prompt, space, {})
        alone = [r for r in self.of_prompt if all(is_of_tokens(space, t) for t in r.terms())]
        self.of_tokens = TokenRows(alone, space)
        self.of_both = TracedRows([r for r in self.of_prompt if r not in alone], space, {})
        self.moving = LoopRows(segment, moving, space) if moving else None
        self._engine = None if segment.waits or segment.table is None else engine
        self._several = several

    @property
    def rows(self) -> Sequence[KernelRow]:
        """All of them."""
        return [*self.still, *(self.moving.rows if self.moving else ())]

    @property
    def still(self) -> Sequence[KernelRow]:
        """Those that no loop changes."""
        return [*self.of_batch, *self.of_prompt, *self.of_output]

    def prepared(self, frame: Frame, bands: bool) -> Prepared:
        """Return what gives the time of parts of a frame; what its points share is done once."""
        return Prepared(self, frame, bands)

    def at_prompts(self, b: Operand, p: Operand, bands: bool) -> Parts:
        """Return the rows that depend on the batch and the prompt, of one call."""
        return added_rows(self.of_prompt, points_of(self.space, b, p, np.nan), bands)

    def at_batches(self, sizes: Operand, bands: bool) -> Parts:
        """Return what depends on the batch alone, of one call: rows, and the engine's own time."""
        points = points_of(self.space, sizes, np.nan, np.nan)
        found: Parts = added_rows(self.of_batch, points, bands)
        if self._engine is not None and not self._overhead_varies:
            found = added(found, {("time", ""): self.overhead_s(points)})
        return mapped(found, lambda value: np.broadcast_to(value, np.shape(sizes)))

    def at_outputs(self, points: Points, bands: bool) -> Parts:
        """Return what depends on the tokens to generate too, of one call."""
        found: Parts = added_rows(self.of_output, points, bands)
        if self._engine is not None and self._overhead_varies:
            found = added(found, {("time", ""): self.overhead_s(points)})
        return found

    @cached_property
    def _overhead_varies(self) -> bool:
        segment = self.segment
        assert segment.table is not None
        assert segment.rows is not None
        counts = [segment.rows.terms(row.count) for row in segment.table.rows]
        depends = [*counts, self.space.expression(segment.bind[B])]
        return any(self.space.mentions(t, s) for t in depends for s in (prompt, output))

    def overhead_s(self, points: Points) -> Operand:
        """Return the time of one call outside its kernels [s]."""
        assert self._engine is not None
        return outside_s(self.segment, self.space, self._engine, self._several, points)


def outside_s(
    segment: Segment, space: Space, engine: Found, several: bool, points: Points
) -> Operand:
    """Return the time of one call of a segment outside its kernels [s]."""
    assert segment.table is not None
    assert segment.rows is not None
    step_s, layer_s, ranks_s, sequence_s, *_ = engine.one.values
    counts = [(row.kind, segment.rows.terms(row.count)) for row in segment.table.rows]
    layers = points.polynomial(add(n for kind, n in counts if kind in MIXERS))
    if not np.any(layers):
        layers = np.maximum.reduce([points.polynomial(n) for _, n in counts], initial=0.0)
    layer = layer_s + (ranks_s if several else 0.0)
    sequences = points.polynomial(space.expression(segment.bind[B]))
    return step_s + layers * layer + sequences * sequence_s


class Prepared:
    """A segment at the points of a frame.

    Args:
        segment: of a schedule.
        frame: all the scenarios.
        bands: whether half-widths count.
    """

    def __init__(self, segment: SegmentTimes, frame: Frame, bands: bool) -> None:
        self._segment, self._bands = segment, bands
        (sizes, _), (prompts, _) = frame.batches, frame.prompts
        self._sizes = segment.at_batches(sizes, bands)
        self._table: Table | None = None
        if segment.of_prompt and is_worth(sizes.size, prompts.size, frame.size):
            self._table = segment.traced.tabulated(self._of_prompt, sizes, prompts, bands)
        self._listed: Rows | None = None
        self._tokens: TokenTable | None = None
        if segment.of_prompt and self._table is None:
            self._tokens = segment.of_tokens.table(sizes, prompts, bands, frame.size)
            rows = segment.traced if self._tokens is None else segment.of_both
            self._listed = rows.on(sizes, prompts, bands, frame.size)
        self._loop: LoopSums | None = None
        if segment.moving is not None:
            self._loop = LoopSums(segment.moving, frame, bands, self._most_trips(frame))

    def _most_trips(self, frame: Frame) -> float:
        """Return trips that no loop has more of."""
        segment = self._segment.segment
        if segment.times is None:
            return 1.0
        values = zip(
            (batch, prompt, output), (frame.batch, frame.prompt, frame.output), strict=True
        )
        ranges = {symbol: (float(v.min()), float(v.max())) for symbol, v in values}
        _, most = Ranges(self._segment.space, ranges).of(segment.times)
        if most < LONGEST:
            return most
        whole, _ = self._segment.timed.trips(frame.points(self._segment.space))
        return float(np.max(whole))

    def at(self, part: Part, where: tuple[slice, ...]) -> Parts:
        """Return the time of some of the points, stretches along each of the frame's axes."""
        segment = self._segment
        points = part.frame.points(segment.space)
        often = segment.timed.often(points)
        if segment.segment.table is None:
            return {("waits", ""): points.polynomial(segment.segment.seconds) * often}
        whole, fraction = segment.timed.trips(points)
        times = (whole + fraction) * often
        each = mapped(self._sizes, lambda value: value[part.batches])
        if segment.of_prompt:
            each = added(each, self._prompts(part))
        each = added(each, segment.at_outputs(points, self._bands))
        total = mapped(each, lambda value: value * times)
        if self._loop is None:
            return total
        moved = self._loop.over(part, where, whole)
        if np.any(fraction > 0):
            last = self._loop.one(part, whole)
            moved = added(moved, mapped(last, lambda value: value * fraction))
        if not np.all(often == 1.0):
            moved = mapped(moved, lambda value: value * often)
        return added(total, moved)

    def _prompts(self, part: Part) -> Parts:
        if self._table is not None:
            return self._table.at(part.batches, part.prompts)
        b, p = part.frame.batch, part.frame.prompt
        if self._listed is not None:
            found = self._listed(b, p, part.batches_of, part.prompts_of)
            return found if self._tokens is None else added(found, self._tokens.at(b * p))
        return self._of_prompt(part.frame.batch, part.frame.prompt)

    def _of_prompt(self, b: Operand, p: Operand) -> Parts:
        return self._segment.at_prompts(b, p, self._bands)
