"""What answers are compared by: names without units, their dimension, and which way is better."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mansard.core.records import dataclass

if TYPE_CHECKING:
    from mansard.query.estimate import Estimate

LOWER, HIGHER, NEITHER = "lower", "higher", ""
SPENT = ("energy", "cost", "cost_per_mtok")
"""What the devices' time is worth: each is proportional to the period of a batch."""


@dataclass(frozen=True)
class Metric:
    """A figure of an answer.

    Args:
        name: as constraints, sweeps and gates write it.
        field: as JSON and CSV write it, with its unit.
        label: as tables write it.
        dimension: of ``core.units``, of what it is compared with.
        better: "lower", "higher", or "" where neither is.
    """

    name: str
    field: str
    label: str
    dimension: str
    better: str = NEITHER


METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric("ttft", "ttft_s", "TTFT", "time", LOWER),
        Metric("tpot", "tpot_s", "TPOT", "time", LOWER),
        Metric("latency", "latency_s", "latency", "time", LOWER),
        Metric("prefill", "prefill_s", "prefill", "time", LOWER),
        Metric("decode", "decode_s", "decode step", "time", LOWER),
        Metric("throughput", "throughput_tok_s", "throughput", "1/s", HIGHER),
        Metric("tokens_per_s_per_user", "tokens_per_s_per_user", "per user", "1/s", HIGHER),
        Metric("memory", "memory", "memory", "bytes", LOWER),
        Metric("capacity", "capacity", "capacity", "bytes"),
        Metric("weights", "weights", "weights", "bytes", LOWER),
        Metric("kv_cache", "kv_cache", "KV cache", "bytes", LOWER),
        Metric("activations", "activations", "activations", "bytes", LOWER),
        Metric("overhead", "overhead", "reserve", "bytes", LOWER),
        Metric("energy", "energy_j", "energy", "number", LOWER),
        Metric("cost", "cost", "cost", "number", LOWER),
        Metric("cost_per_mtok", "cost_per_mtok", "$ per M tokens", "number", LOWER),
    )
}
"""Name → metric, in the order tables have."""


def quantities(estimate: Estimate) -> dict[str, float | None]:
    """Return every metric of an answer, and what was asked; None where it is unknown."""
    m, memory = estimate.metrics, estimate.memory
    times = {
        name: estimate.phases[name].time_s if name in estimate.phases else None
        for name in ("prefill", "decode")
    }
    return {
        "ttft": m.ttft_s,
        "tpot": m.tpot_s,
        "latency": m.latency_s,
        **times,
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
