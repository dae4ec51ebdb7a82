"""Sums over loops from times at nodes: a running sum, and what a loop's two ends add to it.

Between two nodes ``x_i`` and ``x_{i+1}`` a step's time is a straight line, so the steps after
``x_i`` up to ``x_i + u`` add up to ``u·(a_i + u·b_i)``. A loop is the rest of the stretch it begins
in, the stretches between, and part of the one it ends in: two look-ups, whatever its length. Only
running sums that differ by a whole stretch are subtracted, so a short loop deep in a long context
is as exact as any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mansard.backends.calibrated.columns import Frame, Part, Parts
from mansard.backends.calibrated.loop_rows import LoopRows
from mansard.backends.engine.points import Operand

WIDE = 1 << 22
"""Contexts whose nodes are looked up in a table, at most."""


class Place(NamedTuple):
    """Contexts on a curve: which stretch, how far along it, and how long the stretch is."""

    which: Any
    along: Any
    length: Any


@dataclass(frozen=True)
class Curve:
    """A function of the batch and the context; each (batches × nodes), flat.

    Args:
        sums: of the steps up to each node.
        slope, bend: ``a`` and ``b`` of the sum along the stretch that begins there.
    """

    sums: NDArray[np.float64]
    slope: NDArray[np.float64]
    bend: NDArray[np.float64]

    def part(self, some: slice) -> Curve:
        """Return it at some of the batches."""
        return Curve(*(t[some] for t in (self.sums, self.slope, self.bend)))

    def between(self, begin: Place, end: Place, same: Any) -> Any:
        """Return the sum from one context to another, both included; the latter vary the most.

        Args:
            begin: of the loop.
            end: of it.
            same: where both are on one stretch.
        """
        a, b = _taken(self.slope, begin.which), _taken(self.bend, begin.which)
        before = begin.along - 1.0
        found = _taken(self.bend, end.which) * end.along
        found += _taken(self.slope, end.which)
        found *= end.along
        found += _taken(self.sums, end.which) - _taken(self.sums, begin.which + 1)
        found += (b * (begin.length + before) + a) * (begin.length - before)
        if same.any():
            inside = (b * (end.along + before) + a) * (end.along - before)
            np.copyto(found, inside, where=same)
        return found

    def one(self, at: Place) -> Any:
        """Return the time of one step."""
        bend = _taken(self.bend, at.which)
        return _taken(self.slope, at.which) - bend + 2.0 * bend * at.along


def _taken(table: NDArray[np.float64], at: Any) -> Any:
    return table.take(at, mode="clip")


def curve(nodes: Any, values: Any) -> Curve:
    """Return the straight lines through values at nodes.

    Args:
        nodes: contexts, ascending.
        values: at each, (nodes × batches).

    >>> line = curve(np.array([2.0, 4.0]), np.array([[10.0], [30.0]]))
    >>> three, four = (Place(np.array([0]), np.array([u]), 2.0) for u in (1.0, 2.0))
    >>> line.one(three), line.between(three, four, np.array([True]))
    (array([20.]), array([50.]))
    """
    length = np.diff(nodes)
    rise = np.diff(values, axis=0).T / length
    slope = values[:-1].T + rise / 2.0
    whole = length * (slope + length * (rise / 2.0))
    none = np.zeros((len(whole), 1))
    sums = np.concatenate([none, np.cumsum(whole, axis=1)], axis=1)
    along = (np.concatenate([t, none], axis=1) for t in (slope, rise / 2.0))
    return Curve(*(np.ascontiguousarray(t).ravel() for t in (sums, *along)))


class LoopSums:
    """Sums over the loops of some scenarios, from curves of their batches.

    Args:
        loop: whose steps are summed.
        frame: the scenarios, all of them.
        bands: whether half-widths count.
        most: trips of any, or more.
    """

    def __init__(self, loop: LoopRows, frame: Frame, bands: bool, most: float) -> None:
        self._loop = loop
        begins = loop.begun(frame)
        low, high = float(begins[0]), float(begins[-1]) + max(most, 0.0)
        nodes = loop.nodes(low, high)
        sizes, _ = frame.batches
        values = loop.table(sizes, nodes, bands).parts
        self._curves: Mapping[tuple[str, str], Curve] = {
            key: curve(nodes, value) for key, value in values.items()
        }
        whole_numbers = bool((begins == np.floor(begins)).all())
        few = whole_numbers and high - low < min(4 * frame.size + 64, WIDE)
        self._places = _Places(nodes, np.arange(low, high + 1.0) if few else None)
        self._width = nodes.size
        sides = zip(frame.batch.shape, frame.prompt.shape, frame.output.shape, strict=True)
        self._along = [k for k, (b, p, n) in enumerate(sides) if b == 1 or p > 1 or n > 1]
        self._last: tuple[Any, ...] = (None,)

    def over(self, part: Part, where: tuple[slice, ...], steps: Operand) -> Parts:
        """Return the sums from each prompt over ``steps`` steps; nothing where that is none.

        Args:
            part: some of the scenarios.
            where: a stretch along each of their axes.
            steps: trips of the loop.
        """
        loops = tuple(where[k] for k in self._along)
        if loops != self._last[0]:  # a grid comes back to its loops with the next batch
            first = self._loop.begins(part.frame)
            begin = self._places.of(first)
            end = self._places.of(first + np.maximum(steps - 1.0, 0.0))
            self._last = loops, begin, end, begin.which == end.which
        _, begin, end, same = self._last
        curves, (begin, end) = self._of_batches(part.batches, begin, end)
        found = {key: line.between(begin, end, same) for key, line in curves.items()}
        if np.all(steps > 0):
            return found
        return {key: np.where(steps > 0, value, 0.0) for key, value in found.items()}

    def one(self, part: Part, step: Any) -> Parts:
        """Return the rows of one step of each loop."""
        at = self._places.of(self._loop.begins(part.frame) + step)
        curves, (at,) = self._of_batches(part.batches, at)
        return {key: line.one(at) for key, line in curves.items()}

    def _of_batches(self, batches: Any, *at: Place) -> tuple[Mapping[Any, Curve], Sequence[Place]]:
        """Return curves, and where on them contexts lie at some batches."""
        if batches.size > 1:
            return self._curves, [a._replace(which=batches * self._width + a.which) for a in at]
        low = int(batches.flat[0]) * self._width
        some = slice(low, low + self._width)
        return {key: line.part(some) for key, line in self._curves.items()}, at


class _Places:
    """Between which nodes contexts lie.

    Args:
        nodes: ascending.
        every: all contexts there may be, one after the other; None where they are too many.
    """

    def __init__(self, nodes: Any, every: Any) -> None:
        self._nodes, self._length, self._every = nodes, np.diff(nodes), every
        if every is not None:
            self._which = np.searchsorted(nodes, every, side="right") - 1

    def of(self, contexts: Any) -> Place:
        """Return where contexts lie: after the last node that is not beyond them."""
        if self._every is not None:
            at = (contexts - self._every[0]).astype(np.intp)
            which = self._which.take(at, mode="clip")
            along = contexts - self._nodes.take(which, mode="clip")
            return Place(which, along, self._length.take(which, mode="clip"))
        which = np.searchsorted(self._nodes, contexts, side="right") - 1
        return Place(which, contexts - self._nodes[which], self._length[which])
