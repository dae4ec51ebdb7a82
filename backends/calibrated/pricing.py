"""The calibrated price of a row: the roofline's, stretched to what measured kernels take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from mansard.backends.calibrated.predict import Prediction, Predictor
from mansard.backends.calibrated.rows import RowFigures, figures
from mansard.backends.estimate import Row
from mansard.backends.hardware import Hardware
from mansard.backends.rates import Priced
from mansard.backends.schedule import number
from mansard.backends.sums import Piece
from mansard.backends.table import TableRow
from mansard.backends.totals import RowTotal
from mansard.ir.value import ONCHIP

UNMEASURED = 1 / 0.75
"""Links and places nobody measured: the bound over the median share of a link collectives reach."""

REMEMBERED = 16
"""Points of a row, at most."""

UNMEASURED_BAND = (1.0, 2.0)


@dataclass(frozen=True)
class Kernel:
    """A row of the cost table and what predicts it.

    Args:
        row: of the table.
        bound: its roofline price.
        predictor: of the chip.
        framework: of the engine; empty for any.
        slower: than the kernel alone, in the engine.
    """

    row: TableRow
    bound: Priced
    predictor: Predictor
    framework: str
    slower: float

    @cached_property
    def slots(self) -> tuple[int, ...]:
        """The quantities a prediction depends on."""
        row = self.row
        sizes = (slot for slot in row.dims.values() if not isinstance(slot, str))
        return (*sizes, *row.flops.values(), *row.traffic.values(), *row.payload.values())

    def at(self, values: Sequence[Any]) -> tuple[float, Prediction]:
        """Return the bound [s] and the prediction at a point."""
        bound_s = max((self.bound.seconds(r, values) for r in self.bound.resources), default=0.0)
        found = self._predict(values, bound_s).times(self.slower)
        median, low = max(found.median_s, bound_s), max(found.low_s, bound_s)
        return bound_s, replace(found, median_s=median, low_s=low, high_s=max(found.high_s, median))

    def _predict(self, values: Sequence[Any], bound_s: float) -> Prediction:
        row, chip = self.row, self.predictor.chip
        crossed = [level for t in self.bound.transfers for level in t.levels]
        if crossed and (_copies(row) or _leaves_the_node(crossed, chip)):
            low, high = UNMEASURED_BAND
            basis = "no measured link: the bound over 0.75"
            median = bound_s * UNMEASURED
            return Prediction(median, bound_s * low, bound_s * high, "collective", basis)
        return self.predictor.predict(figures(_figures(row, values, bound_s), chip, self.framework))


def _copies(row: TableRow) -> bool:
    return any(op == "copy" for op, _, _ in row.payload)


def _leaves_the_node(crossed: Sequence[Any], chip: Hardware) -> bool:
    link = chip.link_bytes_per_s
    return any(link is None or level.bytes_per_s < 0.99 * float(link) for level in crossed)


def _figures(row: TableRow, values: Sequence[Any], bound_s: float) -> RowFigures:
    moved = sum(float(values[slot]) for (place, _), slot in row.traffic.items() if place != ONCHIP)
    payload: dict[tuple[str, float], float] = {}
    for (op, _, ranks), slot in row.payload.items():
        key = op, float(number(ranks, "the ranks of a collective"))
        payload[key] = payload.get(key, 0.0) + float(values[slot])
    return RowFigures(
        kind=row.kind,
        dims={n: v if isinstance(v, str) else float(values[v]) for n, v in row.dims.items()},
        flops=sum(float(values[slot]) for slot in row.flops.values()),
        bytes=moved,
        payload=payload,
        weight=row.weight,
        bound_s=bound_s,
        name=row.name,
        cache_bytes=sum(
            float(values[slot]) for (_, role), slot in row.traffic.items() if role == "cache"
        ),
        dequantized=any("dequantize" in member for member in row.members),
    )


@dataclass(frozen=True)
class CalibratedPrice(Priced):
    """A price whose resources are stretched alike, so that the slowest takes what is predicted."""

    kernel: Kernel | None = None
    _known: dict[tuple[Any, ...], tuple[float, Prediction]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def seconds(self, resource: str, values: Sequence[Any]) -> float:
        """Return the time one resource needs at a point, stretched [s]."""
        bound_s, predicted = self.at(values)
        alone = super().seconds(resource, values)
        return alone * (predicted.median_s / bound_s) if bound_s else alone

    def at(self, values: Sequence[Any]) -> tuple[float, Prediction]:
        """Return the bound [s] and the prediction at a point; the last few are remembered.

        Most rows of a decode loop do not change from step to step.
        """
        assert self.kernel is not None
        key = tuple([values[slot] for slot in self.kernel.slots])
        seen = self._known.get(key)
        if seen is None:
            if len(self._known) > REMEMBERED:
                self._known.clear()
            seen = self._known[key] = self.kernel.at(values)
        return seen


def calibrated(kernel: Kernel) -> CalibratedPrice:
    """Return the calibrated price of a row."""
    p = kernel.bound
    return CalibratedPrice(
        p.rates, p.transfers, p.compute_dtype, p.unit, p.peak, p.notes, kernel=kernel
    )


@dataclass
class CalibratedTotal(RowTotal):
    """A row summed over the steps of a phase, with its bound and its band.

    Args:
        bound_s: of the same occurrences.
        low_s, high_s: the band of their time.
        form: of kernels, whose errors go the same way.
        basis: the set it rests on.
    """

    bound_s: float = 0.0
    low_s: float = 0.0
    high_s: float = 0.0
    form: str = ""
    basis: str = ""

    def take(self, piece: Piece, weight: float) -> float:
        """Add a piece of a stretch; return its time [s]."""
        before = dict(self.busy)
        time_s = super().take(piece, weight)
        price = self.priced
        assert isinstance(price, CalibratedPrice)
        (bound_a, a), (bound_b, b) = price.at(piece.start), price.at(piece.end)
        again = weight * float(piece.start[self.row.count]) * piece.steps
        bound_s = (bound_a + bound_b) / 2 * again
        median = (a.median_s + b.median_s) / 2 * again
        for name in price.resources:  # what a resource alone needs is not stretched
            alone = (self.busy[name] - before.get(name, 0.0)) * (bound_s / median if median else 1)
            self.busy[name] = before.get(name, 0.0) + alone
        self.bound_s += bound_s
        self.low_s += (a.low_s + b.low_s) / 2 * again
        self.high_s += (a.high_s + b.high_s) / 2 * again
        self.form, self.basis = b.kind, b.basis
        return time_s

    def shown(self, steps: float, total_s: float, chip: Hardware) -> Row:
        """Return the row as the mean step of the phase has it, with its bound and band."""
        n = self.occurrences
        return replace(
            super().shown(steps, total_s, chip),
            ideal_s=self.bound_s / n,
            low_s=self.low_s / n,
            high_s=self.high_s / n,
            basis=self.basis,
        )
