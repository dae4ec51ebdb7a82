"""Service-level objectives: ``ttft<500ms,tpot<30ms``, checked at many batches at once."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from mansard.core.comparison import OPERATORS, Comparison, parse_comparison
from mansard.core.errors import SpecError, unknown_name
from mansard.core.symbols import Expr
from mansard.query.metrics import METRICS

PROMISED = ("ttft", "tpot", "tokens_per_s_per_user", "latency")
"""Metrics that a user of the service sees."""


@dataclass(frozen=True)
class Objective:
    """A condition on what a user sees, as it was written."""

    text: str
    comparison: Comparison

    def holds(self, figures: Mapping[str, np.ndarray]) -> np.ndarray:
        """Say at which points it holds; an unknown figure holds nowhere."""
        left, right = (_worth(s, figures) for s in (self.comparison.left, self.comparison.right))
        compare: Callable[[Any, Any], Any] = OPERATORS[self.comparison.op]
        with np.errstate(invalid="ignore"):
            return np.asarray(compare(left, right))


def read_objectives(text: str) -> tuple[Objective, ...]:
    """Read conditions separated by commas.

    Raises:
        MansardError: nothing to read, or what is no condition on a metric a user sees.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise SpecError("there is no objective", hint="write --slo 'ttft<1s,tpot<30ms'")
    names = {name: METRICS[name].dimension for name in METRICS}
    found = tuple(Objective(part, parse_comparison(part, names)) for part in parts)
    for objective in found:
        for name in sorted(objective.comparison.names - set(PROMISED)):
            raise unknown_name("metric a user of the service sees", name, PROMISED)
    return found


def _worth(side: Expr, figures: Mapping[str, np.ndarray]) -> Any:
    """Evaluate an expression over arrays."""
    if side.is_Symbol:
        return figures[side.name]
    if side.is_number:
        return float(side)
    values = [_worth(arg, figures) for arg in side.args]
    combine = {"Add": operator.add, "Mul": operator.mul, "Pow": operator.pow}
    if side.func.__name__ not in combine:
        raise SpecError(
            f"cannot evaluate {side}", hint="an objective is made of + - * / and numbers"
        )
    return reduce(combine[side.func.__name__], values)
