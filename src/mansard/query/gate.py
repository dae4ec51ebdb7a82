"""Conditions on an answer: ``tpot > 30ms`` over the names of the JSON without their unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mansard.core.comparison import Comparison, parse_comparison
from mansard.core.errors import SpecError

if TYPE_CHECKING:
    from mansard.query.estimate import Estimate

DIMENSIONS: dict[str, str] = {
    "ttft": "time", "tpot": "time", "latency": "time", "prefill": "time", "decode": "time",
    "throughput": "1/s", "tokens_per_s_per_user": "1/s",
    "memory": "bytes", "capacity": "bytes", "weights": "bytes", "kv_cache": "bytes",
    "activations": "bytes", "overhead": "bytes", "energy": "number", "cost": "number",
    "cost_per_mtok": "number",
    "batch": "number", "prompt": "tokens", "output": "tokens",
}  # fmt: skip
"""Name → dimension of what it is compared with."""


def quantities(estimate: Estimate) -> dict[str, float | None]:
    """Return every quantity a condition may name; None where it is unknown."""
    m, memory = estimate.metrics, estimate.memory
    return {
        "ttft": m.ttft_s,
        "tpot": m.tpot_s,
        "latency": m.latency_s,
        "prefill": estimate.phases["prefill"].time_s if "prefill" in estimate.phases else None,
        "decode": estimate.phases["decode"].time_s if "decode" in estimate.phases else None,
        "throughput": m.throughput_tok_s,
        "tokens_per_s_per_user": m.tokens_per_s_per_user,
        "memory": memory.total,
        "capacity": memory.capacity,
        "weights": memory.weights,
        "kv_cache": memory.kv_cache,
        "activations": memory.activations,
        "overhead": memory.overhead,
        "energy": m.energy_j,
        "cost": m.cost,
        "cost_per_mtok": m.cost_per_mtok,
        **estimate.scenario.symbols,
    }


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
    return Gate(text, parse_comparison(text, DIMENSIONS))
