"""Bands of a total, three ways, on whole networks held back: which holds what it promises.

Kernels are measured apart, so their bands can be added up; an engine's factors are fitted on sums
of the same kernels, so they have taken up what is wrong with all of them alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mansard.backends.calibrated import stacks
from mansard.backends.calibrated.engine import ENGINE
from mansard.backends.calibrated.fitting import Columns
from mansard.backends.calibrated.judge import inside
from mansard.backends.calibrated.parameters import ParameterSet
from mansard.backends.calibrated.solver import Vector
from mansard.backends.calibrated.stacks import FIRST, Fits
from mansard.backends.calibrated.tables import share, table

KERNELS = ("prefill_s", "decode_s", "attention_s", "grouped_s")
WAYS = (
    "kernels: half-widths add within a form, in squares over forms",
    "networks: what whole ones were off, held back",
    "both, in squares",
)


@dataclass(frozen=True)
class Held:
    """Rows of a stack that were held back, with three bands.

    Args:
        ratio: measured over predicted.
        ends: of each of ``WAYS``, as multiples of what is predicted.
    """

    ratio: Vector
    ends: tuple[tuple[Vector, Vector], ...]


def total_bands(fitted: Mapping[str, Fits]) -> str:
    """Return how many rows each band holds and how wide it is, whole batches and first tokens."""
    head = ("band", "batches inside", "high over low", "first tokens inside", "high over low")
    columns = [_judged(_held(fitted, family)) for family in ("", FIRST)]
    if not all(columns):
        return "The folder has no static batches with their first tokens: nothing was compared."
    return table(head, [(way, *a, *b) for way, a, b in zip(WAYS, *columns, strict=True)])


def _judged(held: list[Held]) -> list[tuple[str, str]]:
    """Return (share inside, width) of each way."""
    if not held:
        return []
    ratio = np.concatenate([one.ratio for one in held])
    found = []
    for way in range(len(WAYS)):
        low, high = (np.concatenate([one.ends[way][end] for one in held]) for end in (0, 1))
        width = float(np.exp(np.mean(np.log(high / low))))
        found.append((share(inside(ratio, low, high)), f"{width:.2f}"))
    return found


def _held(fitted: Mapping[str, Fits], family: str) -> list[Held]:
    found = []
    for chip, fits in fitted.items():
        for key, (one, rows, ratio) in fits.items():
            if key.form != ENGINE.name:
                continue
            for part, chosen in stacks.parts(key, rows):
                kept = chosen & np.isfinite(ratio)
                if part.family == family and kept.any():
                    band = stacks.band_of(stacks.pooled(fitted, part, but=(chip, key)))
                    found.append(Held(ratio[kept], _ways(one, rows.part(kept), band)))
    return found


def _ways(
    one: ParameterSet, rows: Columns, band: tuple[float, float]
) -> tuple[tuple[Vector, Vector], ...]:
    """Return the ends of a band each way; kernels take a part of the time, the engine the rest."""
    alone = {**rows.sizes, **dict.fromkeys(KERNELS, np.zeros(rows.rows))}
    part = 1.0 - rows.law.seconds(one.values, alone, rows.chip, np) / rows.predict(one.values)
    down, up = part * (1.0 - rows.sizes["kernels_low"]), part * (rows.sizes["kernels_high"] - 1.0)
    below, above = np.full(rows.rows, 1.0 - band[0]), np.full(rows.rows, band[1] - 1.0)
    both = np.hypot(down, below), np.hypot(up, above)
    return tuple((1.0 - d, 1.0 + u) for d, u in ((down, up), (below, above), both))
