"""Time to first token of static batches: measured, held back, and as the sets that ship say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mansard.backends.calibrated import stacks
from mansard.backends.calibrated.band import Band
from mansard.backends.calibrated.fitting import Columns
from mansard.backends.calibrated.solver import Vector
from mansard.backends.calibrated.stacks import Fits
from mansard.backends.calibrated.tables import share, table


@dataclass(frozen=True)
class Figure:
    """One time of a batch [s]: measured, its bound, predicted, and the band around that."""

    measured: float
    bound: float
    predicted: float
    band: Band

    @property
    def error(self) -> float:
        """Absolute, relative to the measured time."""
        return abs(self.predicted / self.measured - 1)

    @property
    def is_inside(self) -> bool:
        """Whether the band holds what was measured."""
        return self.band.low <= self.measured <= self.band.high

    @property
    def cells(self) -> tuple[str, ...]:
        """Measured, bound, calibrated, band and verdict."""
        times = (f"{v:.3g}" for v in (self.measured, self.bound, self.predicted))
        band = f"{self.band.low:.3g} - {self.band.high:.3g}"
        return (*times, band, "in" if self.is_inside else "**out**")


@dataclass(frozen=True)
class StaticBatch:
    """A static batch with its first token and its end."""

    chip: str
    engine: str
    model: str
    first: Figure
    whole: Figure


def held_back(fitted: Mapping[str, Fits]) -> str:
    """Return first tokens of models that were left out, a row each."""
    head = ("chip", "engine", "model", "ranks", "batch", "measured", "left out", "off")
    lines = [
        line
        for chip, fits in fitted.items()
        for key, (_, rows, ratio) in fits.items()
        for part, one in stacks.parts(key, rows)
        if part.family == stacks.FIRST
        for line in _lines(chip, key.framework, rows.part(one), ratio[one])
    ]
    return table(head, lines) if lines else "The folder has no first tokens."


def _lines(chip: str, engine: str, rows: Columns, ratio: Vector) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each row."""
    z = rows.sizes
    for i in np.flatnonzero(np.isfinite(ratio)):
        seconds, off = rows.seconds[i], 1 / ratio[i] - 1
        model = f"{z['parameters'][i] / 1e9:.1f}B dense"
        batch = f"{z['batch'][i]:.0f} × {z['prompt'][i]:.0f}"
        times = (f"{1e3 * v:.{1 if v < 0.1 else 0}f} ms" for v in (seconds, seconds / ratio[i]))
        yield chip, engine, model, f"{z['tp'][i]:.0f}", batch, *times, f"{100 * off:+.1f} %"


NAMES = ("measured", "bound", "calibrated", "band", "")


def first_tokens(batches: Sequence[StaticBatch]) -> str:
    """Return the batches as a table, and how far off their first tokens and ends are."""
    if not batches:
        return "The folder has no e2e/lib_ttft.csv: nothing was compared."
    head = ("chip, engine, model", *(f"TTFT {n}".strip() for n in NAMES),
            *(f"batch {n}".strip() for n in NAMES))  # fmt: skip
    lines = [(f"{b.chip} {b.engine} {b.model}", *b.first.cells, *b.whole.cells) for b in batches]
    said = [
        _summary("Time to first token", [b.first for b in batches]),
        _summary("Whole batch", [b.whole for b in batches]),
    ]
    return "\n".join([*said, "", table(head, lines)])


def _summary(name: str, some: Sequence[Figure]) -> str:
    error = sum(f.error for f in some) / len(some)
    naive = sum(abs(f.bound / f.measured - 1) for f in some) / len(some)
    inside = sum(f.is_inside for f in some)
    return (
        f"- {name}: {share(error)} off in the mean (the bound {share(naive)}),"
        f" {inside} of {len(some)} rows inside the band."
    )
