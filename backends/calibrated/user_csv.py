"""Fit a chip from a user's own measurements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np

from mansard.backends.calibrated import fitting
from mansard.backends.calibrated.facts import facts
from mansard.backends.calibrated.fitting import Columns
from mansard.backends.calibrated.form import ChipFacts
from mansard.backends.calibrated.measured import Measurement
from mansard.backends.calibrated.parameters import Calibration, Key, ParameterSet
from mansard.backends.calibrated.registry import form
from mansard.backends.calibrated.said import is_unreliable
from mansard.backends.calibrated.solver import Vector
from mansard.backends.calibrated.user_rows import read
from mansard.backends.hardware import Hardware
from mansard.core.errors import SpecError

ENOUGH = f"a set needs {fitting.FEWEST} rows of at least 2 shapes, 16 of 4 or more for an error"
TO_HOLD_BACK = (
    f"each quarter of the shapes is held back in turn, and {fitting.FEWEST} rows must be left:"
    " measure 16 rows of 4 shapes or more (24 if they are only 2)"
)

LAUNCH_S = 1e-5  # of a kernel that does nothing, generously
FAR = 300.0  # times the bound and a launch: no kernel is so slow, a unit 1000 times off is
MOST = 0.9  # of the rows, to say something of all of them


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
        warned: sets that were, but predict nothing, or nobody knows how well.
        repeated: line of a row that repeats an earlier one → the line of that; counted once.
    """

    calibration: Calibration
    held: Mapping[str, Held]
    faster: tuple[str, ...]
    left: tuple[str, ...]
    warned: tuple[str, ...] = ()
    repeated: Mapping[int, int] = field(default_factory=dict)


def fit(text: str, chip: Hardware, *, where: str = "measurements") -> Report:
    """Fit one chip from the text of a CSV.

    Raises:
        SpecError: columns, units, numbers or times are wrong, or no set has rows enough.
    """
    unit, given = read(text, chip, where)
    every, repeated = _once(given)
    _check_unit(every, chip, where, unit)
    rows, faster = _kept(every, chip, where)
    _check_bound(faster, len(every), chip, where, unit)
    thrown = Counter(every[number].key for number in faster)
    sets: list[ParameterSet] = []
    left = [f"{key.text()}: {_thrown(n, 0)}" for key, n in thrown.items() if key not in rows]
    held: dict[str, Held] = {}
    for together in fitting.columns(chain(*rows.values()), facts(chip)):
        columns = _dealt(together)
        reason = _lacking(columns, thrown[together.key])
        if reason:
            left.append(f"{columns.key.text()}: {reason}")
            continue
        ratio = fitting.held_back(columns)
        sets.append(_holding(fitting.summarise(columns, fitting.fit(columns), ratio)))
        held[columns.key.text()] = _held(columns, ratio)
    if not sets:
        raise SpecError(f"{where}: nothing to fit: {'; '.join(left)}", hint=ENOUGH)
    warned = tuple(said for one in sets for said in _unreliable(one))
    said = tuple(faster.values())
    return Report(Calibration(chip.id, tuple(sets)), held, said, tuple(left), warned, repeated)


def _holding(one: ParameterSet) -> ParameterSet:
    """Return a set whose band holds its own prediction, however biased the rows held back are."""
    return replace(one, low=min(one.low, 1.0), high=max(one.high, 1.0))


def _once(every: Mapping[int, Measurement]) -> tuple[dict[int, Measurement], dict[int, int]]:
    """Return the rows that repeat no earlier one, and line → the earlier line of those that do."""
    first: dict[str, int] = {}
    kept, repeated = {}, {}
    for number, row in every.items():
        before = first.setdefault(row.text, number)
        if before == number:
            kept[number] = row
        else:
            repeated[number] = before
    return kept, repeated


def _dealt(columns: Columns) -> Columns:
    """Deal the shapes to the folds in turn: a hash may put all of few shapes in one."""
    shapes = list(zip(*(columns.sizes[n].tolist() for n in columns.law.shape), strict=True))
    fold = {shape: at % fitting.FOLDS for at, shape in enumerate(sorted(set(shapes)))}
    return replace(columns, fold=np.array([fold[shape] for shape in shapes]))


def _check_bound(
    faster: Mapping[int, str], rows: int, chip: Hardware, where: str, unit: str
) -> None:
    """Raise where most rows are faster than the chip can be.

    Raises:
        SpecError: they are.
    """
    if len(faster) * 2 > rows:
        shown = "; ".join(said.removeprefix(f"{where}, ") for said in list(faster.values())[:3])
        raise SpecError(
            f"{where}: {_thrown(len(faster), rows - len(faster), '')} of {chip.id}: {shown}",
            hint=f"is the column {unit} really in {unit}, and was it measured on {chip.id}?",
        )


def _thrown(thrown: int, kept: int, then: str = " and were kept out") -> str:
    return f"{thrown} of {thrown + kept} rows are faster than the bound{then}"


def _unreliable(one: ParameterSet) -> Iterator[str]:
    """Yield why a set is not to be relied on, if it is not."""
    name = one.key.text()
    if one.error is None:
        few = f"{one.rows} rows of {one.shapes} shapes are too few rows to hold a shape back"
        yield f"{name}: error not known: {few}; {TO_HOLD_BACK}"
    elif is_unreliable(one):
        said = f"{name} is {one.error:.0%} off on shapes held back: do not rely on it"
        yield f"{said}; measure more shapes, and check the unit of the time"


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


def _lacking(columns: Columns, thrown: int) -> str:
    """Say why a set cannot be fitted; nothing where it can."""
    also = f" ({_thrown(thrown, columns.rows)})" if thrown else ""
    if columns.rows < fitting.FEWEST:
        return f"{columns.rows} rows, {fitting.FEWEST} are needed{also}"
    if columns.shapes < 2:
        return f"one shape only, 2 are needed: nothing can be held back{also}"
    if thrown > columns.rows:
        return f"{_thrown(thrown, columns.rows, '')}: the others are not to be trusted either"
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
