"""Stand-ins for what was not measured: medians over frameworks, sibling chips, all chips.

A stand-in's error and band are what it does on chips (or frameworks) it was not taken from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mansard.backends.calibrated.carry import carried
from mansard.backends.calibrated.fitting import FEWEST_HELD, Columns, band, trusted
from mansard.backends.calibrated.parameters import Calibration, Key, ParameterSet
from mansard.backends.calibrated.solver import Vector
from mansard.backends.calibrated.stacks import first_tokens

GENERIC = "generic"
FAMILIES: dict[str, tuple[str, ...]] = {
    "ampere": ("a100-sxm-80gb", "a100-sxm-40gb"),
    "hopper": ("h100-sxm", "h200-sxm"),
    "blackwell": ("b200-sxm", "b300-sxm"),
    "gddr": ("rtx-pro-6000-server",),
}
"""Family → the chips its medians are taken over."""

NAMED = ("stream", "scan", "batched_gemm", "collective", "dispatch")
"""Forms whose kernels do different things: medians are taken kernel by kernel."""

SINGLE_USER = "llama.cpp"
"""An engine that serves one sequence at a time stands for no other: medians leave it out."""

ALONE = 1.5  # a family of one chip says nothing of its siblings: its band is this much wider

Fitted = Mapping[str, Mapping[Key, tuple[ParameterSet, Columns]]]
"""Chip → key → the set and the rows it rests on."""


def median(values: Iterable[tuple[float, ...]]) -> tuple[float, ...]:
    """Return the median of each parameter, in logarithms.

    >>> median([(1.0, 2.0), (4.0, 2.0)])
    (2.0, 2.0)
    """
    logs = np.log(np.array(list(values)))
    return tuple(float(f"{v:.6g}") for v in np.exp(np.median(logs, axis=0)))


def over_frameworks(sets: Mapping[Key, tuple[ParameterSet, Columns]]) -> list[ParameterSet]:
    """Return a set per (form, dtype, family) that several frameworks were measured with."""
    groups: dict[Key, list[tuple[ParameterSet, Columns]]] = defaultdict(list)
    for key, found in sets.items():
        if key.framework == SINGLE_USER:
            continue
        kernel = key.kernel if key.form in NAMED else ""
        groups[Key(key.form, "", key.dtype, key.family, kernel)].append(found)
    return [
        _judged(key, found, ())
        for key, found in groups.items()
        if len({one.key.framework for one, _ in found}) > 1
    ]


def over_chips(fitted: Fitted, family: str) -> Calibration:
    """Return the medians of a family's chips (of all chips for ``generic``)."""
    chips = [c for c in FAMILIES.get(family, tuple(fitted)) if c in fitted]
    groups: dict[Key, dict[str, list[tuple[ParameterSet, Columns]]]] = defaultdict(dict)
    for chip in chips:
        for key, found in fitted[chip].items():
            for wide in () if key.framework == SINGLE_USER else _wider(key, family == GENERIC):
                groups[wide].setdefault(chip, []).append(found)
    sets = []
    for key, by_chip in groups.items():
        every = [one for some in by_chip.values() for one in some]
        judged = [one for chip in by_chip for one in left_out(by_chip, chip)]
        sets.append(_judged(key, every, tuple(sorted(by_chip)), judged))
    return Calibration(family, tuple(sets), family)


def _wider(key: Key, generic: bool) -> tuple[Key, ...]:
    """The keys whose medians a set enters: with its framework and without."""
    kernel = key.kernel if key.form in NAMED else ""
    plain = Key(key.form, "", key.dtype, key.family, kernel)
    return (plain,) if generic else (replace(plain, framework=key.framework), plain)


def left_out(
    by_chip: Mapping[str, list[tuple[ParameterSet, Columns]]], chip: str
) -> list[tuple[Columns, Vector]]:
    """Return rows of ``chip`` with measured over predicted, by the median of the other chips."""
    here = by_chip[chip][0][1]
    others = [
        carried(here.law, one.values, [rows.chip], here.chip)
        for c, some in by_chip.items()
        for one, rows in some
        if c != chip
    ]
    return _ratios(by_chip[chip], median(others)) if others else []


def _ratios(
    found: Iterable[tuple[ParameterSet, Columns]], values: tuple[float, ...]
) -> list[tuple[Columns, Vector]]:
    kept = [trusted(rows) for _, rows in found]
    return [(rows, rows.seconds / rows.predict(values)) for rows in kept]


def _judged(
    key: Key,
    found: list[tuple[ParameterSet, Columns]],
    chips: tuple[str, ...],
    judged: Sequence[tuple[Columns, Vector]] = (),
) -> ParameterSet:
    sets = [one for one, _ in found]
    values = median(one.values for one in sets)
    wider = ALONE if chips and not judged else 1.0
    pairs = judged or _ratios(found, values)
    ratio = np.concatenate([r for _, r in pairs])
    first = np.concatenate([r[first_tokens(rows)] for rows, r in pairs])
    low, high = band(ratio)
    ends = band(first) if len(first) >= FEWEST_HELD else None
    return replace(
        sets[0],
        key=key,
        values=values,
        error=float(np.mean(np.abs(1 / ratio - 1))),
        low=low / wider,
        high=high * wider,
        rows=sum(one.rows for one in sets),
        shapes=sum(one.shapes for one in sets),
        source=", ".join(sorted({one.source for one in sets})[:3]),
        digest="",
        chips=chips,
        first=(ends[0] / wider, ends[1] * wider) if ends else None,
    )
