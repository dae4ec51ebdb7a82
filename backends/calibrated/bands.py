"""Bands of the metrics of a sweep, from those of its phases."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mansard.backends.engine.figures import BANDED
from mansard.backends.engine.points import Operand
from mansard.backends.engine.rowwise import PhaseTimes
from mansard.backends.estimate import ENCODE, PREFILL

BANDS = tuple(f"{name}_{end}" for name in BANDED for end in ("low", "high"))
"""Names of the ends of bands."""


@dataclass
class Spread:
    """Half-widths of a phase by form, and its bound, while its rows are added."""

    bound_s: Operand = 0.0
    halves: dict[str, tuple[Operand, Operand]] = field(default_factory=dict)

    def add(self, kind: str, form: str, value: Operand) -> None:
        """Add a part: ``bound``, or ``down`` or ``up`` of a form."""
        if kind == "bound":
            self.bound_s = self.bound_s + value
            return
        down, up = self.halves.get(form, (0.0, 0.0))
        self.halves[form] = (down + value, up) if kind == "down" else (down, up + value)


def bands_of(
    times: PhaseTimes, around: Mapping[str, tuple[Operand, Operand]]
) -> dict[str, Operand]:
    """Return the ends of each metric's band: errors of two phases go the same way.

    Args:
        times: of the phases, and the metrics.
        around: phase → the ends of its band [s].
    """
    seconds, tokens = times.seconds, times.tokens.get("decode")
    bands: dict[str, Operand] = dict.fromkeys(BANDS, math.nan)
    total, known = sum(seconds.values()), 0.0 * times.latency
    for end, name, other in ((0, "low", "high"), (1, "high", "low")):
        if PREFILL in seconds:
            bands[f"ttft_{name}"] = sum(around[p][end] for p in (PREFILL, ENCODE) if p in seconds)
        if "decode" in seconds and tokens is not None:
            bands[f"tpot_{name}"] = around["decode"][end] / np.where(tokens > 0, tokens, np.nan)
        whole = sum(ends[end] for ends in around.values())
        bands[f"latency_{name}"] = whole + known
        bands[f"throughput_{other}"] = times.throughput * total / whole
        bands[f"tokens_per_s_per_user_{other}"] = 1.0 / bands[f"tpot_{name}"]
    return bands
