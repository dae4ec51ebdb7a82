"""Rows of a call as functions of scenarios: polynomials of their sizes, forms of their times."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mansard.backends.calibrated.columns import COLUMNS, Parts
from mansard.backends.calibrated.engine import Slowing
from mansard.backends.calibrated.predict import Prediction, Predictor
from mansard.backends.calibrated.pricing import EXCHANGE, Kernel, routing_of
from mansard.backends.calibrated.rows import regime
from mansard.backends.calibrated.scales import lie_in_blocks
from mansard.backends.calibrated.traced_numbers import UndecidedError
from mansard.backends.calibrated.tracer import Tracer
from mansard.backends.cluster import Cluster
from mansard.backends.engine.links import transfer_terms
from mansard.backends.engine.lowered import NotCompiledError, Segment
from mansard.backends.engine.points import Operand, Points
from mansard.backends.engine.polynomials import Rebound, Space, add, freeze, scaled
from mansard.backends.quantity import Terms
from mansard.backends.rates import Priced, price
from mansard.backends.table import TableRow
from mansard.core.symbols import Symbol


class MixedError(NotCompiledError):
    """Some scenarios are served by another kernel than others."""


@dataclass
class KernelRow:
    """One kernel of a call.

    Args:
        kernel: what predicts it.
        rows: the values of its quantities, over scenarios.
        resources: the seconds each resource needs in the bound, of one occurrence.
        count: occurrences in a call.
        form, basis: of the last prediction.
    """

    kernel: Kernel
    rows: Rebound
    resources: tuple[Terms, ...]
    count: Terms
    form: str = ""
    basis: str = ""

    def mentions(self, space: Space, symbol: Symbol) -> bool:
        """Say whether its time depends on a symbol."""
        return any(space.mentions(terms, symbol) for terms in self.terms())

    def terms(self) -> Iterator[Terms]:
        """Yield all that its time depends on."""
        yield from self.resources
        yield from (self.rows.terms(slot) for slot in self.kernel.slots)
        yield self.count

    def regime(self, points: Points) -> Operand:
        """Return a number that is equal where the same kernel serves it."""
        return regime(self.kernel.figures(_Values(self.rows, points), 0.0, _as_it_is), COLUMNS)

    def at(self, points: Points, bands: bool) -> Parts:
        """Return what it adds at every point.

        Raises:
            MixedError: another kernel serves some of them.
        """
        bound_s = self._bound_s(points)
        read = self.kernel.figures(_Values(self.rows, points), bound_s, _as_it_is)
        code = regime(read, COLUMNS)
        if np.size(code) > 1 and np.ptp(code) > 0:
            raise MixedError(f"another kernel serves some scenarios of {self.kernel.row.name}")
        found = self.kernel.predicted(read, COLUMNS, bands)
        self.form, self.basis = found.kind, found.basis
        count = points.polynomial(self.count)
        median = found.median_s
        if not np.all(bound_s > 0):
            median = np.where(bound_s > 0, median, 0.0)
        return self._parts(median, found, bound_s, count, bands)

    def traced(self, tracer: Tracer, bands: bool) -> Parts:
        """Return what it adds, as polynomials.

        Raises:
            UndecidedError: what serves it depends on the scenario.
        """
        bound_s = tracer.number(self.resources[0])
        for terms in self.resources[1:]:
            bound_s = tracer.maximum(bound_s, tracer.number(terms))
        read = self.kernel.figures(_TracedValues(self.rows, tracer), bound_s, _as_it_is)
        if not isinstance(regime(read, tracer), int | float):
            raise UndecidedError(f"another kernel serves some scenarios of {self.kernel.row.name}")
        found = self.kernel.predicted(read, tracer, bands)
        self.form, self.basis = found.kind, found.basis
        count = tracer.number(self.count)
        median = tracer.where(bound_s > 0, found.median_s, 0.0)
        return self._parts(median, found, bound_s, count, bands)

    def _parts(
        self, median: Any, found: Prediction, bound_s: Any, count: Any, bands: bool
    ) -> Parts:
        parts = {("time", ""): median * count}
        if bands:
            parts["bound", ""] = bound_s * count
            parts["down", self.form] = (median - found.low_s) * count
            parts["up", self.form] = (found.high_s - median) * count
        return parts

    def sides(self, points: Points) -> Mapping[str, Operand]:
        """Return what each resource asks of one occurrence at every point [s].

        One kernel serves them all: ``regime`` is equal.
        """
        values = _Values(self.rows, points)
        read = self.kernel.figures(values, self._bound_s(points), _as_it_is)
        return self.kernel.sides(read, COLUMNS)

    def _bound_s(self, points: Points) -> Operand:
        bound_s: Operand = points.polynomial(self.resources[0])
        for terms in self.resources[1:]:
            bound_s = np.maximum(bound_s, points.polynomial(terms))
        return bound_s


class _Values:
    """Quantities of a row at points."""

    def __init__(self, rows: Rebound, points: Points) -> None:
        self._rows, self._points = rows, points

    def __getitem__(self, slot: int) -> Operand:
        return self._points.polynomial(self._rows.terms(slot))


class _TracedValues:
    """Quantities of a row, traced."""

    def __init__(self, rows: Rebound, tracer: Tracer) -> None:
        self._rows, self._tracer = rows, tracer

    def __getitem__(self, slot: int) -> Any:
        return self._tracer.number(self._rows.terms(slot))


def _as_it_is(value: Any) -> Any:
    return value


def kernel_rows(
    segment: Segment, cluster: Cluster, space: Space, predictor: Predictor, framework: str,
    slower: Callable[[str], Slowing],
) -> list[KernelRow]:  # fmt: skip
    """Return the rows of a segment that take time, equal ones merged.

    Raises:
        NotCompiledError: rows side by side.
    """
    found: dict[object, KernelRow] = {}
    for made in each_row(segment, cluster, space, predictor, framework, slower):
        key = _key(made.kernel.row, made)
        if key in found:
            made.count = add([found[key].count, made.count])
        found[key] = made
    return list(found.values())


def each_row(
    segment: Segment, cluster: Cluster, space: Space, predictor: Predictor, framework: str,
    slower: Callable[[str], Slowing],
) -> Iterator[KernelRow]:  # fmt: skip
    """Yield the rows of a segment that take time.

    Raises:
        NotCompiledError: rows side by side.
    """
    if segment.table is None or segment.rows is None:
        return
    for row in segment.table.rows:
        if row.group:
            raise NotCompiledError("streams side by side are stepped")
        bound = price(row, cluster)
        resources = _resources(bound, segment.rows, space)
        if not resources:
            continue
        count = segment.rows.terms(row.count)
        rows = segment.table.rows
        routing, blocks = routing_of(row, rows), lie_in_blocks(row, rows)
        kernel = Kernel(row, bound, predictor, framework, slower(row.kind), routing, blocks)
        yield KernelRow(kernel, segment.rows, resources, count)


def _resources(bound: Priced, rows: Rebound, space: Space) -> tuple[Terms, ...]:
    found = [
        add([scaled(rows.terms(slot), each) for slot, each in rates])
        for rates in bound.rates.values()
    ]
    if bound.transfers:
        sent = [
            transfer_terms(space, rows.terms(t.quantity), t.op, t.levels) for t in bound.transfers
        ]
        found.append(add(sent))
    return tuple(found)


def _key(row: TableRow, made: KernelRow) -> object:
    """Return what rows agree on that take equally long, whatever their names."""
    dims = tuple(v if isinstance(v, str) else freeze(made.rows.terms(v)) for v in row.dims.values())
    work = tuple(freeze(made.rows.terms(slot)) for slot in made.kernel.slots)
    narrow = any("dequantize" in member for member in row.members)
    return (row.kind, "gate_up" in row.name, row.weight, narrow, tuple(row.dims), dims, work,
            tuple(row.flops), tuple(row.traffic), tuple(row.payload), _way(row))  # fmt: skip


def _way(row: TableRow) -> str:
    """Return whether rows go to experts or back, which are other kernels."""
    return next((way for way in ("dispatch", "combine") if f"{way}.{EXCHANGE}" in row.name), "")


def added_rows(
    rows: Sequence[KernelRow], points: Points, bands: bool
) -> dict[tuple[str, str], Any]:
    """Return the sum of rows at every point."""
    total: dict[tuple[str, str], Any] = {}
    for row in rows:
        for key, value in row.at(points, bands).items():
            total[key] = total[key] + value if key in total else value
    return total
