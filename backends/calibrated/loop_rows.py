"""Rows along a loop over the context, summed between knots that all scenarios share.

A loop's context begins at the prompt, or at nothing where a decoder attends to an encoder's memory.

Where a step's time depends on the batch and the context alone, a sweep needs it at the knots once
for every batch, and at the two ends of each scenario's own loop.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mansard.backends.calibrated.columns import (
    Frame,
    Part,
    Parts,
    Table,
    distinct,
    is_worth,
    mapped,
    points_of,
    stretch,
    tabulated,
)
from mansard.backends.calibrated.kernel_rows import KernelRow, added_rows
from mansard.backends.calibrated.knots import knots
from mansard.backends.engine.lowered import NotCompiledError, Segment
from mansard.backends.engine.points import Operand
from mansard.backends.engine.polynomials import Space
from mansard.backends.engine.timed import difference, kinks_of
from mansard.backends.quantity import ONE, Terms
from mansard.core.symbols import P, output, prompt


class LoopRows:
    """Rows that change along a loop whose context is the prompt and the step.

    Args:
        segment: the loop.
        rows: of it that change.
        space: of their polynomials.

    Raises:
        NotCompiledError: they depend on more than the batch and the context.
    """

    def __init__(self, segment: Segment, rows: Sequence[KernelRow], space: Space) -> None:
        assert segment.index is not None
        self.rows, self._space, self._index = rows, space, segment.index
        self._after_prompt, offset = _begun(segment)
        foreign = (output,) if self._after_prompt else (output, prompt)
        if any(row.mentions(space, symbol) for row in rows for symbol in foreign):
            raise NotCompiledError("a step that depends on more than the context is stepped")
        turns = _turns(segment, space)
        contexts = {k - offset for k in knots()}
        self._ends = np.array(sorted(k for k in {*contexts, *turns} if k >= 0), dtype=float)

    def sums(self, frame: Frame, bands: bool, whole: Operand) -> LoopSums:
        """Return what sums the loops of some scenarios.

        Args:
            frame: the scenarios, all of them.
            bands: whether half-widths count.
            whole: trips of each.
        """
        return LoopSums(self, frame, bands, whole)

    def at(self, b: Operand, context: Operand, bands: bool) -> Parts:
        """Return the rows of one step, at batches and contexts."""
        p, step = (context, 0.0) if self._after_prompt else (math.nan, context)
        points = points_of(self._space, b, p, math.nan).at(self._index, step)
        return added_rows(self.rows, points, bands)

    def begins(self, frame: Frame) -> Any:
        """Return the context each loop begins with."""
        return frame.prompt if self._after_prompt else np.zeros([1] * frame.prompt.ndim)

    def between(self, low: float, high: float) -> Any:
        """Return the ends of parts from the one that holds ``low`` to the one before ``high``."""
        first, last = np.searchsorted(self._ends, (low, high))
        return self._ends[first : max(last, first + 1)]


def _begun(segment: Segment) -> tuple[bool, int]:
    """Return whether the context begins at the prompt, and how far from it or from nothing.

    Raises:
        NotCompiledError: it grows otherwise than by one a step, or another size does.
    """
    index, start = segment.index, segment.bind.get(P)
    grows = [s for s, value in segment.bind.items() if s != P and value.has(index)]
    if start is None or grows:
        raise NotCompiledError("a size that grows along the loop is not the context")
    for after_prompt in (True, False):
        rest = start - index - (prompt if after_prompt else 0)
        others = [v for s, v in segment.bind.items() if s != P] if after_prompt else []
        if rest.is_Integer and not any(v.has(prompt) for v in others):
            return after_prompt, int(rest)
    raise NotCompiledError("a context that does not grow by one a step is stepped")


def _turns(segment: Segment, space: Space) -> set[int]:
    """Return the contexts of the last steps before a window or a budget bends.

    A stretch is cut on both sides of the step in which a ``least`` turns, as ``sums.pieces`` does.
    """
    assert segment.table is not None
    assert segment.rows is not None
    every: list[Terms] = [segment.rows.terms(s) for s in range(len(segment.table.tape.quantities))]
    turns: set[int] = set()
    for slot in dict(kinks_of(space, segment.index, [every])) if segment.index else ():
        at = _root(space, difference(space, slot), segment)
        turns |= {math.floor(at) - 1, math.floor(at)}
    return turns


def _root(space: Space, terms: Terms, segment: Segment) -> float:
    """Return the context at which a difference is nothing.

    Raises:
        NotCompiledError: it depends on anything else.
    """
    by = {space.atoms[m[0][0]].symbol: c for m, c in terms.items() if len(m) == 1 and m[0][1] == 1}
    plain = all(m == ONE or len(m) == 1 for m in terms)
    slope = by.get(segment.index)
    others = {symbol: c for symbol, c in by.items() if symbol != segment.index}
    if not plain or slope is None or others not in ({}, {prompt: slope}):
        raise NotCompiledError("a window that depends on more than the context is stepped")
    return float(-terms.get(ONE, 0) / slope)


class LoopSums:
    """Sums over the loops of some scenarios, from tables over their batches and contexts.

    From the context ``x`` a loop starts with to the one ``y`` it ends with, the parts between
    are a difference of running sums; what is left at both ends depends on one context each:
    ``Σ = head(batch, x) + tail(batch, y)``, but where both are in one part.

    Args:
        loop: whose steps are summed.
        frame: the scenarios, all of them.
        bands: whether half-widths count.
        whole: trips of each.
    """

    def __init__(self, loop: LoopRows, frame: Frame, bands: bool, whole: Operand) -> None:
        self._loop, self._bands, self._frame = loop, bands, frame
        first = loop.begins(frame)
        last = first + np.maximum(whole - 1.0, 0.0)
        self._ends = loop.between(float(first.min()), float(last.max()))
        sizes, _ = frame.batches
        at = tabulated(self._step, sizes, self._ends).parts
        after = tabulated(self._step, sizes, self._ends + 1).parts
        length = np.diff(self._ends)[:, None]
        self._at, self._after = at, after
        self._before = {
            key: _running((after[key][:-1] + values[1:]) / 2 * length) for key, values in at.items()
        }
        contexts, self._which = distinct(last)
        begun, self._begun = distinct(first)
        worth = is_worth(sizes.size, begun.size, frame.size)
        self._starts = tabulated(self._step, sizes, begun) if worth else None
        self._tails: tuple[Table, Table] | None = None
        if is_worth(sizes.size, contexts.size, frame.size):
            ends = tabulated(self._step, sizes, contexts)
            leave = np.searchsorted(self._ends, contexts)[:, None]
            which = np.arange(sizes.size)
            self._tails = ends, Table(self._tail(ends.parts, which, leave, contexts[:, None]))

    def over(self, part: Part, where: tuple[slice, ...], steps: Operand) -> Parts:
        """Return the sums from each prompt over ``steps`` steps; nothing where that is none.

        Args:
            part: some of the scenarios.
            where: a stretch along each of their axes.
            steps: trips of the loop.
        """
        first = self._loop.begins(part.frame)
        last = first + np.maximum(steps - 1.0, 0.0)
        enter, leave = np.searchsorted(self._ends, first), np.searchsorted(self._ends, last)
        if self._starts is None:
            starts = self._step(part.frame.batch, first)
        else:
            starts = self._starts.at(part.batches, stretch(self._begun, where))
        heads = self._head(starts, part.batches, enter, first)
        same = enter == leave
        if self._tails is None:
            ends = self._step(part.frame.batch, last)
            tails = self._tail(ends, part.batches, leave, last)
        else:
            which = stretch(self._which, where)
            ends = self._tails[0].at(part.batches, which) if same.any() else {}
            tails = self._tails[1].at(part.batches, which)
        found = {key: tail + heads[key] for key, tail in tails.items()}
        if same.any():
            n = last - first + 1.0
            found = {
                key: np.where(same, (starts[key] + ends[key]) / 2 * n, value)
                for key, value in found.items()
            }
        some = steps > 0
        return found if np.all(some) else mapped(found, lambda value: np.where(some, value, 0.0))

    def one(self, part: Part, step: Any) -> Parts:
        """Return the rows of one step of each loop."""
        return self._step(part.frame.batch, self._loop.begins(part.frame) + step)

    def _step(self, b: Operand, context: Operand) -> Parts:
        return self._loop.at(b, context, self._bands)

    def _head(self, starts: Parts, which: Any, enter: Any, first: Any) -> Parts:
        """Return the part a loop starts in, from its start on, less all that is before its end."""
        inside = np.minimum(enter, self._ends.size - 1)
        left = self._ends[inside] - first + 1.0
        return {
            key: (start + self._at[key][inside, which]) / 2 * left
            - self._before[key][inside, which]
            for key, start in starts.items()
        }

    def _tail(self, ends: Parts, which: Any, leave: Any, last: Any) -> Parts:
        """Return all that is before the part a loop ends in, and that part up to its end."""
        before = np.maximum(leave - 1, 0)
        left = last - self._ends[before]
        return {
            key: (self._after[key][before, which] + end) / 2 * left
            + self._before[key][before, which]
            for key, end in ends.items()
        }


def _running(lengths: Any) -> Any:
    """Return what comes before each of some parts, and before what follows the last."""
    return np.concatenate([np.zeros((1, lengths.shape[1])), np.cumsum(lengths, axis=0)])
