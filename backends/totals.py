"""Rows summed over the steps of a phase, and what users are shown of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mansard.backends.estimate import Number, Row
from mansard.backends.hardware import Hardware
from mansard.backends.rates import OVERHEAD, Priced
from mansard.backends.sums import Piece, total_of_greatest
from mansard.backends.table import TableRow
from mansard.ir.value import ONCHIP


@dataclass
class RowTotal:
    """A row summed over the steps of a phase.

    Args:
        occurrences: how often it ran.
        flops: by unit.
        traffic: by (place, role).
        busy: resource → time it needed.
        won: resource → time of the steps in which it was the slowest.
    """

    row: TableRow
    priced: Priced
    occurrences: float = 0.0
    flops: dict[str, Any] = field(default_factory=dict)
    traffic: dict[tuple[str, str], Any] = field(default_factory=dict)
    payload: Any = 0
    launches: Any = 0
    dims: dict[str, Any] = field(default_factory=dict)
    busy: dict[str, float] = field(default_factory=dict)
    won: dict[str, float] = field(default_factory=dict)

    def take(self, piece: Piece, weight: float) -> float:
        """Add a piece of a stretch; return its time [s]."""
        # The table's count is constant along a stretch: trips do not depend on the step.
        again = weight * piece.start[self.row.count]
        self.occurrences += float(again) * piece.steps
        for (unit, _, _), slot in self.row.flops.items():
            self.flops[unit] = self.flops.get(unit, 0) + piece.total(slot) * again
        for key, slot in self.row.traffic.items():
            self.traffic[key] = self.traffic.get(key, 0) + piece.total(slot) * again
        for slot in self.row.payload.values():
            self.payload += piece.total(slot) * again
        self.launches += piece.total(self.row.launches) * again
        for name, value in self.row.dims.items():
            self.dims[name] = value if isinstance(value, str) else piece.end[value]
        return self._spend(piece, float(again))

    def _spend(self, piece: Piece, again: float) -> float:
        """Add the time of a piece that happens ``again`` times; return it [s]."""
        time_s = 0.0
        for name, won in self._busy(self.priced, piece, again).items():
            self.won[name] = self.won.get(name, 0.0) + won
            time_s += won
        return time_s

    def _busy(self, priced: Priced, piece: Piece, again: float) -> dict[str, float]:
        """Add what each resource needs of a piece; return the time each is the slowest in [s]."""
        names = priced.resources
        starts = [priced.seconds(name, piece.start) for name in names]
        ends = [priced.seconds(name, piece.end) for name in names]
        for name, start, end in zip(names, starts, ends, strict=True):
            needed = (start + end) / 2 * piece.steps * again
            self.busy[name] = self.busy.get(name, 0.0) + needed
        if not names:
            return {}
        won = total_of_greatest(starts, ends, piece.steps)
        return {name: w * again for name, w in zip(names, won, strict=True)}

    def end_s(self, piece: Piece, which: int) -> float:
        """Return the time of the row in the first call of a piece (0) or its last one (-1) [s]."""
        return self.step_s(piece.start if which == 0 else piece.end)

    def step_s(self, values: Sequence[Any]) -> float:
        """Return the time of the row in one call, all its occurrences [s]."""
        times = (self.priced.seconds(name, values) for name in self.priced.resources)
        return max(times, default=0.0) * float(values[self.row.count])

    def shown(self, steps: float, total_s: float, chip: Hardware) -> Row:
        """Return the row as the mean step of the phase has it."""
        n = self.occurrences
        flops = sum(self.flops.values()) / n
        by_place: dict[str, Any] = {}
        by_role: dict[str, Any] = {}
        for (place, role), size in self.traffic.items():
            by_place[place] = by_place.get(place, 0) + size / n
            if place != ONCHIP:
                by_role[role] = by_role.get(role, 0) + size / n
        moved = sum(by_role.values())
        cached = by_role.get("cache", 0) + by_role.get("state", 0)
        weights = by_role.get("weight", 0)
        intensity = float(flops / moved) if moved else None
        roof = None if intensity is None else intensity * float(chip.bandwidth_bytes_per_s)
        peaks = [p for p in (self.priced.peak, roof) if p is not None]
        time_s = sum(self.won.values())
        return Row(
            name=self.row.name,
            kind=self.row.kind,
            count=whole(n / steps),
            flops=whole(flops),
            bytes=whole(moved),
            weight_bytes=whole(weights),
            activation_bytes=whole(moved - weights - cached),
            kv_bytes=whole(cached),
            link_bytes=whole(self.payload / n),
            intensity=intensity,
            bound=max(self.won, key=self.won.__getitem__) if self.won else "none",
            attainable_flops_per_s=min(peaks) if peaks and flops else None,
            time_s=time_s / n,
            share=time_s / total_s if total_s else 0.0,
            compute_dtype=self.priced.compute_dtype,
            weight_encoding=self.row.weight,
            unit=self.priced.unit,
            graph=self.row.graph,
            device=self.row.device,
            dims={k: v if isinstance(v, str) else whole(v) for k, v in self.dims.items()},
            flops_by_unit={unit: whole(f / n) for unit, f in self.flops.items()},
            bytes_by_place={place: whole(size) for place, size in by_place.items()},
            time_by_resource_s={r: t / n for r, t in self.busy.items()},
            members=self.row.members if len(self.row.members) > 1 else (),
            because=self.row.because,
            formulas=self.row.formulas,
        )


def waiting(name: str, occurrences: float, time_s: float, steps: float, total_s: float) -> Row:
    """Return the row of time without work."""
    return Row(
        name=name, kind="wait", count=whole(occurrences / steps), flops=0, bytes=0, weight_bytes=0,
        activation_bytes=0, kv_bytes=0, link_bytes=0, intensity=None, bound=OVERHEAD,
        attainable_flops_per_s=None, time_s=time_s / occurrences if occurrences else 0.0,
        share=time_s / total_s if total_s else 0.0, compute_dtype="", weight_encoding="",
        unit="none", graph="", device="", dims={}, flops_by_unit={}, bytes_by_place={},
    )  # fmt: skip


def whole(value: Any) -> Number:
    """Return a plain int where the value is whole, else a float."""
    if isinstance(value, int):
        return value
    near = round(value)
    return near if value == near and abs(near) < 2**63 else float(value)
