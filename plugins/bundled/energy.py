"""Energy of every operation and every byte at every level, instead of power times time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import mansard as ms
from mansard.backends import roofline
from mansard.backends.cluster import Cluster
from mansard.backends.estimate import Phase, called_once
from mansard.backends.hardware import Hardware
from mansard.backends.totals import RowTotal
from mansard.ir.program import Program

# Both tables, the memories' rows too, were compared with what others quote of them:
# docs/references.md, "Figures and who else states them".
PICO = 1e-12
WORD_BYTES = 8
"""Both tables state energies of 64-bit accesses."""
MATRIX_PJ: Mapping[str, Mapping[str, float]] = {
    # An operation is half of a multiply and an add into the accumulator: fp32, or int32 for ints.
    "7nm": {  # [Jouppi 2021, table 2]: int8 0.07 + int32 0.03, fp16 0.34 + fp32 0.38 …
        "int8": (0.07 + 0.03) / 2, "bf16": (0.21 + 0.38) / 2, "fp16": (0.34 + 0.38) / 2,
        "fp32": (1.31 + 0.38) / 2,
    },
    "45nm": {  # [Horowitz 2014, fig. 1.1.9]: int8 0.2 + int32 0.1, fp16 1.1 + fp32 0.9 …
        "int8": (0.2 + 0.1) / 2, "fp16": (1.1 + 0.9) / 2, "fp32": (3.7 + 0.9) / 2,
    },
}  # fmt: skip
VECTOR_PJ: Mapping[str, float] = {"7nm": (1.31 + 0.38) / 2, "45nm": (3.7 + 0.9) / 2}
"""An fp32 operation: half of a multiply and an add."""
SRAM_PJ: Mapping[str, float] = {"7nm": 14.0, "45nm": 100.0}
"""64 bits of a 1 MB SRAM, of the same tables."""
DRAM_PJ: Mapping[str, float] = {"HBM": 350.0, "GDDR": 415.0, "DDR": 1300.0}
"""64 bits [Jouppi 2021, table 2]: HBM2 250-450 and GDDR6 350-480 at their middle, DDR4 1300.

A reader of the table takes them as those of the interface alone: a floor, like all of this.
"""
TABLES = {"7nm": "7 nm [Jouppi 2021, table 2]", "45nm": "45 nm [Horowitz 2014, fig. 1.1.9]"}
WIDER: Mapping[str, tuple[str, ...]] = {
    "fp16": ("bf16",), "bf16": ("fp16",), "tf32": ("fp32",), "fp8": ("fp16", "bf16"),
    "fp4": ("fp16", "bf16"), "fp6": ("fp16", "bf16"), "int4": ("int8",), "int2": ("int8",),
}  # fmt: skip
"""What stands in for a dtype without a figure: the next that has one."""


@dataclass(frozen=True)
class Energy:
    """Count ``E = Σ FLOP·e(dtype) + Σ bytes·e(level) + idle·t``, per op and level.

    Time is the roofline's. What is left out - instruction issue, registers, wires, regulators -
    makes this less than a meter shows; the thermal design power over the same time is more, and
    both are among the figures.
    """

    name: ClassVar[str] = "energy"
    source: ClassVar[str] = "[Jouppi 2021, table 2; Horowitz 2014, fig. 1.1.9]"
    table: str = ms.option("7nm", "published energies to use", choices=("7nm", "45nm"))
    idle: float = ms.option(0.0, "power that is drawn whatever happens", least=0, unit="power")
    link: float = ms.option(0.0, "pJ for a byte over a link; 0: not counted", least=0)
    rows: int = ms.option(5, "ops of each phase whose energy is listed", least=0)

    def estimate(self, program: Program, on: Cluster, scenario: Mapping[str, int]) -> Answer:
        """Return the roofline's answer with the energy of one batch."""
        work = _Counting(program, on)
        answer = roofline.answer(program, scenario, (), work)
        prices = Prices(self, on.chip)
        devices = on.devices
        levels = dict.fromkeys(("matrix", "vector", "onchip", "memory", "link", "idle"), 0.0)
        figures: dict[str, float] = {}
        for name, phase in answer.phases.items():
            rows = [(total, prices.of(total)) for total in work.totals.get(name, [])]
            for _, by_level in rows:
                for level, joule in by_level.items():
                    levels[level] += joule * devices
            levels["idle"] += self.idle * phase.total_s * devices
            figures[f"{name}_j"] = sum(sum(e.values()) for _, e in rows) * devices
            figures |= self._greatest(name, rows, devices)
        total = sum(levels.values())
        whole = {f"{level}_j": joule for level, joule in levels.items() if joule}
        known = {"whole_batch_j": total, **whole, **figures}
        if not called_once(answer.phases):
            known = {"per_token_j": total / (scenario["batch"] * scenario["output"]), **known}
        if on.chip.tdp_w is not None:
            known["tdp_over_that_time_j"] = on.chip.tdp_w * devices * _time_s(answer.phases)
        metrics = replace(answer.metrics, energy_j=total)
        notes = tuple(dict.fromkeys((*answer.notes, *prices.notes)))
        return replace(answer, metrics=metrics, figures=known, notes=notes,
                       assumes=(*prices.said, *self._left_out()))  # fmt: skip

    def _left_out(self) -> tuple[str, ...]:
        idle = f"{self.idle:g} W of each device whatever happens"
        return (
            "figures of energy are of the whole batch, prefill and every decode step, unless they"
            " say per token",
            f"{idle if self.idle else 'no power is drawn while nothing happens (idle=)'}; time is"
            " the roofline's; instruction issue, registers, wires and regulators are left out, so"
            " a meter shows more",
        )

    def _greatest(
        self, phase: str, rows: list[tuple[RowTotal, dict[str, float]]], devices: int
    ) -> dict[str, float]:
        """Return the energy of the ops that take most."""
        found: dict[str, float] = {}
        for total, by_level in rows:
            key = f"{phase}:{total.row.name}_j"
            found[key] = found.get(key, 0.0) + sum(by_level.values()) * devices
        ranked = sorted(found.items(), key=lambda item: -item[1])
        return dict(ranked[: self.rows])


