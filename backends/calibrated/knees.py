"""Functions of forms that arrays look up: rounded knees, and powers of whole numbers.

A logarithm and an exponential take ten times as long as a multiplication, so a knee
``(1 + r^p)^(1/p)`` is a polynomial on each of a few thousand cells of its ratio. A cell is found by
the leading bits of the ratio; it is narrow enough that what is left out is below ``ERROR``.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

ERROR = 1e-13
"""Of a knee looked up, relative; tests hold every sharpness to it."""
POINT = 1e-13
"""Width of ratios, relative, under which they are one: the knee is never steeper than the ratio."""

DEGREE = 3
CELLS = 64
"""Cells an octave over its sharpness; a sharper knee has more, but spans fewer octaves."""

SMALL = 1e-17
"""A power below which a knee is 1."""


@lru_cache(maxsize=64)
def _table(sharp: float) -> tuple[Any, int, int, int]:
    """Return coefficients by cell, bits to drop, the first cell, and the mask of what is left."""
    bits = math.ceil(math.log2(CELLS * max(sharp, 3.0)))
    drop = 52 - bits
    low = 2.0 ** math.floor(math.log2(SMALL) / sharp)
    first = int(np.float64(low).view(np.int64)) >> drop
    last = int(np.float64(1.0).view(np.int64)) >> drop
    begins = (np.arange(first, last + 2, dtype=np.int64) << drop).view(np.float64)
    nodes = (1.0 - np.cos((2 * np.arange(DEGREE + 1) + 1) * np.pi / (2 * DEGREE + 2))) / 2.0
    ratio = begins[:-1] + nodes[:, None] * np.diff(begins)
    values = np.exp(np.log1p(np.exp(sharp * np.log(ratio))) / sharp)
    found = np.linalg.solve(np.vander(nodes, increasing=True), values)
    scale = 2.0 ** (-drop * np.arange(DEGREE + 1))
    return found * scale[:, None], drop, first, (1 << drop) - 1


def knee(ratio: Any, sharp: float) -> Any:
    """Return ``(1 + r^p)^(1/p)`` of an array of ratios between 0 and 1.

    >>> knee(np.array([0.0, 1.0]), 3.0).round(12).tolist() == [1.0, round(2 ** (1 / 3), 12)]
    True
    """
    if sharp == 1.0:
        return 1.0 + ratio
    if sharp == 2.0:
        return np.sqrt(1.0 + ratio * ratio)
    table, drop, first, mask = _table(sharp)
    as_bits = np.ascontiguousarray(ratio).view(np.int64)
    cell = as_bits >> drop
    cell -= first
    along = (as_bits & mask).astype(np.float64)
    found = table[DEGREE].take(cell, mode="clip")
    for row in table[DEGREE - 1 :: -1]:
        found *= along
        found += row.take(cell, mode="clip")
    return found


@lru_cache(maxsize=64)
def _powers(exponent: float, count: int) -> Any:
    return np.concatenate([[0.0], np.power(np.arange(1.0, count), exponent)])


def whole_power(base: Any, exponent: float, largest: float) -> Any:
    """Raise whole numbers, none of which is above ``largest``."""
    count = 1 << (int(largest) + 1).bit_length()
    return _powers(exponent, count).take(base.astype(np.intp), mode="clip")


@lru_cache(maxsize=4096)
def polynomial_of(sharp: float, low: float, high: float) -> tuple[float, ...] | None:
    """Return coefficients of a knee along narrow ratios, the constant first; None along others.

    >>> polynomial_of(3.0, 0.0, 1e-6)
    (1.0,)
    >>> polynomial_of(3.0, 0.1, 0.9) is None
    True
    >>> [f"{c:.3f}" for c in polynomial_of(1.0, 0.5, 0.5)]
    ['1.500']
    """
    if high > 1.0 or low < 0.0:
        return None
    if high - low < POINT * high:  # no line goes through one point alone
        return (float((1.0 + low**sharp) ** (1.0 / sharp)),)
    ratio = np.linspace(low, high, 257)
    values = (1.0 + ratio**sharp) ** (1.0 / sharp)
    if high**sharp < ERROR / 100:
        return (1.0,)
    if high - low < ERROR * high:
        return (float(values[0]),)
    for degree in (1, 2, 3, 4):
        middle = np.polynomial.Polynomial.fit(ratio, values, degree).convert()
        if np.abs(middle(ratio) / values - 1.0).max() < ERROR / 3:
            return tuple(middle.coef.tolist())
    return None
