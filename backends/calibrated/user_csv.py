"""Fit a chip from a user's own measurements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np

from mansard.backends.calibrated import fitting
from mansard.backends.calibrated.facts import facts
from mansard.backends.calibrated.fitting import Columns
from mansard.backends.calibrated.form import ChipFacts
from mansard.backends.calibrated.measured import Measurement
from mansard.backends.calibrated.parameters import Calibration, Key, ParameterSet
from mansard.backends.calibrated.registry import form
from mansard.backends.calibrated.solver import Vector
from mansard.backends.calibrated.user_rows import read
from mansard.backends.hardware import Hardware
from mansard.core.errors import SpecError

ENOUGH = f"a set needs {fitting.FEWEST} rows of at least 2 shapes, 4 or more for an honest band"

LAUNCH_S = 1e-5  # of a kernel that does nothing, generously
FAR = 300.0  # times the bound and a launch: no kernel is so slow, a unit 1000 times off is
MOST = 0.9  # of the rows, to say something of all of them
UNRELIABLE = 0.5  # error held back from which a set predicts nothing


@dataclass(frozen=True)
class Held:
    """A set on the shapes held back from it.

    Args:
        points: (measured, predicted) [s].
        naive: the bound's mean absolute relative error.
    """

    points: tuple[tuple[float, float], ...]
    naive: float

    @property
    def ratios(self) -> tuple[float, ...]:
        """Measured over predicted."""
        return tuple(measured / predicted for measured, predicted in self.points)


@dataclass(frozen=True)
class Report:
    """What a fit found.

    Args:
        calibration: the sets; its text is ``calibration.to_toml()``.
        held: set, in words → its rows held back.
        faster: rows faster than the bound, in words; they were kept out.
        left: sets that could not be fitted, and why.
        warned: sets that were, but predict nothing.
    """

    calibration: Calibration
    held: Mapping[str, Held]
    faster: tuple[str, ...]
    left: tuple[str, ...]
    warned: tuple[str, ...] = ()


def fit(text: str, chip: Hardware, *, where: str = "measurements") -> Report:
    """Fit one chip from the text of a CSV.

    Raises:
        SpecError: columns, units, numbers or times are wrong, or no set has rows enough.
    """
    unit, every = read(text, chip, where)
    _check_unit(every, chip, where, unit)
    rows, faster = _kept(every, chip, where)
    thrown = Counter(every[number].key for number in faster)
    sets: list[ParameterSet] = []
    left = [f"{key.text()}: {_thrown(n, 0)}" for key, n in thrown.items() if key not in rows]
    held: dict[str, Held] = {}
    for columns in fitting.columns(chain(*rows.values()), facts(chip)):
        reason = _lacking(columns)
        if reason:
            also = thrown[columns.key]
            reason += f" ({_thrown(also, columns.rows)})" if also else ""
            left.append(f"{columns.key.text()}: {reason}")
            continue
        ratio = fitting.held_back(columns)
        sets.append(fitting.summarise(columns, fitting.fit(columns), ratio))
        held[columns.key.text()] = _held(columns, ratio)
    if not sets:
        raise SpecError(f"{where}: nothing to fit: {'; '.join(left)}", hint=ENOUGH)
    warned = tuple(_unreliable(one) for one in sets if one.error > UNRELIABLE)
    said = tuple(faster.values())
    return Report(Calibration(chip.id, tuple(sets)), held, said, tuple(left), warned)


def _thrown(thrown: int, kept: int) -> str:
    return f"{thrown} of {thrown + kept} rows are faster than the bound and were kept out"


def _unreliable(one: ParameterSet) -> str:
    said = f"{one.key.text()} is {one.error:.0%} off on shapes held back: do not rely on it"
    return f"{said}; measure more shapes, and check the unit of the time"


def _check_unit(every: Mapping[int, Measurement], chip: Hardware, where: str, unit: str) -> None:
    """Raise where nearly all times are as far from the bound as a unit is from the next.

    Raises:
        SpecError: they are.
    """
    known = facts(chip)
    slower = faster = 0
    for row in every.values():
        bound = float(form(row.key.form).bound_s(row.sizes, known))
        slower += row.seconds > FAR * (bound + LAUNCH_S)
        faster += row.seconds * FAR < bound
    for count, word in ((slower, "slower"), (faster, "faster")):
        if count >= MOST * len(every):
            said = f"{count} of {len(every)} rows are over {FAR:g} times {word} than the bound"
            raise SpecError(f"{where}: {said}", hint=f"is the column {unit} really in {unit}?")


def _held(columns: Columns, ratio: Vector) -> Held:
    seen = np.isfinite(ratio)
    measured = columns.seconds[seen]
    naive = np.abs(columns.bound() / columns.seconds - 1).mean()
    points = zip(measured.tolist(), (measured / ratio[seen]).tolist(), strict=True)
    return Held(tuple(points), float(naive))


def _lacking(columns: Columns) -> str:
    if columns.rows < fitting.FEWEST:
        return f"{columns.rows} rows, {fitting.FEWEST} are needed"
    if columns.shapes < 2 or len(np.unique(columns.fold)) < 2:
        return "one shape only, 2 are needed: nothing can be held back"
    return ""


def _kept(
    every: Mapping[int, Measurement], chip: Hardware, where: str
) -> tuple[dict[Key, list[Measurement]], dict[int, str]]:
    """Return the rows to fit by key, and the lines of those faster than the bound, in words."""
    known = facts(chip)
    kept: dict[Key, list[Measurement]] = {}
    faster: dict[int, str] = {}
    for number, row in every.items():
        bound = _least_s(row, known)
        if row.seconds * 1.05 < bound:
            said = f"{row.seconds * 1e6:.4g} us, the bound is {bound * 1e6:.4g} us"
            faster[number] = f"{where}, line {number}: {said} ({row.text})"
        else:
            kept.setdefault(row.key, []).append(row)
    return kept, faster


def _least_s(row: Measurement, known: ChipFacts) -> float:
    """Return what a row takes at least [s].

    A working set within the last level on chip may have stayed there; a product's weights may not,
    for every layer has its own.
    """
    law = form(row.key.form)
    flops, moved = law.work(row.sizes, known, np)
    if moved > known.cache_bytes:
        return float(law.bound_s(row.sizes, known))
    weights = 0.0
    if row.key.form == "gemm":
        weights = row.sizes["n"] * row.sizes["k"] * row.sizes["w_bytes"]
    return max(float(flops / row.sizes["peak"]), weights / known.bytes_per_s)
