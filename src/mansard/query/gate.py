"""Conditions on an answer: ``tpot > 30ms`` over the names of the JSON without their unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mansard.core.comparison import Comparison, parse_comparison
from mansard.core.errors import SpecError, shortened
from mansard.core.records import dataclass
from mansard.query.metrics import METRICS, quantities

if TYPE_CHECKING:
    from mansard.query.estimate import Estimate

DIMENSIONS: dict[str, str] = {
    **{name: metric.dimension for name, metric in METRICS.items()},
    "energy": "energy", "batch": "number", "prompt": "tokens", "output": "tokens",
}  # fmt: skip
"""Name → dimension of what it is compared with."""


@dataclass(frozen=True)
class Gate:
    """A condition as the user wrote it."""

    text: str
    comparison: Comparison

    def holds(self, estimate: Estimate) -> bool:
        """Say whether the condition holds of an answer.

        Raises:
            SpecError: the answer does not have a quantity it names.
        """
        values = quantities(estimate)
        known: dict[str, float] = {}
        for name in sorted(self.comparison.names):
            value = values[name]
            if value is None:
                raise SpecError(
                    f"{self.text!r}: this answer has no {name}",
                    hint="ask for the phase it belongs to; tpot needs two output tokens or more",
                )
            known[name] = value
        return self.comparison.holds(known)


def read_gate(text: str) -> Gate:
    """Read a condition over the names of ``DIMENSIONS``.

    Raises:
        MansardError: no comparison, a unit of another dimension, or a quantity nobody knows.
    """
    return Gate(shortened(text), parse_comparison(text, DIMENSIONS))
