"""Straight-line programs over arrays: lists of points, and grids whose invariant parts are hoisted.

Steps are run in blocks whose temporaries stay in the cache of one core, in buffers that are used
again as soon as nothing needs what they hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mansard.backends.engine.straight import Straight
from mansard.core.records import dataclass

if TYPE_CHECKING:
    from mansard.backends.engine.points import Array, Operand

BLOCK = 32768
"""Points of a grid evaluated at once."""
LISTED = 16384
"""Points of a list evaluated at once: every step has a buffer as large."""


def _where(condition: Any, a: Any, b: Any, out: Any = None) -> Any:
    if out is None:
        return np.where(condition, a, b)
    np.copyto(out, b)
    np.copyto(out, a, where=condition)
    return out


def _power(a: Any, n: Any, out: Any = None) -> Any:
    """Return a power; of one positive number by an exponential, within 745·2^-52, and sooner."""
    if np.ndim(a) or not a > 0:
        return np.power(a, n, out=out)
    return np.exp(np.multiply(n, math.log(a), out=out), out=out)


UFUNCS: dict[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "max": np.maximum,
    "min": np.minimum, "floor": np.floor, "power": _power, "where": _where, "less": np.less,
    "and": np.logical_and,
}  # fmt: skip
_BOOLEAN = frozenset({"less", "and"})


@dataclass(frozen=True)
class _Do:
    """One step of a plan: what to do with which values, into which buffer (-1: a new array)."""

    step: int
    function: Callable[..., Any]
    args: tuple[int, ...]
    buffer: int


class Plan:
    """The steps some results need, with a buffer for each that is as large as a block.

    Args:
        line: the steps.
        names: of the results.
        full: the axes along which a block has several points; steps of the innermost loop that
            depend on all of them get a buffer.
    """

    def __init__(self, line: Straight, names: Sequence[str], full: int) -> None:
        self.line, self.names = line, tuple(names)
        self.constants: dict[int, Any] = {}
        self.symbols: dict[int, str] = {}
        self.levels: dict[int, list[_Do]] = {}
        self._assign(line.needed(names), full)

    def _assign(self, needed: list[int], full: int) -> None:
        line = self.line
        last = {a: k for k in needed for a in line.steps[k].args}
        last |= dict.fromkeys((line.shown[name] for name in self.names), len(line.steps))
        held: dict[int, int] = {}
        free: list[int] = []
        self.buffers = 0
        for k in needed:
            step = line.steps[k]
            if step.op == "constant":
                value: Any = step.value
                self.constants[k] = value if isinstance(value, bool) else float(value)
                continue
            if step.op == "symbol":
                self.symbols[k] = str(step.value)
                continue
            buffer = -1
            inner = line.masks[k] & 1 and line.masks[k] & full == full
            if inner and step.op not in _BOOLEAN:
                if not free:
                    free.append(self.buffers)
                    self.buffers += 1
                buffer = held[k] = free.pop()
            for a in set(step.args):
                if last[a] == k and a in held:
                    free.append(held[a])
            level = (line.masks[k] & -line.masks[k]).bit_length() - 1
            do = _Do(k, UFUNCS[step.op], step.args, buffer)
            self.levels.setdefault(level, []).append(do)


def run(todo: Sequence[_Do], values: dict[int, Any], buffers: Sequence[Any]) -> None:
    """Compute steps from the values of earlier ones."""
    for do in todo:
        args = [values[a] for a in do.args]
        if do.buffer < 0:
            values[do.step] = do.function(*args)
        else:
            values[do.step] = do.function(*args, out=buffers[do.buffer])


class Columns:
    """A plan for lists of points: every symbol an array of one length, or a number."""

    def __init__(self, line: Straight, names: Sequence[str]) -> None:
        self._plans: dict[int, Plan] = {}
        self._line, self._names = line, tuple(names)

    def at(self, env: Mapping[str, Operand]) -> dict[str, Array]:
        """Return results at points.

        Args:
            env: symbol → one value a point, or one for all.
        """
        sizes = {np.size(v) for v in env.values()} - {1}
        count = sizes.pop() if sizes else 1
        if sizes:
            raise ValueError("the columns differ in length")
        columns = {k: np.asarray(v, dtype=float).reshape(-1) for k, v in env.items()}
        found = {name: np.empty(count) for name in self._names}
        plan = self._plan(columns)
        size = min(LISTED, count)
        buffers = [np.empty(size) for _ in range(plan.buffers)]
        todo = [do for level in sorted(plan.levels, reverse=True) for do in plan.levels[level]]
        todo.sort(key=lambda do: do.step)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for low in range(0, count, size):
                part = min(size, count - low)
                values: dict[int, Any] = dict(plan.constants)
                for k, name in plan.symbols.items():
                    column = columns[name]
                    values[k] = float(column[0]) if column.size == 1 else column[low : low + part]
                run(todo, values, [b[:part] for b in buffers])
                for name in self._names:
                    found[name][low : low + part] = values[self._line.shown[name]]
        return found

    def _plan(self, columns: Mapping[str, Array]) -> Plan:
        varying = sum(1 << at for at, name in enumerate(self._line.axes) if columns[name].size > 1)
        if varying not in self._plans:
            self._plans[varying] = Plan(_flattened(self._line, varying), self._names, 1)
        return self._plans[varying]


def _flattened(line: Straight, varying: int) -> Straight:
    """Return the same steps with all that varies on one axis."""
    flat = Straight(line.axes)
    flat.steps, flat.shown = line.steps, line.shown
    flat.masks = [1 if mask & varying else 0 for mask in line.masks]
    return flat


@dataclass(frozen=True)
class Block:
    """Part of a grid; arrays broadcast to ``shape`` and last until the next block is asked for.

    Args:
        start: where it begins, an index an axis.
        shape: points along each axis.
        values: of the results.
    """

    start: tuple[int, ...]
    shape: tuple[int, ...]
    values: Mapping[str, Operand]


class Grid:
    """Every combination of values of axes, block by block.

    Args:
        line: the steps, over the same axes in the same order.
        names: of the results.
        axes: symbol → its values.
        block: points of a block, about.
    """

    def __init__(
        self, line: Straight, names: Sequence[str], axes: Mapping[str, Sequence[float]],
        block: int = BLOCK,
    ) -> None:  # fmt: skip
        if tuple(axes) != line.axes:
            raise ValueError(f"axes {tuple(axes)} of a program over {line.axes}")
        self._line, self._names = line, tuple(names)
        self._axes = [np.asarray(v, dtype=float) for v in axes.values()]
        self.shape = tuple(a.size for a in self._axes)
        self._tile = tile_of(self.shape, block)
        full = sum(1 << k for k, n in enumerate(self._tile) if n > 1)
        self._plan = Plan(line, names, full)
        self._buffers = [np.empty(math.prod(self._tile)) for _ in range(self._plan.buffers)]

    @property
    def size(self) -> int:
        """How many points."""
        return math.prod(self.shape)

    def blocks(self) -> Iterator[Block]:
        """Yield the results block by block."""
        values: dict[int, Any] = dict(self._plan.constants)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            run(self._plan.levels.get(-1, ()), values, ())
            yield from self._walk(len(self.shape) - 1, values, (), ())

    def _walk(
        self, axis: int, values: dict[int, Any], start: tuple[int, ...], shape: tuple[int, ...]
    ) -> Iterator[Block]:
        """Loop over the chunks of an axis, the last axis outermost."""
        if axis < 0:
            shown = {name: values[self._line.shown[name]] for name in self._names}
            yield Block(start, shape, shown)
            return
        column, name = self._axes[axis], self._line.axes[axis]
        for low in range(0, column.size, self._tile[axis]):
            part = column[low : low + self._tile[axis]]
            whole = (part.size, *shape)
            for k, symbol in self._plan.symbols.items():
                if symbol == name:
                    values[k] = part.reshape(-1, *[1] * (len(self.shape) - 1 - axis))
            buffers: list[Any] = []
            if axis == 0:
                size = math.prod(whole)
                buffers = [b[:size].reshape(whole) for b in self._buffers]
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                run(self._plan.levels.get(axis, ()), values, buffers)
            yield from self._walk(axis - 1, values, (low, *start), whole)


def tile_of(shape: Sequence[int], block: int) -> tuple[int, ...]:
    """Return points of a block along each axis: the last axis whole first."""
    tile: list[int] = []
    for n in reversed(shape):
        tile.insert(0, max(1, min(n, block)))
        block = max(1, block // tile[0])
    return tuple(tile)
