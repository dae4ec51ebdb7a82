"""The calibrated price of a row: the roofline's, stretched to what measured kernels take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

from mansard.backends.calibrated.attention_rows import widen_s
from mansard.backends.calibrated.engine import Slowing
from mansard.backends.calibrated.form import PLAIN, Number
from mansard.backends.calibrated.predict import Prediction, Predictor
from mansard.backends.calibrated.row_figures import RowFigures
from mansard.backends.calibrated.rows import figures
from mansard.backends.calls import number
from mansard.backends.hardware import Hardware
from mansard.backends.rates import LINK, Priced
from mansard.backends.table import TableRow
from mansard.ir.value import ONCHIP

UNMEASURED = 1 / 0.75
"""Links and places nobody measured: the bound over the median share of a link collectives reach."""

EXCHANGE = "all_to_all"
"""The collective between experts' ranks."""

SOFTWARE = "; the chip has no fp8, so its cache is widened in software"
"""What is said of attention that pays for it."""

REMEMBERED = 16
"""Points of a row, at most."""

UNMEASURED_BAND = (1.0, 2.0)


class Values(Protocol):
    """The values of quantities, by their slots."""

    def __getitem__(self, slot: int, /) -> Any:
        """Return one quantity."""


@dataclass(frozen=True)
class Kernel:
    """A row of the cost table and what predicts it.

    Args:
        row: of the table.
        bound: its roofline price.
        predictor: of the chip.
        framework: of the engine; empty for any.
        slower: than the kernel alone, in a phase of the engine.
        routing: of an exchange of experts' rows, the quantities it depends on.
        blocks: whether its weight has a scale for each block.
    """

    row: TableRow
    bound: Priced
    predictor: Predictor
    framework: str
    slower: Slowing
    routing: Mapping[str, int] = field(default_factory=dict)
    blocks: bool = False

    @cached_property
    def slots(self) -> tuple[int, ...]:
        """The quantities a prediction depends on."""
        row = self.row
        sizes = (slot for slot in row.dims.values() if not isinstance(slot, str))
        work = (*row.flops.values(), *row.traffic.values(), *row.payload.values())
        return (*sizes, *work, *self.routing.values())

    def at(self, values: Sequence[Any]) -> tuple[float, Prediction]:
        """Return the bound [s] and the prediction at a point."""
        bound_s = max((self.bound.seconds(r, values) for r in self.bound.resources), default=0.0)
        return bound_s, self.predicted(self.figures(values, bound_s), PLAIN)

    def figures(
        self, values: Values, bound_s: Number, number: Callable[[Any], Number] = float
    ) -> RowFigures:
        """Return the row's numbers, from the values of its quantities and its bound [s]."""
        read = _figures(self.row, values, bound_s, number)
        if self.blocks:
            return replace(read, blocks=True)
        if not self.routing:
            return read
        return replace(read, routing={n: number(values[s]) for n, s in self.routing.items()})

    def predicted(self, read: RowFigures, xp: Any, bands: bool = True) -> Prediction:
        """Return the prediction in the engine, never below the bound; with arrays, of many."""
        bound_s = read.bound_s
        found = self._predict(read, xp, bands)
        more_s = self.slower.widen * found.widen_s
        if not bands:
            median = found.median_s * found.slower + more_s
            return replace(found, median_s=xp.maximum(median, bound_s))
        found = found.times(found.slower)
        median = xp.maximum(found.median_s + more_s, bound_s)
        low = xp.maximum(found.low_s + more_s, bound_s)
        high = xp.maximum(found.high_s + more_s, median)
        return replace(found, median_s=median, low_s=low, high_s=high)

    def sides(self, read: RowFigures, xp: Any) -> Mapping[str, Number]:
        """Return what each resource asks for [s], of the terms whose greatest the time follows."""
        if not self._unmeasured:
            asked = figures(read, self.predictor.chip, self.framework, xp)
            found = self.predictor.sides(asked, xp)
            if found is not None:
                return found
        return {LINK: read.bound_s}

    @cached_property
    def _unmeasured(self) -> bool:
        """Whether it goes by a link nobody measured."""
        crossed = [level for t in self.bound.transfers for level in t.levels]
        chip = self.predictor.chip
        return bool(crossed) and (_copies(self.row) or _leaves_the_node(crossed, chip))

    def _predict(self, read: RowFigures, xp: Any, bands: bool) -> Prediction:
        chip, bound_s = self.predictor.chip, read.bound_s
        if self._unmeasured:
            low, high = UNMEASURED_BAND
            basis = "no measured link: the bound over 0.75"
            median = bound_s * UNMEASURED
            ends = bound_s * low, bound_s * high
            return Prediction(median, *ends, "collective", basis, slower=self.slower.plain)
        asked = figures(read, chip, self.framework, xp)
        found = self.predictor.predict(asked, xp, bands)
        slower = self.slower.of(asked.form, asked.sizes, xp)
        decodes = asked.form == "attention_decode"
        more_s = widen_s(read, asked.sizes, chip, xp) if decodes else 0.0
        in_software = self.slower.widen > 0.0 and xp.any(more_s > 0.0)
        basis = found.basis + SOFTWARE * bool(in_software)
        return replace(found, slower=slower, widen_s=more_s, basis=basis)


