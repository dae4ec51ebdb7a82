"""Carbon of an answer: what its electricity emits, and its share of making the devices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import mansard as ms
from mansard.backends import roofline
from mansard.backends.cluster import Cluster
from mansard.backends.estimate import called_once
from mansard.core.units import format_time
from mansard.ir.program import Program

YEAR_S = 365.25 * 86_400
KWH_J = 3.6e6
GRID = 480.0
"""g CO2e a kWh, the world's mean in 2023 [Ember 2024]."""


@dataclass(frozen=True)
class Carbon:
    """Count ``C = E·PUE·grid + t/lifetime·embodied`` of one batch [Li 2025 EcoServe, §2].

    ``E`` takes every device, and its share of the host, at the power stated while the batch runs:
    the thermal design power unless ``power`` says otherwise.
    """

    name: ClassVar[str] = "carbon"
    source: ClassVar[str] = "[Li 2025 EcoServe; Ember 2024; NVIDIA 2025 HGX]"
    grid: float = ms.option(GRID, "g CO2e a kWh; the world's mean in 2023 [Ember 2024]", least=0)
    pue: float = ms.option(1.0, "power of the whole building over that of the machines", least=1)
    power: float = ms.option(0.0, "of a device; 0: its TDP", least=0, unit="power")
    host: float = ms.option(0.0, "host power for each device", least=0, unit="power")
    embodied: float = ms.option(0.0, "kg CO2e of making a device and its share of the host; 164 is"
                                " an H100 on its board of eight, without a host [NVIDIA 2025 HGX]",
                                least=0)  # fmt: skip
    lifetime: float = ms.option(5.0, "years a device is used", least=0.1)

    def estimate(
        self, program: Program, on: Cluster, scenario: Mapping[str, int]
    ) -> roofline.Answer:
        """Return the roofline's answer with what one batch emits."""
        answer = roofline.estimate(program, on, scenario)
        watts = self.power or on.chip.tdp_w
        if watts is None:
            raise ms.MansardError(
                f"carbon: no source gives the power of {on.chip.id}", hint="write power=300W"
            )
        rate = answer.metrics.throughput_tok_s
        once = called_once(answer.phases)
        made = scenario["batch"] * (1 if once else scenario["output"])
        steps_s = sum(phase.total_s for phase in answer.phases.values())
        device_s = on.devices * (made / rate if rate else steps_s)
        energy_j = (float(watts) + self.host) * device_s
        operational = energy_j * self.pue / KWH_J * self.grid
        embodied = device_s / (self.lifetime * YEAR_S) * self.embodied * 1e3
        figures = {
            "operational_g": operational, "embodied_g": embodied,
            "total_g": operational + embodied,
            **({} if once else {"per_token_g": (operational + embodied) / made}),
        }  # fmt: skip
        notes = answer.notes
        if not self.embodied:
            said = "carbon: what making the devices emitted is not counted; embodied= says it"
            notes = (*notes, ms.Note("M091", said))
        metrics = replace(answer.metrics, energy_j=energy_j)
        assumes = tuple(self._assumed(on.devices, float(watts), device_s))
        return replace(answer, metrics=metrics, figures=figures, notes=notes, assumes=assumes)

    def _assumed(self, devices: int, watts: float, device_s: float) -> Iterator[str]:
        power = "as given" if self.power else "its thermal design power"
        host = f"{self.host:g} W of the host for each" if self.host else "no host (host=)"
        lasts = format_time(device_s / devices)
        yield (
            f"{devices} × {watts:g} W, {power}, for the roofline's {lasts}"
            f" and {host}; --backend energy counts operations and bytes instead, which is less"
        )
        mean = ", the world's mean in 2023 [Ember 2024]" if self.grid == GRID else ""
        yield f"{self.grid:g} g CO2e a kWh of the grid{mean}; PUE {self.pue:g}"
        if self.embodied:
            yield f"{self.embodied:g} kg CO2e of making a device, used for {self.lifetime:g} years"
