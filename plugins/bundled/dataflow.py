"""Spatial dataflow: weights stay in the SRAM of many chips, and tokens flow past them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import mansard as ms
from mansard.backends import roofline
from mansard.backends.cluster import Cluster
from mansard.backends.estimate import Metrics
from mansard.backends.rates import LINK, MEMORY_BOUND
from mansard.backends.table import TableRow
from mansard.backends.totals import RowTotal
from mansard.core.units import format_rate, format_time
from mansard.ir.program import Program
from mansard.plugins.bundled.alternatives import stationary


@dataclass(frozen=True)
class Dataflow:
    """Spread a model over as many chips as hold it in SRAM; only hops between them are added.

    ``n`` chips read their part of the weights and caches at once, ``n`` times a chip's bandwidth,
    and compute at ``n`` times its rate; what a layer hands to the next stays on the wires, so
    activations move no memory. A token crosses ``n - 1`` borders, ``hop`` each [Abts 2022].
    """

    name: ClassVar[str] = "dataflow"
    source: ClassVar[str] = "[Abts 2022; Yuan 2024, §6.1]"
    chips: int = ms.option(0, "of them; 0: as many as the weights and caches fill", least=0)
    hop: float = ms.option(0.0, "time from one chip to the next; 0: the chip's link latency",
                           least=0, unit="time")  # fmt: skip

    def estimate(
        self, program: Program, on: Cluster, scenario: Mapping[str, int]
    ) -> roofline.Answer:
        """Return the answer of the spread model."""
        if on.devices > 1:
            raise ms.MansardError("dataflow spreads the model itself", hint="name one chip: --on X")
        lone = roofline.estimate(program, on, scenario)
        fill = lone.memory.weights + lone.memory.kv_cache
        n = self.chips or math.ceil(fill / (on.chip.capacity_bytes or fill))
        hop_s = self.hop or on.chip.link_latency_s or 0.0
        answer = roofline.answer(program, scenario, (), _Spread(program, on, n))
        notes = list(answer.notes)
        if not hop_s:
            said = f"dataflow: no source gives the latency between {on.chip.id}s; hop= says it"
            notes.append(ms.Note("M092", said))
        hops_s = (n - 1) * hop_s
        phases = {
            name: replace(phase, time_s=phase.time_s + hops_s,
                          first_step_s=phase.first_step_s + hops_s,
                          last_step_s=phase.last_step_s + hops_s)
            for name, phase in answer.phases.items()
        }  # fmt: skip
        steps = sum(float(phase.steps) for phase in phases.values())
        memory = replace(lone.memory, capacity=on.chip.capacity_bytes * n)
        metrics = _later(answer.metrics, hops_s, steps)
        figures = {"chips": float(n), "hops_of_a_token_s": hops_s}
        why = "as given" if self.chips else "as many as weights and caches fill"
        assumes = (
            f"{n} × {on.chip.id}, {why}: each reads its part at"
            f" {format_rate(float(on.chip.bandwidth_bytes_per_s))}, all at once; activations stay"
            " on the wires",
            f"{format_time(hop_s)} from a chip to the next, {n - 1} times a token"
            + ("" if self.hop or not hop_s else "; the chip's link latency"),
        )
        return replace(answer, phases=phases, memory=memory, metrics=metrics,
                       notes=tuple(notes), figures=figures, assumes=assumes)  # fmt: skip


class _Spread(roofline.Work):
    """The roofline's work at ``n`` times the rates, without the bytes of activations."""

    def __init__(self, program: Program, cluster: Cluster, n: int):
        super().__init__(program, cluster)
        self._n = n

    def total(self, row: TableRow) -> RowTotal:
        """Return a row's sum, empty."""
        usual = super().total(row)
        stays = stationary(row, float(self.cluster.chip.bandwidth_bytes_per_s))
        rates = {}
        for name, terms in usual.priced.rates.items():
            kept = stays if name == MEMORY_BOUND else terms
            if kept and name != LINK:
                rates[name] = tuple((slot, each / self._n) for slot, each in kept)
        return replace(usual, priced=replace(usual.priced, rates=rates))


def _rate(metrics: Metrics, latency_s: float | None) -> float | None:
    """Return what is made a second when the same takes another time."""
    before, rate = metrics.latency_s, metrics.throughput_tok_s
    return rate * before / latency_s if rate and before and latency_s else None


def _later(metrics: Metrics, hops_s: float, steps: float) -> Metrics:
    """Return the metrics with the hops of every step."""

    def plus(value: float | None, extra: float) -> float | None:
        return None if value is None else value + extra

    tpot = plus(metrics.tpot_s, hops_s)
    latency = plus(metrics.latency_s, hops_s * steps)
    return replace(
        metrics,
        ttft_s=plus(metrics.ttft_s, hops_s),
        tpot_s=tpot,
        latency_s=latency,
        throughput_tok_s=_rate(metrics, latency),
        tokens_per_s_per_user=1 / tpot if tpot else None,
    )
