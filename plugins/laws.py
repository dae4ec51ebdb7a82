"""What holds for every technique: laws that ``plugins check`` and ``mansard.testing`` ask about."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mansard.backends import chips
from mansard.backends.cluster import Cluster, layouts
from mansard.backends.roofline import estimate
from mansard.core.records import dataclass
from mansard.ir.program import Program

CHIP = "h100-sxm"
SMALL: Mapping[str, int] = {"batch": 2, "prompt": 256, "output": 9}
"""Scenario at which work is counted."""
SLACK = 1e-9
"""Relative rounding of a sum of floats."""


@dataclass(frozen=True)
class WorkDone:
    """What a program does for one batch, on all its devices.

    Args:
        flops: by unit.
        tokens: generated.
    """

    flops: Mapping[str, float]

    @property
    def total(self) -> float:
        """FLOP of every unit."""
        return sum(self.flops.values())


def work(program: Program, scenario: Mapping[str, int] = SMALL) -> WorkDone:
    """Return the arithmetic of a whole request: every phase, every step, every device.

    Args:
        program: after its passes.
        scenario: ``batch``, ``prompt``, ``output``.
    """
    parts = layouts(program.mesh).values() if program.mesh else ({},)
    devices = max(math.prod(axes.values()) for axes in parts)
    cluster = Cluster(chips.load(CHIP), devices, mesh=dict(program.mesh))
    flops: dict[str, float] = {}
    for phase in estimate(program, cluster, scenario).phases.values():
        for row in phase.ops:
            times = float(row.count) * float(phase.steps) * devices
            for unit, each in row.flops_by_unit.items():
                flops[unit] = flops.get(unit, 0.0) + float(each) * times
    return WorkDone(flops)


def removed(before: WorkDone, after: WorkDone) -> dict[str, float]:
    """Return the FLOP that are gone, by unit; nothing where none are."""
    return {
        unit: n - after.flops.get(unit, 0.0)
        for unit, n in before.flops.items()
        if after.flops.get(unit, 0.0) < n * (1 - SLACK)
    }


def reads_back(program: Program) -> str:
    """Return what is wrong with the text form of a program; nothing where it parses back equal."""
    from mansard.core.errors import MansardError
    from mansard.ir import parse_program
    from mansard.plugins.registry import ops

    text = str(program)
    try:
        again = str(parse_program(text, {kind: p.thing for kind, p in ops().items()}))
    except MansardError as error:
        return f"its text does not parse: {error.message}"
    if again == text:
        return ""
    lines = zip(text.splitlines(), again.splitlines(), strict=False)
    first = next((f"{a.strip()} becomes {b.strip()}" for a, b in lines if a != b), "another length")
    return f"its text parses to another program: {first}"
