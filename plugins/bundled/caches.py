"""A roofline of two levels: what fits the last cache is read from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import mansard as ms
from mansard.backends import roofline
from mansard.backends.cluster import Cluster
from mansard.backends.rates import MEMORY_BOUND, Priced, price
from mansard.backends.table import TableRow
from mansard.core.units import format_bytes, format_rate
from mansard.ir.program import Program
from mansard.plugins.bundled.alternatives import ChoosingWork, stationary


@dataclass(frozen=True)
class Caches:
    """Activations that fit the chip's cache move at its bandwidth, the rest at the memory's.

    A kernel's activations were written by the one before it; when they fit the last cache they
    need not go to memory. Weights, and keys and values of long contexts, are read once a step and
    do not stay. Each level is a roof of its own [Ilic 2014].
    """

    name: ClassVar[str] = "caches"
    source: ClassVar[str] = "[Ilic 2014]"
    bandwidth: float = ms.option(0.0, "of the cache; 0: unknown, and what fits is free: a bound",
                                 least=0, unit="bytes/s")  # fmt: skip
    share: float = ms.option(0.5, "of the cache that activations may fill", least=0, most=1)

    def estimate(
        self, program: Program, on: Cluster, scenario: Mapping[str, int]
    ) -> roofline.Answer:
        """Return the answer with a roof for each level."""
        if on.chip.onchip_bytes is None:
            raise ms.MansardError(f"caches: no source gives the cache of {on.chip.id}",
                                  hint="add --set hardware.onchip.size=40MB")  # fmt: skip
        room = on.chip.onchip_bytes * self.share
        seen: dict[int, tuple[TableRow, tuple[int, ...], Priced]] = {}

        def cached(row: TableRow, values: Sequence[Any]) -> Priced | None:
            if id(row) not in seen:
                seen[id(row)] = row, *self._cached(row, on)
            _, slots, priced = seen[id(row)]
            return priced if slots and sum(float(values[s]) for s in slots) <= room else None

        speed = f"at {format_rate(self.bandwidth)}" if self.bandwidth else (
            "in no time (bandwidth= is not given), so this is a bound"
        )  # fmt: skip
        assumes = (
            f"activations of a kernel that fit {self.share:.0%} (share) of the"
            f" {format_bytes(on.chip.onchip_bytes)} cache move {speed}; the rest, weights and"
            f" caches move at {format_rate(float(on.chip.bandwidth_bytes_per_s))}",
        )
        answer = roofline.answer(program, scenario, (), ChoosingWork(program, on, cached))
        return replace(answer, assumes=assumes)

    def _cached(self, row: TableRow, on: Cluster) -> tuple[tuple[int, ...], Priced]:
        """Return the quantities that may stay in the cache, and the price where they do."""
        usual = price(row, on)
        slots = tuple(n for (place, role), n in row.traffic.items()
                      if place == "memory" and role == "activation")  # fmt: skip
        rates = dict(usual.rates)
        rest = stationary(row, float(on.chip.bandwidth_bytes_per_s))
        if rest:
            rates[MEMORY_BOUND] = rest
        else:
            rates.pop(MEMORY_BOUND, None)
        if self.bandwidth and slots:
            rates["cache"] = tuple((slot, 1.0 / self.bandwidth) for slot in slots)
        return slots, replace(usual, rates=rates)
