"""Sums of maxima: the time of rows, each as long as its slowest resource, at arrays of points."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from mansard.backends.engine.lowered import NotCompiledError
from mansard.backends.engine.points import Array, Operand, Points, Stack
from mansard.backends.engine.polynomials import add, dominates
from mansard.backends.quantity import Terms

AFFINE = 1e-12
"""Relative difference that is rounding, not curvature."""
Row = Sequence[Terms]
"""The seconds each resource needs, all occurrences of the row."""


class Greatest:
    """``Σ max(…)`` over rows of polynomials.

    A resource that another dominates coefficient by coefficient is dropped; rows of which one
    resource is left are added to a single polynomial.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        alone: list[Terms] = []
        grouped: dict[int, list[list[Terms]]] = {}
        for row in rows:
            left = undominated(row)
            if len(left) == 1:
                alone += left
            elif left:
                grouped.setdefault(len(left), []).append(left)
        stacked = [add(alone)]
        self._groups: list[tuple[int, int]] = []  # (resources, rows)
        for resources, members in grouped.items():
            self._groups.append((resources, len(members)))
            stacked += [row[k] for k in range(resources) for row in members]
        self._stack = Stack(stacked)
        self.empty = not alone and not grouped

    def at(self, points: Points) -> Array:
        """Return the sum at every point."""
        values = self._stack.at(points)
        total: Array = values[0]
        for group in self._split(values):
            total = total + _largest(group).sum(axis=0)
        return total

    def over(self, first: Points, last: Points, steps: Operand) -> Array:
        """Return the sum over ``steps`` steps, along which every polynomial is affine."""
        start, end = self._stack.at(first), self._stack.at(last)
        total: Array = (start[0] + end[0]) / 2 * steps
        for a, b in zip(self._split(start), self._split(end), strict=True):
            total = total + _summed(a, b, steps).sum(axis=0)
        return total

    def check_affine(self, first: Points, middle: Points, last: Points, where: Operand) -> None:
        """Raise unless the value in the middle of every stretch is the mean of its ends.

        Raises:
            NotCompiledError: products of the step do not cancel.
        """
        ends = (self._stack.at(first) + self._stack.at(last)) / 2
        here = self._stack.at(middle)
        if np.any((abs(here - ends) > AFFINE * abs(ends)) & where):
            raise NotCompiledError("a cost that is not affine in the step is stepped")

    def _split(self, values: Array) -> list[Any]:
        found, at = [], 1
        for resources, rows in self._groups:
            after = at + resources * rows
            found.append(values[at:after].reshape(resources, rows, -1))
            at = after
        return found


def undominated(row: Row) -> list[Terms]:
    """Return the polynomials that no other of the row is always at least as great as."""
    kept: list[Terms] = []
    for terms in row:
        if any(dominates(other, terms) for other in kept):
            continue
        kept = [other for other in kept if not dominates(terms, other)]
        kept.append(terms)
    return kept


def _largest(group: Any) -> Any:
    return np.maximum(group[0], group[1]) if len(group) == 2 else np.maximum.reduce(group)


def _summed(start: Any, end: Any, steps: Operand) -> Any:
    """Sum over steps the greatest of affine functions, (resources, rows, points) at both ends."""
    total = _largest((start + end) / 2) * steps
    differs = np.zeros(total.shape, dtype=bool)
    for k in range(len(start)):
        for j in range(k):
            differs |= (start[k] - start[j]) * (end[k] - end[j]) < 0
    if differs.any():
        n = np.broadcast_to(steps, total.shape)[differs]
        total[differs] = greatest_sum(start[:, differs], end[:, differs], n)
    return total


def greatest_sum(starts: Any, ends: Any, steps: Any) -> Any:
    """Sum over ``steps`` steps, point by point, the greatest of affine functions.

    Args:
        starts: each function at the first step, (functions, points).
        ends: each at the last.
        steps: how many; where it is not positive the sum is 0.

    >>> one = np.ones(1)    # max(1 + k, 3) for k = 0 … 4
    >>> float(greatest_sum([one, 3 * one], [5 * one, 3 * one], 5 * one)[0])
    18.0
    """
    steps = np.maximum(steps, 0.0)
    cuts = [np.zeros_like(steps), steps]
    for k in range(len(starts)):
        for j in range(k):
            cuts.append(crossing(starts[k] - starts[j], ends[k] - ends[j], steps))
    edges = np.sort(np.array(cuts), axis=0)
    last = np.maximum(steps - 1, 1)
    total = np.zeros_like(steps)
    for low, after in pairwise(edges):
        share = (low + after - 1) / 2 / last
        values = [s + (e - s) * share for s, e in zip(starts, ends, strict=True)]
        total = total + np.maximum.reduce(values) * (after - low)
    return total


def crossing(before: Any, after: Any, steps: Any) -> Any:
    """Return the step from which an affine function has changed its sign; 0 when it never does."""
    changes = before * after < 0
    fall = np.where(changes, before - after, 1.0)
    at = np.floor((steps - 1) * before / fall) + 1
    return np.where(changes, np.clip(at, 0, steps), 0.0)
