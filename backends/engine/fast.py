"""Grids as loops that numba compiles (the extra ``fast``)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mansard.backends.engine.arrays import BLOCK, Block, Grid, tile_of
from mansard.backends.engine.generated import compiled
from mansard.backends.engine.straight import Straight


class FastGrid:
    """A grid as loops that numba compiles, which takes seconds.

    Of several blocks the first is evaluated without: who interrupts the compiler has its points.

    Args:
        line: the steps, over the same axes in the same order.
        names: of the results.
        axes: symbol → its values.
        block: points of a block, about.
    """

    def __init__(
        self, line: Straight, names: Sequence[str], axes: Mapping[str, Sequence[float]],
        block: int = 8 * BLOCK,
    ) -> None:  # fmt: skip
        self._line, self._names = line, tuple(names)
        self._axes = [np.asarray(v, dtype=float) for v in axes.values()]
        self.shape = tuple(a.size for a in self._axes)
        self._tile = tile_of(self.shape, block)
        self._loops = compiled(line, names)

    @property
    def size(self) -> int:
        """How many points."""
        return math.prod(self.shape)

    def blocks(self) -> Iterator[Block]:
        """Yield the results block by block; arrays last until the next one is asked for."""
        several = self.size > math.prod(self._tile)
        if several:
            first = zip(self._line.axes, self._axes, self._tile, strict=True)
            yield from Grid(
                self._line, self._names, {n: a[:t].tolist() for n, a, t in first}
            ).blocks()
        yield from self._compiled(int(several))

    def _compiled(self, skip: int) -> Iterator[Block]:
        whole = [np.empty(math.prod(self._tile)) for _ in self._names]
        ranges = (range(0, n, t) for n, t in zip(self.shape, self._tile, strict=True))
        for start in itertools.islice(itertools.product(*ranges), skip, None):
            parts = [a[s : s + t] for a, s, t in zip(self._axes, start, self._tile, strict=True)]
            shape = tuple(p.size for p in parts)
            arrays = [b[: math.prod(shape)].reshape(shape) for b in whole]
            self._loops(*parts, *arrays)
            yield Block(start, shape, dict(zip(self._names, arrays, strict=True)))
