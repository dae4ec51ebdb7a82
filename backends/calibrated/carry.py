"""Carry parameters to a chip they were not fitted on: what scales with its datasheet does.

Most parameters are shares of a chip's own figures, and carry as they are. The speed of its last
level on chip is stated over the memory's, while the level itself grows with the units it serves:
1.6 times HBM3 on an H100, 4 to 6 times the GDDR7 of an RTX PRO 6000.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from mansard.backends.calibrated.form import ChipFacts, Form

KIN = {"ampere": "gddr", "gddr": "ampere"}
"""Families whose kernels issue the same matrix instruction (``mma.sync``; Hopper and Blackwell
datacentre chips have instructions, so kernels, of their own)."""

MATRIX_FORMS = ("gemm", "attention_prefill", "batched_gemm")
"""Forms that instruction decides; others are bound by memory and launches."""


def level_scale(chip: ChipFacts) -> float:
    """Return what the ratio of the last level's speed to the memory's goes with."""
    return chip.sms / chip.bytes_per_s


def carried(
    law: Form, values: Sequence[float], sources: Iterable[ChipFacts], to: ChipFacts
) -> tuple[float, ...]:
    """Return parameters fitted on ``sources`` as they are expected on another chip."""
    logs = [math.log(level_scale(chip)) for chip in sources]
    if not logs:
        return tuple(values)
    grown = level_scale(to) / math.exp(sum(logs) / len(logs))
    return tuple(
        min(max(value * grown, p.low), p.high) if p.name == "resident" else value
        for p, value in zip(law.parameters, values, strict=True)
    )
