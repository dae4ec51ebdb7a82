"""A program on hardware a point at a time, for any schedule and any price."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mansard.backends.cluster import Cluster
from mansard.backends.engine.figures import BANDED, FIGURES
from mansard.backends.engine.points import Array, Operand
from mansard.backends.estimate import called_once
from mansard.backends.hardware import Hardware
from mansard.backends.roofline import Answer, estimate
from mansard.ir.program import Program


class Stepwise:
    """The same figures from ``roofline.estimate``, a point at a time: for any schedule.

    Args:
        program: after its passes.
        on: one device, or several.
        phases: that count; every one unless given.
        price: what answers a point; the roofline unless given.
    """

    method = "stepwise"

    def __init__(
        self, program: Program, on: Hardware | Cluster, phases: Sequence[str] = (),
        price: Callable[..., Answer] = estimate,
    ) -> None:  # fmt: skip
        self.program, self.phases, self._price = program, tuple(phases), price
        self.cluster = on if isinstance(on, Cluster) else Cluster(on)

    def on(self, cluster: Hardware | Cluster) -> Stepwise:
        """Return the same program on other hardware."""
        return Stepwise(self.program, cluster, self.phases, self._price)

    def figures(
        self, batch: Operand, prompt: Operand, output: Operand, names: Sequence[str] = FIGURES
    ) -> dict[str, Array]:
        """Return each figure at every point."""
        columns = np.broadcast_arrays(*(np.atleast_1d(v) for v in (batch, prompt, output)))
        found = {name: np.empty(columns[0].size) for name in names}
        for k, (b, p, n) in enumerate(zip(*columns, strict=True)):
            scenario = {"batch": int(b), "prompt": int(p), "output": int(n)}
            answer = self._price(self.program, self.cluster, scenario, self.phases)
            known = _figures(answer, scenario)
            for name in names:
                value = known[name]
                found[name][k] = np.nan if value is None else value
        return found

    def grid(
        self, axes: Mapping[str, Sequence[float]], names: Sequence[str] = FIGURES,
        *, fast: bool = False,
    ) -> None:  # fmt: skip
        """Return nothing: there are no steps that a grid could share."""

    def point(
        self, batch: float, prompt: float, output: float, names: Sequence[str] = FIGURES
    ) -> dict[str, float]:
        """Return each figure at one point."""
        return {k: float(v[0]) for k, v in self.figures(batch, prompt, output, names).items()}


def _figures(answer: Answer, scenario: Mapping[str, int]) -> dict[str, float | None]:
    m, memory = answer.metrics, answer.memory
    phases = {k: answer.phases[k].time_s if k in answer.phases else None
              for k in ("prefill", "decode")}  # fmt: skip
    rate = m.throughput_tok_s
    made = scenario["batch"] * (1 if called_once(answer.phases) else scenario["output"])
    period = made / rate if rate else None
    return {
        "ttft": m.ttft_s, "tpot": m.tpot_s, "latency": m.latency_s,
        "throughput": m.throughput_tok_s, "tokens_per_s_per_user": m.tokens_per_s_per_user,
        **phases, "period": period,
        "total": sum(phase.total_s for phase in answer.phases.values()),
        "memory": memory.total, "weights": memory.weights,
        "kv_cache": memory.kv_cache,
        "activations": memory.activations, "overhead": memory.overhead,
        "capacity": memory.capacity, **_bands(answer),
    }  # fmt: skip


def _bands(answer: Answer) -> dict[str, float | None]:
    """Return the ends of the bands of an answer that has them."""
    bands = getattr(answer, "bands", None)
    if bands is None:
        return {}
    found: dict[str, float | None] = {}
    for name in BANDED:
        unit = {"throughput": "_tok_s", "tokens_per_s_per_user": ""}.get(name, "_s")
        band = bands.get(f"{name}{unit}")
        found[f"{name}_low"] = band.low if band else None
        found[f"{name}_high"] = band.high if band else None
    return found
