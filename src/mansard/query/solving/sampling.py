"""A calibrated metric over a size, as values: its laws have no pieces with slopes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mansard.core.records import dataclass
from mansard.query.beside import METRICS_BESIDE

if TYPE_CHECKING:
    from mansard.query.solving.question import Question

MOST = 24
"""Values that are shown at most."""
GREATEST = {"batch": 1024, "prompt": 131_072, "context": 131_072, "output": 16_384}
"""The last power of two of each size, unless the model's context ends before."""


@dataclass(frozen=True)
class Sample:
    """A metric at one value of the size.

    Args:
        at: the value.
        value: of the metric.
        ideal: the bound's; None of what has none beside it, as low and high.
        low, high: its band.
    """

    at: int
    value: float
    ideal: float | None = None
    low: float | None = None
    high: float | None = None


def sampled(question: Question, metric: str, over: str, flips: Sequence[int]) -> tuple[Sample, ...]:
    """Return a metric at powers of two, where it was asked, and at the first flips."""
    key = "prompt" if over == "context" else over
    asked = int(question.sizes[key])
    longest = question.study.prepared.origin.max_context
    end = GREATEST[over]
    if over != "batch" and longest:
        end = min(end, longest)
    powers = [2**k for k in range(int(np.log2(end)) + 1)]
    first = [x for x in sorted(set(flips)) if x not in powers][: MOST - 1 - len(powers)]
    xs = sorted({*powers, *first, asked})
    sizes: dict[str, Any] = {**question.sizes, key: np.array(xs, dtype=float)}
    beside = [f"{metric}_{part}" for part in ("ideal", "low", "high")] * (metric in METRICS_BESIDE)
    found = question.engine.figures(
        sizes["batch"], sizes["prompt"], sizes["output"], (metric, *beside)
    )
    columns = [np.broadcast_to(found[name], len(xs)) for name in (metric, *beside)]
    rows = ([float(column[k]) for column in columns] for k in range(len(xs)))
    return tuple(Sample(x, *row) for x, row in zip(xs, rows, strict=True) if row[0] == row[0])
