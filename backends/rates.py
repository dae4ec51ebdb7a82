"""The roofline's prices: what a unit of work costs, resource by resource.

A kernel takes as long as its slowest resource needs [Williams 2009, eq. 1]: the matrix unit at
the rate of its dtype, the vector unit, the memory, a link. Units of one kernel overlap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mansard.backends.calls import number
from mansard.backends.cluster import Cluster
from mansard.backends.collectives import Level, levels, seconds
from mansard.backends.hardware import Hardware
from mansard.backends.table import TableRow
from mansard.core.errors import SpecError
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.ir.cost import MATRIX, Work
from mansard.ir.value import MEMORY, ONCHIP

COMPUTE, VECTOR, MEMORY_BOUND, LINK, OVERHEAD = "compute", "vector", "memory", "link", "overhead"
RESOURCES = (COMPUTE, VECTOR, MEMORY_BOUND, LINK, OVERHEAD)


@dataclass(frozen=True)
class Transfer:
    """A collective or a copy of a row: the quantity sent and how it is priced."""

    op: str
    quantity: int
    levels: tuple[Level, ...]

    def seconds(self, values: Sequence[Any]) -> float:
        """Return its time [s]."""
        return float(seconds(self.op, float(values[self.quantity]), self.levels))


@dataclass(frozen=True)
class Priced:
    """A row's seconds by resource.

    Args:
        rates: resource → ((quantity, seconds per unit), …).
        transfers: over links, one after the other.
        compute_dtype: what the busiest unit computes in, after fallback.
        unit: that does most of the arithmetic.
        peak: its rate [FLOP/s]; None when unknown.
        notes: what was assumed.
    """

    rates: Mapping[str, tuple[tuple[int, float], ...]]
    transfers: tuple[Transfer, ...]
    compute_dtype: str
    unit: str
    peak: float | None
    notes: tuple[Note, ...]

    @property
    def resources(self) -> tuple[str, ...]:
        """The resources the row needs."""
        return (*self.rates, *([LINK] if self.transfers else []))

    def seconds(self, resource: str, values: Sequence[Any]) -> float:
        """Return the time one resource needs at a point [s]."""
        if resource == LINK:
            return sum(t.seconds(values) for t in self.transfers)
        return sum(float(values[slot]) * each for slot, each in self.rates[resource])


def price(row: TableRow, cluster: Cluster) -> Priced:
    """Price one row on one chip of a cluster.

    Raises:
        SpecError: the row needs a link or a place the hardware says nothing of.
    """
    chip = cluster.chip
    terms: dict[str, list[tuple[int, float]]] = {}
    notes: list[Note] = []
    best: tuple[bool, str, str, float | None] = (False, "", "none", None)
    for work, quantity in row.flops.items():
        rate, dtype, said = _rate(work, chip)
        notes += said
        if rate is not None:
            resource = COMPUTE if work[0] == MATRIX else VECTOR
            terms.setdefault(resource, []).append((quantity, 1.0 / rate))
        if not best[0]:
            best = (work[0] == MATRIX, dtype, work[0], rate)
    for (place, _role), quantity in row.traffic.items():
        if place != ONCHIP:
            resource = MEMORY_BOUND if place == MEMORY else f"{place} memory"
            terms.setdefault(resource, []).append((quantity, 1.0 / _bandwidth(chip, place)))
    rates = {name: tuple(parts) for name, parts in terms.items()}
    transfers = tuple(_transfer(link, slot, cluster, notes) for link, slot in row.payload.items())
    return Priced(rates, transfers, best[1], best[2], best[3], tuple(notes))


def _rate(work: Work, chip: Hardware) -> tuple[float | None, str, list[Note]]:
    unit, dtype, structure = work
    peak = chip.peak(unit, dtype, structure)
    if peak.flops_per_s is None:
        return None, dtype, [Note("M012", peak.note or f"{chip.id} states no {unit} rate")]
    notes = [Note("M011", peak.note)] if peak.note else []
    return float(peak.flops_per_s), peak.dtype if unit == MATRIX else dtype, notes


def _bandwidth(chip: Hardware, place: str) -> float:
    if place == MEMORY:
        return float(chip.bandwidth_bytes_per_s)
    links = {"host": chip.host_link_bytes_per_s, "storage": chip.storage_link_bytes_per_s}
    if (rate := links.get(place)) is not None:
        return float(rate)
    raise SpecError(
        f"{chip.id} states no bandwidth to {place!r}",
        hint=f"add --set hardware.link.{place}=…" if place in links else "move the value elsewhere",
    )


def _between(cluster: Cluster) -> Level:
    """Return the link between pools of devices of which only one is described.

    Raises:
        SpecError: the hardware states neither a network nor a link to other chips.
    """
    chip, net = cluster.chip, cluster.network
    if net is not None:
        return Level(2, net.bytes_per_s, net.latency_s or 0.0)
    if chip.link_bytes_per_s is None:
        raise SpecError(
            f"{chip.id} states no link to other chips",
            hint="add --set network=NAME or --set hardware.link.per_direction=…",
        )
    return Level(2, float(chip.link_bytes_per_s), chip.link_latency_s or 0.0)


def _transfer(
    link: tuple[str, str, Any], quantity: int, cluster: Cluster, notes: list[Note]
) -> Transfer:
    op, axis, ranks = link
    if op == "copy":
        source, _, target = axis.partition(">")
        place = source if source != MEMORY else target
        return Transfer("send", quantity, (Level(2, _bandwidth(cluster.chip, place), 0.0),))
    count = int(number(ranks, "the ranks of a collective"))
    crossed = levels(cluster, axis, count) or (_between(cluster),) * (count > 1)
    if any(level.latency_s == 0.0 for level in crossed):
        notes.append(Note("M014", f"no source gives the latency of {axis}'s links: 0 is used"))
    return Transfer(op, quantity, crossed)
