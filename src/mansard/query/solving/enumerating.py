"""Where a constraint holds of which nothing is certain: every whole number of a bounded range."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from mansard.core.errors import SpecError
from mansard.query.solving.allowance import Allowed
from mansard.query.solving.bisecting import COMPILED
from mansard.query.solving.conditions import Condition
from mansard.query.solving.sets import Spans, joined
from mansard.query.solving.values import Values

MOST_POINTS, MOST_STEPWISE = 2**20, 512
"""Values that are tried of a compiled program, and of one that is evaluated step by step."""
FEWEST = 16


def enumerated(values: Values, condition: Condition) -> Allowed:
    """Return the whole numbers of a bounded range at which a constraint holds."""
    most = _most(values)
    low, high = values.unknown.low, values.unknown.high
    if high - low >= most:
        if values.unknown.given:
            raise SpecError(
                f"{condition.text!r}: nothing is certain of how it goes with"
                f" {values.unknown.name}, and {int(high - low) + 1:,} values are too many to try",
                hint=f"--within at most {most:,} of them",
            )
        high = low + most - 1
    method = f"enumeration of {values.unknown.name} {int(low):,}…{int(high):,}"
    xs = np.arange(int(low), int(high) + 1, dtype=float)
    figures = values.figures(condition, xs)
    holds = np.asarray(condition.holds(figures, len(xs)))
    if condition.op == "==":
        left, right = condition.sides(figures, len(xs))
        signs = np.sign(left - right)
        holds = signs == 0
        turns = np.nonzero(signs[:-1] * signs[1:] < 0)[0]
        spans = joined([(Fraction(int(xs[k])), Fraction(int(xs[k]))) for k in np.nonzero(holds)[0]])
        spans = (*spans, *((Fraction(int(xs[k])), Fraction(int(xs[k]) + 1)) for k in turns))
        spans = tuple(sorted(spans))
    else:
        spans = _runs(xs, holds)
    best = None
    if not spans:
        left, right = condition.sides(figures, len(xs))
        best = Fraction(int(xs[int(np.nanargmin(condition.gap(left, right)))]))
    return Allowed(spans, method, best, (low, high))


def _most(values: Values) -> int:
    """Return how many values are tried; each takes as many points as there are lengths."""
    mix, compiled = values.question.study.mix, values.question.engine.method == COMPILED
    lengths = 1 if mix is None else len(mix.weights)
    return max((MOST_POINTS if compiled else MOST_STEPWISE) // lengths, FEWEST)


def _runs(xs: Any, holds: Any) -> Spans:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], holds, [False]]).astype(int)))
    pairs = edges.reshape(-1, 2)
    return tuple((Fraction(int(xs[a])), Fraction(int(xs[b - 1]))) for a, b in pairs)
