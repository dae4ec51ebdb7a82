"""Fit sets of parameters on measurements and say how far off they are on shapes held back."""

from __future__ import annotations

import datetime
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mansard.backends.calibrated import solver
from mansard.backends.calibrated.columns import COLUMNS
from mansard.backends.calibrated.form import ChipFacts, Form
from mansard.backends.calibrated.measured import Measurement
from mansard.backends.calibrated.parameters import WIDE, Key, ParameterSet
from mansard.backends.calibrated.registry import form
from mansard.backends.calibrated.solver import Mask, Vector

FOLDS = 4
FEWEST = 12  # rows of a set: as many as the largest form has parameters
FEWEST_HELD = 5  # rows held back, for an error and a band
LINKED = ("collective", "dispatch", "network", "engine")
"""Forms of links and of whole networks: nothing of them stays on chip."""
HOST_S = 40e-6  # the fastest row of a set of streams: slower, and what was timed is its launch
SHORTEST = 3e-7  # a launch: the least a fit may find
ODD = 0.8  # of the bound: measured faster, a row is no measurement of what it says
WIDEST = 3.0  # log error at which a band is cut: a factor of 20


@dataclass(frozen=True)
class Columns:
    """Measurements of one key on one chip, as columns.

    Args:
        fold: of each row: 0 … ``FOLDS`` - 1, by its shape, never at random.
    """

    key: Key
    law: Form
    chip: ChipFacts
    sizes: dict[str, Vector]
    seconds: Vector
    fold: Vector
    shapes: int
    digest: str
    source: str

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.seconds)

    def part(self, chosen: Mask) -> Columns:
        """Return the rows that ``chosen`` marks."""
        sizes = {n: v[chosen] for n, v in self.sizes.items()}
        return replace(self, sizes=sizes, seconds=self.seconds[chosen], fold=self.fold[chosen])

    def predict(self, values: Sequence[float] | Vector) -> Vector:
        """Return predicted seconds."""
        found: Vector = self.law.seconds(values, self.sizes, self.chip, COLUMNS)
        return found

    def bound(self) -> Vector:
        """Return the roofline's seconds."""
        found: Vector = self.law.bound_s(self.sizes, self.chip, np)
        return found

    def level_bound(self) -> Vector:
        """Return the roofline's seconds where what the level on chip holds of a run stays there.

        Measured kernels run again and again on the same tensors: of the bytes they touch, as many
        as the level holds need not come from memory, but all come from the level.
        """
        if self.law.name in LINKED:
            return self.bound()
        moved: Vector
        flops, moved = self.law.work(self.sizes, self.chip, np)
        away = np.maximum(1.0 - self.chip.cache_bytes / self.sizes.get("held", moved), 0.0)
        least = np.maximum(
            moved * away / self.chip.bytes_per_s, moved / self.chip.level_bytes_per_s
        )
        found: Vector = np.maximum(flops / self.sizes["peak"], least)
        return found


def fold_of(shape: tuple[float, ...]) -> int:
    """Return the fold of a shape: the same in every run and on every chip.

    >>> fold_of((4096.0, 14336.0)) == fold_of((4096.0, 14336.0))
    True
    """
    text = ",".join(f"{v:g}" for v in shape)
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) % FOLDS


def columns(rows: Iterable[Measurement], chip: ChipFacts) -> list[Columns]:
    """Group the measurements of one chip by key."""
    groups: dict[Key, list[Measurement]] = defaultdict(list)
    for row in rows:
        groups[row.key].append(row)
    return [_columns(key, found, chip) for key, found in sorted(groups.items(), key=_by_key)]


def _by_key(item: tuple[Key, list[Measurement]]) -> str:
    return item[0].text()


