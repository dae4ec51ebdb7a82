"""Calibrated figures of every combination of sizes, in the blocks of the bound's grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mansard.backends.calibrated.bands import BANDS
from mansard.backends.calibrated.columns import Frame
from mansard.backends.engine.arrays import Block
from mansard.backends.engine.figures import TIMES
from mansard.backends.engine.lowered import NotCompiledError
from mansard.backends.engine.points import Operand

if TYPE_CHECKING:
    from mansard.backends.calibrated.compiled import CalibratedCompiled


class CalibratedGrid:
    """Every combination of values of axes, in the blocks in which the bound is evaluated.

    Args:
        engine: of the figures.
        bound: a grid of the bound over the same axes.
        axes: batch, prompt and output, the one that varies most slowly first.
        names: of the figures.
    """

    def __init__(
        self, engine: CalibratedCompiled, bound: Any, axes: Mapping[str, Sequence[float]],
        names: Sequence[str],
    ) -> None:  # fmt: skip
        self._engine, self._bound, self._names = engine, bound, tuple(names)
        self._axes = {name: np.asarray(v, dtype=float) for name, v in axes.items()}
        self._mine = [n for n in names if n in TIMES or n in BANDS]

    def blocks(self) -> Iterator[Block]:
        """Yield the results block by block."""
        whole = self._frame()
        try:
            part = self._engine.over(whole, self._mine) if self._mine else None
        except NotCompiledError:
            part = None
        for block in self._bound.blocks():
            values = self._engine.of_bound(self._names, given(block.values))
            if self._mine:
                values |= self._times(block, whole, part)
            yield Block(block.start, block.shape, values)

    def _frame(self) -> Frame:
        """Return the axes, each along a dimension of its own; those of one value along none."""
        varying = [name for name, values in self._axes.items() if values.size > 1]
        columns = {
            name: values.reshape([values.size if name == v else 1 for v in varying] or [1])
            for name, values in self._axes.items()
        }
        return Frame(columns["batch"], columns["prompt"], columns["output"])

    def _times(self, block: Block, whole: Frame, part: Any) -> Mapping[str, Operand]:
        where = tuple(slice(s, s + n) for s, n in zip(block.start, block.shape, strict=True))
        where = where or (slice(None),)
        if part is not None:
            try:
                return {name: shaped(v, block.shape) for name, v in part(where).items()}
            except NotCompiledError:
                pass
        some = whole.part(where).frame
        full = np.broadcast_arrays(some.batch, some.prompt, some.output)
        listed = self._engine.listed(Frame(*(a.ravel() for a in full)), self._mine)
        return {name: v.reshape(block.shape) for name, v in listed.items()}


def given(values: Mapping[str, Any]) -> Callable[[tuple[str, ...]], Mapping[str, Any]]:
    """Return what picks figures that are known by their names."""
    return lambda asked: {name: values[name] for name in asked}


def shaped(values: Operand, shape: tuple[int, ...]) -> Operand:
    """Return values that broadcast to a shape, those of a single point without one."""
    return values if shape else np.asarray(values).reshape(())
