"""The last whole number at which something holds, for many workloads at once.

Every workload has a bracket: a value at which it holds and one at which it does not. A chord
between the two gives the next value to look at, which hits the edge at once where what is compared
is affine; the end that stays put counts half the next time, so that a bend does not hold the chord
up, and every third value halves the bracket by magnitude, so that no curve takes long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mansard.backends.engine.points import Array

Which: TypeAlias = NDArray[np.intp]
Excess: TypeAlias = Callable[[Array, Which], Array]
"""(values, of which workloads) → by how much it fails; at most zero where it holds."""
BLOCK = 8192
"""Workloads at once, whose numbers stay in the cache of one core."""
WIDE = 8.0
"""Ends so many times apart are halved by magnitude."""


def last_holding(excess: Excess, low: Array, high: Array) -> Array:
    """Return the last whole number at which each workload holds, ``low - 1`` where none does.

    Args:
        excess: holds up to some value and fails from the next on.
        low: the least value of each workload.
        high: the greatest; not below ``low``.

    >>> squares = np.array([9.0, 24.0, 25.0, 0.5])
    >>> last_holding(lambda x, k: x * x - squares[k], np.ones(4), np.full(4, 1e12)).tolist()
    [3.0, 4.0, 5.0, 0.0]
    """
    found = high.copy()
    for start in range(0, low.size, BLOCK):
        part = slice(start, start + BLOCK)
        which: Which = np.arange(start, min(start + BLOCK, low.size))
        _search(excess, which, low[part], high[part], found)
    return found


def _search(excess: Excess, which: Any, low: Array, high: Array, found: Array) -> None:
    """Write the edges of some workloads."""
    above = excess(high, which)
    a: Any
    open_ = above > 0
    which, a, b, fails = which[open_], low[open_], high[open_], above[open_]
    if not which.size:
        return
    holds: Any = excess(a, which)
    found[which] = np.where(holds > 0, a - 1, a)
    open_ = (holds <= 0) & (b - a > 1)
    which, a, b, holds, fails = (v[open_] for v in (which, a, b, holds, fails))
    round_ = 0
    while which.size:
        x = _between(a, b, holds, fails, halve=round_ % 3 == 2)
        here = excess(x, which)
        up = here <= 0
        holds, fails = np.where(up, here, holds / 2), np.where(up, fails / 2, here)
        a, b = np.where(up, x, a), np.where(up, b, x)
        open_ = b - a > 1
        if not open_.all():
            found[which[~open_]] = a[~open_]
            which, a, b, holds, fails = (v[open_] for v in (which, a, b, holds, fails))
        round_ += 1


def _between(a: Array, b: Array, holds: Array, fails: Array, *, halve: bool) -> Array:
    """Return a whole number between both ends for each workload."""
    if halve:
        x = np.where(b > WIDE * a, np.sqrt(a * b), (a + b) / 2)
    else:
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            x = a + (b - a) * (holds / (holds - fails))
        x = np.where(np.isfinite(x), x, (a + b) / 2)
    inside: Any = np.clip(np.floor(x), a + 1, b - 1)
    found: Array = inside
    return found