Answer = roofline.Answer


class _Counting(roofline.Work):
    """The roofline's work that keeps the sums of its rows, phase by phase."""

    def __init__(self, program: Program, cluster: Cluster):
        super().__init__(program, cluster)
        self.totals: dict[str, list[RowTotal]] = {}

    def summary(self, name: str, steps: float, done: roofline.PhaseSum) -> Phase:
        """Return a phase from its sums."""
        self.totals[name] = list(done.rows.values())
        return super().summary(name, steps, done)


@dataclass
class Prices:
    """Joules by level of the rows of one chip, and what was assumed on the way."""

    of_backend: Energy
    chip: Hardware
    notes: list[ms.Note] = field(default_factory=list)
    used: dict[str, str] = field(default_factory=dict)

    @property
    def said(self) -> tuple[str, ...]:
        """The energies that were used: of operations in a line, of bytes in another."""
        ops = [said for name, said in self.used.items() if name.startswith("op ")]
        moved = [said for name, said in self.used.items() if not name.startswith("op ")]
        return (f"an operation, {TABLES[self._table]}: {', '.join(ops) or 'none'}",
                f"a bit moved, of the same: {', '.join(moved) or 'none'}")  # fmt: skip

    def of(self, total: RowTotal) -> dict[str, float]:
        """Return level → energy of a row, all its occurrences on one device [J]."""
        found = dict.fromkeys(("matrix", "vector", "onchip", "memory", "link"), 0.0)
        dtypes = {unit: dtype for unit, dtype, _ in total.row.flops}
        for unit, flops in total.flops.items():
            each = self._operation(dtypes[unit]) if unit == "matrix" else VECTOR_PJ[self._table]
            name = f"{unit} {dtypes[unit]}" if unit == "matrix" else unit
            self.used[f"op {name}"] = f"{name} {each:.3g} pJ"
            found["matrix" if unit == "matrix" else "vector"] += float(flops) * each * PICO
        for (place, _), size in total.traffic.items():
            level, each = self._level(place)
            kind = f" ({self.chip.memory_type})" if level == "memory" else ""
            self.used[level] = f"{level}{kind} {each / 8:.3g} pJ"
            found[level] += float(size) * each * PICO
        if total.payload and not self.of_backend.link:
            said = "energy: bytes over links are not counted; link= says what one takes"
            self.notes.append(ms.Note("M090", said))
        found["link"] += float(total.payload) * self.of_backend.link * PICO
        return found

    @property
    def _table(self) -> str:
        return self.of_backend.table

    def _operation(self, dtype: str) -> float:
        known = MATRIX_PJ[self._table]
        for name in (dtype, *WIDER.get(dtype, ()), "fp32"):
            if name in known:
                if name != dtype:
                    said = f"energy: the {self._table} table has no {dtype}; {name} is used"
                    self.notes.append(ms.Note("M090", said))
                return known[name]
        raise ms.MansardError(f"energy: no figure for {dtype}", hint="take table=7nm")

    def _level(self, place: str) -> tuple[str, float]:
        if place == "onchip" or self.chip.memory_type.upper().startswith("SRAM"):
            return "onchip", SRAM_PJ[self._table] / WORD_BYTES
        if place != "memory":
            return "link", self.of_backend.link
        kind = self.chip.memory_type.upper()
        family = next((f for f in ("HBM", "GDDR") if kind.startswith(f)), "DDR")
        if family == "DDR" and not kind.startswith("DDR"):
            said = f"energy: no figure for {kind or 'a memory of unknown type'}; DDR4's is used"
            self.notes.append(ms.Note("M090", said))
        return "memory", DRAM_PJ[family] / WORD_BYTES


def _time_s(phases: Mapping[str, Phase]) -> float:
    return sum(phase.total_s for phase in phases.values())