def routing_of(row: TableRow, rows: Sequence[TableRow]) -> Mapping[str, int]:
    """Return the quantities an exchange of experts' rows depends on; none of any other row.

    How many experts there are and how many a token takes is said by the row that chooses them, how
    many rows a rank gets and how wide they are by the experts' first product.
    """
    ends = row.name.endswith((f"dispatch.{EXCHANGE}", f"combine.{EXCHANGE}"))
    if not ends or not any(op == EXCHANGE for op, _, _ in row.payload):
        return {}
    chosen = next((r.dims for r in rows if r.kind == "top_k"), {})
    product = next((r.dims for r in rows if r.kind == "grouped_linear"), {})
    named = {"rows": product.get("m"), "width": product.get("k"),
             "top_k": chosen.get("k"), "experts": chosen.get("experts")}  # fmt: skip
    found = {name: slot for name, slot in named.items() if isinstance(slot, int)}
    return found if len(found) == len(named) else {}


def _copies(row: TableRow) -> bool:
    return any(op == "copy" for op, _, _ in row.payload)


def _leaves_the_node(crossed: Sequence[Any], chip: Hardware) -> bool:
    link = chip.link_bytes_per_s
    return any(link is None or level.bytes_per_s < 0.99 * float(link) for level in crossed)


def _figures(
    row: TableRow, values: Values, bound_s: Number, as_number: Callable[[Any], Number]
) -> RowFigures:
    def added(slots: Iterable[int]) -> Number:
        return sum((as_number(values[slot]) for slot in slots), 0.0)

    payload: dict[tuple[str, float], Number] = {}
    for (op, _, ranks), slot in row.payload.items():
        key = op, float(number(ranks, "the ranks of a collective"))
        payload[key] = payload.get(key, 0.0) + as_number(values[slot])
    return RowFigures(
        kind=row.kind,
        dims={n: v if isinstance(v, str) else as_number(values[v]) for n, v in row.dims.items()},
        flops=added(row.flops.values()),
        bytes=added(slot for (place, _), slot in row.traffic.items() if place != ONCHIP),
        payload=payload,
        weight=row.weight,
        bound_s=bound_s,
        name=row.name,
        cache=next((v.encoding.dtype for v in row.cost.reads if v.role == "cache"), ""),
        cache_bytes=added(slot for (_, role), slot in row.traffic.items() if role == "cache"),
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

    @property
    def alone(self) -> Priced:
        """The bound's price."""
        assert self.kernel is not None
        return self.kernel.bound

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
