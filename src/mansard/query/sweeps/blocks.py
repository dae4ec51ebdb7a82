"""Points of one case, evaluated in blocks, and their numbers among all combinations."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mansard.query.sweeps.cases import LISTED, Layout, parameter
from mansard.query.sweeps.programs import figures_at
from mansard.query.sweeps.reduce import Numbers

if TYPE_CHECKING:
    from mansard.backends.engine.arrays import Block
    from mansard.backends.engine.straight import Straight
    from mansard.query.sweeps.programs import Engine


FAST = 100_000_000
"""Points of a program for which compiling loops is worth it, where numba is installed."""
STEPS = 256
Span = Mapping[str, tuple[int, int]]


@dataclass
class Numbering:
    """Numbers of the points of a block: the last axis of the user's varies fastest."""

    layout: Layout
    number: int
    span: Span
    block: Block
    held: Numbers | None = None

    def __call__(self, local: Numbers) -> Numbers:
        """Return the numbers of points, given by their places within the block."""
        if self.held is not None:
            local = self.held[local]
        order = _order(self.layout, self.span)
        indices = np.unravel_index(local, self.block.shape) if order else ()
        at = {
            name: index + start + self.span[name][0]
            for name, index, start in zip(order, indices, self.block.start, strict=True)
        }
        case = self.layout.case_at(self.number)
        found: Numbers = np.zeros(local.size, dtype=np.int64)
        for axis in self.layout.axes:
            place = case[axis.name] if axis.name in case else at.get(axis.name, 0)
            found = found * len(axis.values) + place
        return found


def _order(layout: Layout, span: Span) -> list[str]:
    """Return what varies within a span, the longest last: it is the innermost loop."""
    lengths = {a.name: span[a.name][1] - span[a.name][0] for a in layout.inner}
    return sorted((name for name, n in lengths.items() if n > 1), key=lambda name: lengths[name])


def blocks(
    layout: Layout, span: Span, engine: Engine, names: Sequence[str], how: str
) -> Iterator[Block]:
    """Evaluate a span with one engine."""
    axes = layout.grid()
    for axis in layout.inner:
        low, high = span[axis.name]
        axes[parameter(axis)] = axes[parameter(axis)][low:high]
    varying = ["prompt" if n == "context" else n for n in _order(layout, span)]
    ordered = {
        **{k: v for k, v in axes.items() if k not in varying},
        **{k: axes[k] for k in varying},
    }
    count = math.prod(len(v) for v in axes.values())
    if how != "numba" and count < LISTED and (line := _steps_of(engine)) is not None:
        yield _listed(line, {k: axes[k] for k in varying}, axes, names)
        return
    fast = how == "numba" or (how == "auto" and count >= FAST and _has_numba())
    grid = engine.grid(ordered, names, fast=fast)
    if grid is not None:
        yield from grid.blocks()
        return
    yield from _stepped(engine, {k: axes[k] for k in varying}, axes, names)


def _steps_of(engine: object) -> Straight | None:
    """Return the steps of an engine that hold for sizes in any range."""
    steps = getattr(engine, "line", None)
    return None if steps is None else steps()


def _listed(
    line: Straight, varying: Mapping[str, Sequence[float]], axes: Mapping[str, Sequence[float]],
    names: Sequence[str],
) -> Block:  # fmt: skip
    """Evaluate a grid as one list of points, as a table from disk can be, to the last digit."""
    from mansard.backends.engine.arrays import Block, Columns

    columns: dict[str, Any] = {k: v[0] for k, v in axes.items()}
    shape = tuple(len(v) for v in varying.values())
    values = (np.asarray(v, dtype=float) for v in varying.values())
    columns |= zip(varying, (a.ravel() for a in np.meshgrid(*values, indexing="ij")), strict=True)
    found = Columns(line, names).at(columns)
    return Block((0,) * len(shape), shape, {k: v.reshape(shape) for k, v in found.items()})


def _stepped(
    engine: Engine, varying: Mapping[str, Sequence[float]],
    axes: Mapping[str, Sequence[float]], names: Sequence[str],
) -> Iterator[Block]:  # fmt: skip
    """Evaluate a grid point by point, a row of the innermost axis at a time."""
    from mansard.backends.engine.arrays import Block

    lengths = [len(v) for v in varying.values()]
    for start in np.ndindex(*lengths[:-1]) if lengths else [()]:
        inner = list(varying.values())[-1] if lengths else (0,)
        for low in range(0, len(inner), STEPS):
            part = inner[low : low + STEPS]
            columns: dict[str, Any] = {k: v[0] for k, v in axes.items()}
            for (name, values), k in zip(varying.items(), (*start, 0), strict=False):
                columns[name] = values[k]
            if lengths:
                columns[list(varying)[-1]] = np.array(part, dtype=float)
            found = figures_at(engine, columns, names)
            shape = (*(1 for _ in start), len(part)) if lengths else ()
            values_ = {k: v.reshape(shape) for k, v in found.items()}
            yield Block((*start, low) if lengths else (), shape, values_)


def _has_numba() -> bool:
    from importlib.util import find_spec

    return find_spec("numba") is not None
