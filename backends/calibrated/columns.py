"""Scenarios side by side: the functions of forms on arrays, and arrays that broadcast."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mansard.backends.calibrated.form import SNAP
from mansard.backends.engine.points import Operand, Points
from mansard.backends.engine.polynomials import Space
from mansard.core.symbols import Symbol, batch, output, prompt

FEW = 64
"""Numbers that are raised to a power by one call; of more, two calls that are vectorised win."""

BLOCK = 16384
"""Numbers evaluated at once, so that temporaries stay in the cache of one core."""

LARGEST = 8_000_000
"""Entries of a table, at most."""

Parts: TypeAlias = Mapping[tuple[str, str], Operand]
"""What kernels add to: ``("time", "")``, ``("bound", "")``, and ``down`` and ``up`` by form."""


class Columns:
    """The functions forms use, on arrays."""

    log2 = staticmethod(np.log2)
    maximum = staticmethod(np.maximum)
    minimum = staticmethod(np.minimum)
    where = staticmethod(np.where)
    any = staticmethod(np.any)
    sqrt = staticmethod(np.sqrt)

    @staticmethod
    def ceil(values: Any) -> Any:
        """Round up."""
        return np.ceil(values * SNAP)

    @staticmethod
    def power(base: Any, exponent: Any) -> Any:
        """Raise numbers that are not negative: the exponential of a product of the logarithm."""
        if np.size(base) < FEW or np.ndim(exponent):
            return np.power(base, exponent)
        found = np.log(base)
        found *= exponent
        return np.exp(found, out=found)

    @staticmethod
    def knee(ratio: Any, sharp: Any) -> Any:
        """Return ``(1 + r^p)^(1/p)``."""
        power = Columns.power
        return power(1.0 + power(ratio, sharp), 1.0 / sharp)


COLUMNS: Any = Columns()


@dataclass(frozen=True)
class Frame:
    """Scenarios: batch, prompt and output as arrays that broadcast against each other.

    Args:
        batch, prompt, output: one value a point, or an axis of a grid each.
    """

    batch: NDArray[np.float64]
    prompt: NDArray[np.float64]
    output: NDArray[np.float64]

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Of the result."""
        return np.broadcast_shapes(self.batch.shape, self.prompt.shape, self.output.shape)

    @cached_property
    def size(self) -> int:
        """How many points."""
        return int(np.prod(self.shape))

    @cached_property
    def batches(self) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """The batches there are, and which of them each point has."""
        return distinct(self.batch)

    @cached_property
    def prompts(self) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """The prompts there are, and which of them each point has."""
        return distinct(self.prompt)

    def points(self, space: Space) -> Points:
        """Return the scenarios as a space's polynomials take them."""
        return points_of(space, self.batch, self.prompt, self.output)

    def part(self, where: tuple[slice, ...]) -> Part:
        """Return some of the points: a stretch along each of their axes."""
        axes = (self.batch, self.prompt, self.output, self.batches[1], self.prompts[1])
        b, p, n, of_b, of_p = (stretch(a, where) for a in axes)
        return Part(Frame(b, p, n), of_b, of_p)


def stretch(values: NDArray[Any], where: tuple[slice, ...]) -> NDArray[Any]:
    """Return some values along each axis that has several."""
    at = tuple(s if n > 1 else slice(None) for s, n in zip(where, values.shape, strict=True))
    found: NDArray[Any] = values[at]
    return found


@dataclass(frozen=True)
class Part:
    """Some points of a frame.

    Args:
        frame: they alone.
        batches, prompts: which of the whole frame's they have.
    """

    frame: Frame
    batches: NDArray[np.intp]
    prompts: NDArray[np.intp]

    def batches_of(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return, of one value a batch, that of every point."""
        return values.take(self.batches, mode="clip")

    def prompts_of(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return, of one value a prompt, that of every point."""
        return values.take(self.prompts, mode="clip")


@dataclass(frozen=True)
class Table:
    """A function of the batch and one more number, at every pair of some of them.

    Args:
        parts: each (numbers, batches).
    """

    parts: Parts

    def at(self, batches: NDArray[np.intp], numbers: NDArray[np.intp]) -> Parts:
        """Return the values at points, given by which batch and which number they have."""
        wide = [k for k, n in enumerate(batches.shape) if n > 1]
        if len(wide) == 1 and numbers.ndim > 1 and numbers.shape[wide[0]] == 1:
            axis, along = wide[0], batches.ravel()
            rows = np.squeeze(numbers, axis)
            low, high = int(along[0]), int(along[-1]) + 1
            if high - low == along.size:  # an axis of a grid: whole rows of the table
                return mapped(self.parts, lambda t: np.moveaxis(t[rows, low:high], -1, axis))
        return mapped(self.parts, lambda table: table[numbers, batches])


def tabulated(
    at: Callable[[Operand, Operand], Parts], batches: NDArray[np.float64],
    numbers: NDArray[np.float64],
) -> Table:  # fmt: skip
    """Return a function of batches and numbers at every pair, a stretch of numbers at a time."""
    shape, step = (numbers.size, batches.size), max(1, BLOCK // batches.size)
    made: dict[tuple[str, str], NDArray[np.float64]] = {}
    for low in range(0, numbers.size, step):
        some = numbers[low : low + step, None]
        for key, values in at(batches, some).items():
            made.setdefault(key, np.empty(shape))[low : low + step] = values
    return Table(made)


def is_worth(batches: int, numbers: int, points: int) -> bool:
    """Say whether a table of every pair is smaller than the points that are looked up in it."""
    return 2 * batches * numbers <= points and batches * numbers <= LARGEST


def points_of(space: Space, b: Operand, p: Operand, n: Operand) -> Points:
    """Return scenarios as a space's polynomials take them."""
    env: dict[Symbol, Operand] = {batch: b, prompt: p, output: n}
    return Points(space, env, 1)


def distinct(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the numbers there are, ascending, and which of them each is.

    Whole numbers of a narrow range are counted, which is ten times as fast as sorting.
    """
    low, high = float(values.min()), float(values.max())
    if high - low < values.size and (values == np.floor(values)).all():
        at = (values - low).astype(np.intp)
        seen = np.zeros(int(high - low) + 1, dtype=bool)
        seen[at.ravel()] = True
        found = np.flatnonzero(seen).astype(float) + low
        if found.size == seen.size:
            return found, at
        rank = np.cumsum(seen, dtype=np.intp) - 1
        return found, rank.take(at, mode="clip")
    found, which = np.unique(values, return_inverse=True)
    return found, which.reshape(values.shape)


def added(a: Parts, b: Parts) -> Parts:
    """Add part by part."""
    if not a or not b:
        return a or b
    return {**a, **{key: a[key] + value if key in a else value for key, value in b.items()}}


def mapped(parts: Parts, change: Callable[[Operand], Operand]) -> Parts:
    """Change every part alike."""
    return {key: change(value) for key, value in parts.items()}
