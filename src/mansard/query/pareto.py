"""Pareto fronts: the points that no other is at least as good as in all and better in one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def pareto(points: Array) -> NDArray[np.bool_]:
    """Return which points are on the front: less is better; points sorted lexicographically.

    Args:
        points: (metrics, points).
    """
    if len(points) == 1:
        return np.asarray(points[0] == points[0, 0])
    fresh = distinct(points)
    unique = points[:, fresh]
    kept = _two(unique) if len(points) == 2 else _many(unique)
    found: NDArray[np.bool_] = kept[np.cumsum(fresh) - 1]
    return found


def distinct(points: Array) -> NDArray[np.bool_]:
    """Return which of sorted points are the first of those that equal them."""
    fresh = np.ones(points.shape[1], dtype=bool)
    fresh[1:] = (points[:, 1:] != points[:, :-1]).any(axis=0)
    return fresh


def _two(points: Array) -> NDArray[np.bool_]:
    """Return the front of distinct sorted points in two metrics: where the second falls."""
    least = np.minimum.accumulate(points[1])
    kept = np.ones(points.shape[1], dtype=bool)
    kept[1:] = points[1, 1:] < least[:-1]
    return kept


def _many(points: Array) -> NDArray[np.bool_]:
    """Return the front of distinct sorted points: none is beaten by a later one."""
    left = np.arange(points.shape[1])
    kept = np.zeros(points.shape[1], dtype=bool)
    while left.size:
        first = left[0]
        kept[first] = True
        beaten = (points[:, left] >= points[:, first : first + 1]).all(axis=0)
        left = left[~beaten]
    return kept
