"""Rows along a loop over the context, whose times are known at knots that all scenarios share.

A loop's context begins at the prompt, or at nothing where a decoder attends to an encoder's memory.

Where a step's time depends on the batch and the context alone, a sweep needs it at the knots once
for every batch; what a scenario's own loop takes is looked up between them (``curves``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from mansard.backends.calibrated.columns import Frame, Parts, Table, points_of
from mansard.backends.calibrated.kernel_rows import KernelRow, added_rows
from mansard.backends.calibrated.knots import knots
from mansard.backends.calibrated.traced_rows import TracedRows
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
        known = {self._index: 0.0} if self._after_prompt else {}
        self._traced = TracedRows(rows if self._after_prompt else (), space, known)
        contexts = {*(k - offset for k in knots()), *_turns(segment, space)}
        self._nodes = np.array(sorted(k for k in contexts if k >= -offset), dtype=float)

    def at(self, b: Operand, context: Operand, bands: bool) -> Parts:
        """Return the rows of one step, at batches and contexts."""
        p, step = (context, 0.0) if self._after_prompt else (math.nan, context)
        points = points_of(self._space, b, p, math.nan).at(self._index, step)
        return added_rows(self.rows, points, bands)

    def table(self, batches: Any, contexts: Any, bands: bool) -> Table:
        """Return the rows of one step at every pair of some batches and contexts."""
        at = partial(self.at, bands=bands)
        return self._traced.tabulated(at, batches, contexts, bands)

    def begun(self, frame: Frame) -> Any:
        """Return the contexts that loops begin with, ascending."""
        return frame.prompts[0] if self._after_prompt else np.zeros(1)

    def begins(self, frame: Frame) -> Any:
        """Return the context each loop begins with."""
        return frame.prompt if self._after_prompt else np.zeros([1] * frame.prompt.ndim)

    def nodes(self, low: float, high: float) -> Any:
        """Return the contexts at which times are known, from below ``low`` to above ``high``."""
        first, last = np.searchsorted(self._nodes, (low, high), side="right")
        return self._nodes[max(first - 1, 0) : last + 1]


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
    """Return the contexts about which a window or a budget bends.

    A stretch is cut on both sides of the step in which a ``least`` turns, as ``sums.pieces`` does.
    """
    assert segment.table is not None
    assert segment.rows is not None
    every: list[Terms] = [segment.rows.terms(s) for s in range(len(segment.table.tape.quantities))]
    turns: set[int] = set()
    for slot in dict(kinks_of(space, segment.index, [every])) if segment.index else ():
        at = _root(space, difference(space, slot), segment)
        turns |= {math.floor(at) - 1, math.floor(at), math.floor(at) + 1}
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
