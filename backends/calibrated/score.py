"""Score the parameters that ship on a folder of measurements they were not fitted on.

``python -m mansard.query.accuracy score FOLDER``: nothing is fitted; on the folder the
parameters come from, the errors are those of a fit on its own rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from mansard.backends.calibrated.fitting import Columns
from mansard.backends.calibrated.lookup import family_of
from mansard.backends.calibrated.lookup import find as find_set
from mansard.backends.calibrated.measured import Measurement
from mansard.backends.calibrated.refit import gather
from mansard.backends.chips import load


def score(
    folder: Path, composed: Iterable[Measurement] = ()
) -> Iterator[tuple[str, str, int, float, float, float, str]]:
    """Yield (chip, key, rows, error, the bound's error, share in the band, basis)."""
    for chip, found in gather(folder, composed).items():
        family = family_of(load(chip))
        for rows in found:
            yield chip, rows.key.text(), rows.rows, *_scored(rows, chip, family)


def _scored(rows: Columns, chip: str, family: str) -> tuple[float, float, float, str]:
    found = find_set(rows.key, chip, family)
    predicted = np.maximum(rows.predict(found.one.values), 0.0)
    ratio = rows.seconds / predicted
    low, high = found.band()
    inside = (ratio >= low) & (ratio <= high)
    error = float(np.abs(1 / ratio - 1).mean())
    naive = float(np.abs(rows.bound() / rows.seconds - 1).mean())
    return error, naive, float(inside.mean()), found.basis
