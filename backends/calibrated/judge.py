"""Judge calibrations on shapes, models and chips they did not see."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from mansard.backends.calibrated import medians, stacks
from mansard.backends.calibrated.carry import KIN, MATRIX_FORMS, carried
from mansard.backends.calibrated.fitting import Columns, band, trusted
from mansard.backends.calibrated.parameters import Key, ParameterSet
from mansard.backends.calibrated.solver import Mask, Vector

TOLERANCE = 1.05  # a measurement may be this much faster than the bound [gate 1]
ODD = 1.25  # over the bound of what does not stay on chip, a row is no measurement

Fits = Mapping[Key, tuple[ParameterSet, Columns, Vector]]


@dataclass(frozen=True)
class Judged:
    """One set on the shapes held back from it.

    Args:
        error, median: mean and median absolute relative error.
        naive: the mean of the bound's.
        covered: share of rows inside a band made without their fold.
        below: rows more than 5 % faster than the bound; ``resident``: of those, the ones that what
            stays on chip between two runs explains; ``odd``: the ones it misses by 25 % or more.
    """

    chip: str
    key: Key
    rows: int
    error: float
    median: float
    naive: float
    covered: float
    below: int
    resident: int
    odd: int

    @property
    def above(self) -> int:
        """Rows that beat the bound with no excuse."""
        return self.below - self.resident


def judge(fitted: Mapping[str, Fits]) -> list[Judged]:
    """Judge every set of every chip."""
    found = []
    for chip, fits in fitted.items():
        for key, (_, rows, ratio) in fits.items():
            if key.form not in stacks.WHOLE:
                found.append(_judge(chip, key, rows, ratio, _covered(rows, ratio)))
                continue
            for part, one in stacks.parts(key, rows):
                others = stacks.pooled(fitted, part, but=(chip, key))
                covered = inside(ratio[one], *stacks.band_of(others))
                found.append(_judge(chip, part, rows.part(one), ratio[one], covered))
    return found


def inside(ratio: Vector, low: float | Vector, high: float | Vector) -> float:
    """Return the share of what was held back that a band holds; NaN of nothing."""
    held = np.isfinite(ratio)
    kept = (ratio >= low) & (ratio <= high)
    return float(kept[held].mean()) if held.any() else float("nan")


def _judge(chip: str, key: Key, rows: Columns, ratio: Vector, covered: float) -> Judged:
    seen = np.isfinite(ratio)
    error = np.abs(1 / ratio[seen] - 1)
    bound = rows.bound()
    level = rows.level_bound()
    below = bound > TOLERANCE * rows.seconds
    resident = below & (level <= TOLERANCE * rows.seconds)
    odd = below & ~resident & (level > ODD * rows.seconds)
    return Judged(
        chip=chip,
        key=key,
        rows=rows.rows,
        error=float(error.mean()) if seen.any() else float("nan"),
        median=float(np.median(error)) if seen.any() else float("nan"),
        naive=float(np.abs(bound / rows.seconds - 1).mean()),
        covered=covered,
        below=int(below.sum()),
        resident=int(resident.sum()),
        odd=int(odd.sum()),
    )


def _covered(rows: Columns, ratio: Vector) -> float:
    """Return the share of rows in the band of the other folds."""
    seen = np.isfinite(ratio)
    inside = []
    for one in np.unique(rows.fold[seen]):
        out = seen & (rows.fold == one)
        if (seen & (rows.fold != one)).sum() >= 5:
            low, high = band(ratio[seen & (rows.fold != one)])
            inside.append((ratio[out] >= low) & (ratio[out] <= high))
    return float(np.concatenate(inside).mean()) if inside else float("nan")


def mean(found: Iterable[Judged], field: str) -> float:
    """Return the mean of a field over rows."""
    pairs = [(getattr(j, field), j.rows) for j in found if np.isfinite(getattr(j, field))]
    weights = sum(rows for _, rows in pairs)
    return sum(v * rows for v, rows in pairs) / weights if weights else float("nan")


def unmeasured(fitted: Mapping[str, Fits]) -> dict[tuple[str, str], tuple[float, float, int]]:
    """Return (chip, form) → (error, bound's error, rows) with the chip left out.

    Its siblings' medians and its own datasheet predict it; without a sibling, all other chips do.
    """
    family = {chip: name for name, chips in medians.FAMILIES.items() for chip in chips}
    found: dict[tuple[str, str], list[tuple[Vector, Vector]]] = defaultdict(list)
    for chip, fits in fitted.items():
        others = [c for c in fitted if c != chip and c in family]
        for key, (_, rows, _) in fits.items():
            knowing = [c for c in others if any(k.form == key.form for k in fitted[c])]
            siblings = [c for c in knowing if family[c] == family.get(chip)]
            if not siblings and key.form in MATRIX_FORMS:
                siblings = [c for c in knowing if family[c] == KIN.get(family.get(chip, ""))]
            pool = [
                replace(s, values=carried(columns.law, s.values, [columns.chip], rows.chip))
                for c in siblings or knowing
                for s, columns, _ in fitted[c].values()
                if s.key.form == key.form
            ]
            values = _stand_in(pool, key)
            if values is not None and chip in family:
                kept = trusted(rows)
                error = np.abs(kept.predict(values) / kept.seconds - 1)
                naive = np.abs(kept.bound() / kept.seconds - 1)
                found[chip, key.form].append((error, naive))
    return {
        at: (
            float(np.concatenate([e for e, _ in some]).mean()),
            float(np.concatenate([n for _, n in some]).mean()),
            sum(len(e) for e, _ in some),
        )
        for at, some in found.items()
    }


def _stand_in(pool: list[ParameterSet], key: Key) -> tuple[float, ...] | None:
    """Return the medians of the sets nearest to a key."""
    for fields in (
        ("form", "framework", "dtype", "family", "kernel"),
        ("form", "framework", "dtype", "family"),
        ("form", "dtype", "family"),
        ("form", "family"),
        ("form",),
    ):
        near = [s for s in pool if all(getattr(s.key, f) == getattr(key, f) for f in fields)]
        if near:
            return medians.median(s.values for s in near)
    return None


def ranking(fits: Fits) -> list[tuple[Key, str, float, int]]:
    """Return (key, model, Spearman's rank correlation, rows) of configurations of one model."""
    found = []
    for key, (_, rows, ratio) in fits.items():
        if key.form not in stacks.WHOLE:
            continue
        _, whole = next(stacks.parts(key, rows))
        for fold in np.unique(rows.fold):
            one = (rows.fold == fold) & whole & np.isfinite(ratio)
            if one.sum() >= 8:
                seconds = rows.seconds[one]
                rate = _rate(rows, one)
                predicted = rate * ratio[one]
                model = f"{rows.sizes['parameters'][one][0] / 1e9:.1f}B dense"
                found.append((key, model, spearman(rate, predicted), len(seconds)))
    return found


def _rate(rows: Columns, one: Mask) -> Vector:
    """Return measured tokens per second and device."""
    z = rows.sizes
    each = z["steps"] if "steps" in z else np.where(z["served"] > 0, 1.0, z["osl"])
    tokens = z["batch"] * each
    rate: Vector = (tokens / z["tp"])[one] / rows.seconds[one]
    return rate


def spearman(a: Vector, b: Vector) -> float:
    """Return the rank correlation.

    >>> spearman(np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0, 40.0]))
    1.0
    """
    x, y = _ranks(a), _ranks(b)
    return round(float(np.corrcoef(x, y)[0, 1]), 12)


def _ranks(values: Vector) -> Vector:
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    middle: Vector = (ends - (counts - 1) / 2.0)[where]
    return middle
