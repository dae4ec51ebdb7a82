"""Fit everything a folder of measurements holds: ``python -m mansard.backends.calibrated.refit``.

Writes one file per chip and one per family of chips beside this module.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from mansard.backends.calibrated import end_to_end, fitting, medians
from mansard.backends.calibrated.facts import facts
from mansard.backends.calibrated.fitting import Columns
from mansard.backends.calibrated.measured import Measurement, read
from mansard.backends.calibrated.parameters import Calibration, Key, ParameterSet
from mansard.backends.calibrated.solver import Vector
from mansard.backends.chips import load
from mansard.core.errors import MansardError, SpecError


def gather(folder: Path) -> dict[str, list[Columns]]:
    """Return the kernels of a folder, by chip.

    Raises:
        SpecError: there are none.
    """
    rows: dict[str, list[Measurement]] = defaultdict(list)
    for path in sorted((folder / "ops").glob("*.csv")):
        for row in read(path):
            rows[row.chip].append(row)
    for _, row in end_to_end.read(folder):
        rows[row.chip].append(row)
    if not rows:
        raise SpecError(
            f"{folder}: no measurements", hint="expected ops/*.csv as data/measured has them"
        )
    return {c: fitting.columns(found, facts(load(c))) for c, found in sorted(rows.items())}


def fit_chip(found: list[Columns]) -> dict[Key, tuple[ParameterSet, Columns, Vector]]:
    """Fit every key with enough rows; returns set, rows, and measured over predicted held back."""
    sets = {}
    for rows in found:
        kept = fitting.trusted(rows)
        if kept.rows < fitting.FEWEST or kept.shapes < 2:
            continue
        ratio = fitting.held_back(rows)
        values = fitting.fit(kept)
        judged = np.where(fitting.is_trusted(rows), ratio, np.nan)
        sets[rows.key] = (fitting.summarise(rows, values, judged), rows, ratio)
    return sets


def main(arguments: list[str]) -> None:
    """Refit from the folder named in the arguments and write the files."""
    if len(arguments) != 1:
        raise SpecError("refit takes one folder of measurements", hint="../shared/data/measured")
    here = Path(__file__).parent
    fitted: dict[str, dict[Key, tuple[ParameterSet, Columns]]] = {}
    for chip, found in gather(Path(arguments[0])).items():
        own = {key: (one, rows) for key, (one, rows, _) in fit_chip(found).items()}
        fitted[chip] = own
        sets = (*(one for one, _ in own.values()), *medians.over_frameworks(own))
        _write(here, chip, Calibration(chip, sets))
    for family in (*medians.FAMILIES, medians.GENERIC):
        _write(here, f"family-{family}", medians.over_chips(fitted, family))


def _write(folder: Path, name: str, calibration: Calibration) -> None:
    (folder / f"{name}.toml").write_text(calibration.to_toml(), encoding="utf-8")
    print(f"{name}: {len(calibration.sets)} sets")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except MansardError as error:
        sys.exit(f"{error.message}\n{error.hint or ''}".strip())
