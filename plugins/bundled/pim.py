"""Processing in memory: ops that memory bounds run where the data lies, the rest on the chip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import mansard as ms
from mansard.backends import roofline
from mansard.backends.cluster import Cluster
from mansard.backends.estimate import Phase
from mansard.backends.hardware import Hardware
from mansard.backends.rates import OVERHEAD, Priced, price
from mansard.backends.table import TableRow
from mansard.core.units import format_flops, format_rate, format_time
from mansard.ir.cost import MATRIX
from mansard.ir.program import Program
from mansard.plugins.bundled.alternatives import ChoosingWork, slowest_s

WEIGHTY = ("weight", "cache", "state")
"""Roles of what lies in the banks; activations come from the chip and go back to it."""


@dataclass(frozen=True)
class Pim:
    """Let each op run on the chip or inside its memory, whichever is sooner [Lee 2021 HBM-PIM].

    In the banks weights and caches are read at the internal bandwidth and multiplied at the
    banks' own rate; activations cross the outer interface, and every op that changes sides pays
    ``sync``. Only products with stored operands may run there. Memory that computes holds
    ``capacity`` of what it would hold otherwise.
    """

    name: ClassVar[str] = "pim"
    source: ClassVar[str] = "[Lee 2021 HBM-PIM; Yuan 2024, §6.2]"
    device: str = ms.option("generic-hbm3-pim", "the chip whose rates the banks have")
    sync: float = ms.option(0.0, "time each op there waits for the chip and it for the op",
                            least=0, unit="time")  # fmt: skip
    capacity: float = ms.option(0.5, "of the memory that is left to data", least=0.01, most=1)

    def estimate(
        self, program: Program, on: Cluster, scenario: Mapping[str, int]
    ) -> roofline.Answer:
        """Return the answer of the better placement, row by row."""
        banks = ms.load_hardware(self.device)
        prices: dict[int, tuple[TableRow, Priced, Priced | None]] = {}

        def placed(row: TableRow, values: Sequence[Any]) -> Priced | None:
            plain = row if not row.device else replace(row, device="")
            key = id(plain.flops)
            if key not in prices:
                prices[key] = plain, price(plain, on), self._inside(plain, on, banks)
            _, outside, inside = prices[key]
            if inside is None or slowest_s(inside, values) >= slowest_s(outside, values):
                return None
            return inside

        work = ChoosingWork(program, on, placed, device=self.name)
        answer = roofline.answer(program, scenario, (), work)
        memory = answer.memory
        if memory.capacity is not None:
            memory = replace(memory, capacity=int(memory.capacity * self.capacity))
        figures = {f"{name}_in_memory_share": _share(phase, self.name)
                   for name, phase in answer.phases.items()}  # fmt: skip
        return replace(answer, memory=memory, figures=figures, assumes=self._assumed(on, banks))

    def _assumed(self, on: Cluster, banks: Hardware) -> tuple[str, ...]:
        """Say what banks were put into the memory, and what that costs of it."""
        rate = banks.peak(MATRIX, "bf16").flops_per_s
        waits = f"{format_time(self.sync)} each time an op changes sides (sync)"
        return (
            f"the banks of {banks.id}: {format_rate(float(banks.bandwidth_bytes_per_s))} inside and"
            f" {format_flops(float(rate) if rate else None, per_second=True)} of bf16 products in"
            f" each device; the chip keeps its {format_rate(float(on.chip.bandwidth_bytes_per_s))}",
            f"{self.capacity:.0%} of the memory is left to data (capacity); "
            + (waits if self.sync else "changing sides takes no time (sync=0), so this is a bound"),
        )

    def _inside(self, row: TableRow, on: Cluster, banks: Hardware) -> Priced | None:
        """Return the price of a row in the banks; None where it cannot run there."""
        stored = [n for (place, role), n in row.traffic.items()
                  if place == "memory" and role in WEIGHTY]  # fmt: skip
        products = [work for work in row.flops if work[0] == MATRIX]
        if not stored or not products or row.payload:
            return None
        there = price(row, replace(on, chip=banks))
        if there.peak is None or there.unit != MATRIX:
            return None
        outer = [n for (place, role), n in row.traffic.items()
                 if place == "memory" and role not in WEIGHTY]  # fmt: skip
        rates = {name: terms for name, terms in there.rates.items() if name != "memory"}
        rates["memory"] = tuple((n, 1.0 / float(banks.bandwidth_bytes_per_s)) for n in stored)
        if outer:
            outside = float(on.chip.bandwidth_bytes_per_s)
            rates["interface"] = tuple((n, 1.0 / outside) for n in outer)
        if self.sync:
            rates[OVERHEAD] = ((row.launches, self.sync),)
        return replace(there, rates=rates, notes=())


def _share(phase: Phase, device: str) -> float:
    """Return the share of a phase's time that ops spend in memory."""
    inside = sum(row.time_s * row.count for row in phase.ops if row.device == device)
    return float(inside / phase.time_s) if phase.time_s else 0.0