def _columns(key: Key, rows: list[Measurement], chip: ChipFacts) -> Columns:
    law = form(key.form)
    names = list(rows[0].sizes)
    text = "\n".join(sorted(row.text for row in rows))
    return Columns(
        key=key,
        law=law,
        chip=chip,
        sizes={n: np.array([row.sizes[n] for row in rows], dtype=float) for n in names},
        seconds=np.array([row.seconds for row in rows]),
        fold=_folds(law, rows),
        shapes=len({row.shape for row in rows}),
        digest=hashlib.sha256(text.encode()).hexdigest()[:16],
        source=", ".join(sorted({row.file for row in rows})),
    )


def _folds(law: Form, rows: list[Measurement]) -> Vector:
    """A fold per shape's hash; whole networks are few, so each model is a fold of its own."""
    if law.name not in ("network", "engine"):
        return np.array([fold_of(row.shape) for row in rows])
    models = sorted({row.shape for row in rows})
    return np.array([models.index(row.shape) for row in rows])


def is_trusted(rows: Columns) -> Mask:
    """Mark the rows no faster than 0.8 of the bound, what stays on chip left out.

    Others cannot have been measured on what the table states. A time shorter than any launch is
    the difference of two longer ones, and no kernel's.
    """
    marked: Mask = (rows.seconds >= ODD * rows.level_bound()) & (rows.seconds >= SHORTEST)
    return marked


def is_of_host(rows: Columns) -> bool:
    """Say whether a set's rows are the time a host takes to launch, not the kernel's.

    Nothing that streams a few kilobytes takes as long on a device, and the smallest of an ordinary
    set take a tenth of it; LLMCompass's rows of PyTorch do (47 and 52 us from 2 kB to 2 MB).
    """
    return rows.key.form == "stream" and float(rows.seconds.min()) > HOST_S


def trusted(rows: Columns) -> Columns:
    """Return the rows that ``is_trusted`` marks."""
    return rows.part(is_trusted(rows))


def fit(rows: Columns, prior: Vector | None = None, lean: float = 1.0) -> Vector:
    """Return the parameters that fit ``rows`` best.

    Args:
        rows: of one key.
        prior: what parameters lean to; the form's own starts unless given.
        lean: how much more than the form says.
    """
    law = rows.law
    start = np.array([p.start for p in law.parameters]) if prior is None else prior
    return solver.fit(
        rows.predict,
        rows.seconds,
        start,
        np.array([p.low for p in law.parameters]),
        np.array([p.high for p in law.parameters]),
        np.array([p.spread for p in law.parameters]) / lean,
    )


def held_back(rows: Columns) -> Vector:
    """Return measured over predicted, each row predicted by a fit that saw none of its shape.

    NaN where nothing could be held back.
    """
    ratio = np.full(rows.rows, np.nan)
    for fold in np.unique(rows.fold):
        out = rows.fold == fold
        if (~out).sum() >= FEWEST:
            values = fit(trusted(rows.part(~out)))
            ratio[out] = rows.seconds[out] / rows.part(out).predict(values)
    return ratio


def summarise(rows: Columns, values: Vector, ratio: Vector) -> ParameterSet:
    """Return the set: parameters fitted on all rows, error and band of those held back."""
    seen = ratio[np.isfinite(ratio)]
    low, high = band(seen)
    return ParameterSet(
        key=rows.key,
        values=tuple(float(v) for v in values),
        error=float(np.mean(np.abs(1 / seen - 1))) if len(seen) >= FEWEST_HELD else None,
        low=low,
        high=high,
        rows=rows.rows,
        shapes=rows.shapes,
        source=rows.source,
        digest=rows.digest,
        date=datetime.date.today().isoformat(),
    )


def band(ratio: Vector) -> tuple[float, float]:
    """Return the 10th and 90th percentile of measured over predicted, wider for few rows."""
    if len(ratio) < FEWEST_HELD:
        return WIDE
    logs = np.log(ratio)
    slack = 1 + 2 / len(logs)
    low, high = np.clip(np.quantile(logs, [0.1, 0.9]) * slack, -WIDEST, WIDEST)
    return float(np.exp(low)), float(np.exp(high))
