"""By how much a condition fails, on arrays of workloads."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from mansard.backends.engine.arrays import Columns
from mansard.backends.engine.compiled import Compiled
from mansard.backends.engine.figures import FIGURES
from mansard.backends.engine.points import Array
from mansard.core.symbols import SCENARIO
from mansard.query.solving.allowed import ROUNDING, Search
from mansard.query.solving.conditions import Condition
from mansard.query.solving.edges import Which

MANY = 4096
"""Workloads that are worth steps made for their ranges."""


class Excess:
    """By how much a condition fails at values of the unknown, of some workloads.

    Quotients are cleared, so that what is affine is so here. Where both sides are equal but for
    rounding, floats of one point decide, as in ``solve``.

    Args:
        engine: gives figures at arrays.
        search: knows the unknown, and what does not depend on it.
        columns: sizes by name, one value a workload or one for all.
        condition: what is to hold.
        which: the workloads, by index.
    """

    def __init__(
        self, engine: Compiled, search: Search, columns: Mapping[str, Any], condition: Condition,
        which: Which,
    ) -> None:  # fmt: skip
        self.engine, self.search, self.condition = engine, search, condition
        self.unknown = search.unknown
        cleared = condition.cleared
        constants = search.constants
        names = {n for power in cleared for n, _ in power} - set(constants) - set(SCENARIO)
        self.names = tuple(n for n in FIGURES if n in names)
        sign = 1 if condition.op in ("<", "<=") else -1
        self.terms: list[tuple[float, tuple[tuple[str, int], ...]]] = []
        for power, c in cleared.items():
            number = Fraction(c) * sign
            for name, exponent in power:
                number *= constants[name] ** exponent if name in constants else 1
            rest = tuple((n, e) for n, e in power if n not in constants)
            self.terms.append((float(number), rest))
        self.columns: dict[str, Any] = {
            n: np.asarray(v, dtype=float)[which] if np.ndim(v) else float(v)
            for n, v in columns.items()
            if n != self.unknown.key
        }
        ranges = {n: (float(np.min(v)), float(np.max(v))) for n, v in self.columns.items()}
        ranges[self.unknown.key] = (float(self.unknown.low), float(self.unknown.high))
        line = engine.line(ranges if which.size >= MANY else None) if self.names else None
        self._line = None if line is None else Columns(line, self.names)

    def at(self, values: Array, which: Which) -> Array:
        """Return more than zero where it fails."""
        env = {n: v[which] if np.ndim(v) else v for n, v in self.columns.items()}
        env[self.unknown.key] = values
        known: dict[str, Any] = dict(env)
        if self._line is not None:
            known |= self._line.at(env)
        elif self.names:
            b, p, n = (env[name] for name in ("batch", "prompt", "output"))
            known |= self.engine.figures(b, p, n, self.names)
        total, scale = np.zeros(values.size), np.zeros(values.size)
        for number, power in self.terms:
            term: Any = number
            for name, exponent in power:
                term = term * (known[name] if exponent == 1 else known[name] ** exponent)
            total += term
            scale += np.abs(term)
        for k in np.flatnonzero(~(np.abs(total) > ROUNDING * scale)):
            least = scale[k] if 0 < scale[k] < np.inf else 1.0
            holds = self._holds({n: _one(v, int(k)) for n, v in env.items()})
            total[k] = -least if holds else least
        return total

    def failing(self, values: Array, which: Which) -> Array:
        """Return more than zero where it holds."""
        return -self.at(values, which)

    def _holds(self, at: Mapping[str, float]) -> bool:
        """Say of one point what ``solve`` says of it."""
        sizes = {n: np.array([v]) for n, v in at.items()}
        figures = self.search.at_sizes(self.condition, sizes)
        return bool(self.condition.holds(figures)[0])


def _one(value: Any, k: int) -> float:
    return float(value[k]) if np.ndim(value) else float(value)
