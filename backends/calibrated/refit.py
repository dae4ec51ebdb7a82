"""Fit everything a folder of measurements holds, and write what ships.

One file per chip and one per family of chips, beside this module; see ``mansard.query.accuracy``,
which composes whole networks and runs this.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable
from pathlib import Path

import numpy as np

from mansard.backends.calibrated import end_to_end, fitting, medians, stacks
from mansard.backends.calibrated.facts import facts
from mansard.backends.calibrated.fitting import Columns
from mansard.backends.calibrated.measured import Measurement, read
from mansard.backends.calibrated.parameters import Calibration, bundled
from mansard.backends.calibrated.registry import FORMS
from mansard.backends.calibrated.stacks import Fits, Stack
from mansard.backends.chips import load
from mansard.core.errors import SpecError

Gathered = dict[str, list[Columns]]
"""Chip → its rows, a key each."""


def gather(
    folder: Path, composed: Iterable[Measurement] = (), forms: Container[str] = FORMS
) -> Gathered:
    """Return what a folder measured, by chip.

    Args:
        folder: with ``ops`` and ``e2e``.
        composed: whole networks put together from kernels, which only the roof can.
        forms: to keep.

    Raises:
        SpecError: there are none.
    """
    rows: dict[str, list[Measurement]] = defaultdict(list)
    kernels = any(name in forms for name in FORMS if name not in stacks.WHOLE)
    for path in sorted((folder / "ops").glob("*.csv")) if kernels else ():
        for row in read(path):
            rows[row.chip].append(row)
    for row in (*(row for _, row in end_to_end.read(folder)), *composed):
        rows[row.chip].append(row)
    if not rows:
        raise SpecError(
            f"{folder}: no measurements", hint="expected ops/*.csv as data/measured has them"
        )
    kept = {c: [r for r in found if r.key.form in forms] for c, found in sorted(rows.items())}
    return {c: fitting.columns(found, facts(load(c))) for c, found in kept.items()}


def fit_all(gathered: Gathered) -> dict[str, Fits]:
    """Fit every key with enough rows; returns set, rows, and measured over predicted held back."""
    found: dict[str, Fits] = {chip: {} for chip in gathered}
    whole = []
    for chip, columns in gathered.items():
        for rows in columns:
            if rows.key.form in stacks.WHOLE:
                whole.append(Stack(chip, rows))
            elif fitting.is_of_host(rows):
                continue
            elif (kept := fitting.trusted(rows)).rows >= fitting.FEWEST and kept.shapes >= 2:
                ratio = fitting.held_back(rows)
                judged = np.where(fitting.is_trusted(rows), ratio, np.nan)
                one = fitting.summarise(rows, fitting.fit(kept), judged)
                found[chip][rows.key] = one, rows, ratio
    for chip, fits in stacks.fit_all(whole).items():
        found[chip] |= fits
    return found


def ship(fitted: dict[str, Fits], forms: Container[str] = FORMS) -> Iterable[str]:
    """Write the files; sets of other forms stay as they are. Yields a line a file."""
    here = Path(__file__).parent
    own = {
        chip: {key: (one, rows) for key, (one, rows, _) in fits.items()}
        for chip, fits in fitted.items()
    }
    for chip, fits in own.items():
        sets = (*(one for one, _ in fits.values()), *medians.over_frameworks(fits))
        yield _write(here, chip, Calibration(chip, sets), forms)
    for family in (*medians.FAMILIES, medians.GENERIC):
        yield _write(here, f"family-{family}", medians.over_chips(own, family), forms)


def _write(folder: Path, name: str, fitted: Calibration, forms: Container[str]) -> str:
    before = bundled(name)
    kept = tuple(s for s in before.sets if s.key.form not in forms) if before else ()
    whole = Calibration(fitted.chip, (*kept, *fitted.sets), fitted.family)
    if whole.sets:
        (folder / f"{name}.toml").write_text(whole.to_toml(), encoding="utf-8")
    return f"{name}: {len(fitted.sets)} sets fitted, {len(kept)} kept"
