"""Axes that change nothing: fields of the devices that no operator is timed by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mansard.core.errors import MansardError
from mansard.core.notes import Note
from mansard.query.overrides import NETWORK
from mansard.query.sweeps.cases import Layout
from mansard.query.sweeps.fields import JOINS, as_number
from mansard.query.sweeps.programs import rows_of
from mansard.query.target import target_of

if TYPE_CHECKING:
    from mansard.backends.table import TableRow
    from mansard.query.study import Study
    from mansard.query.sweeps.axes import Axis
    from mansard.query.sweeps.programs import Engines, Rows

PEAKS = "hardware.peak."


def about_idle(layout: Layout, engines: Engines) -> Iterator[Note]:
    """Yield a note of every rate, latency or network that varies and times no operator.

    Found by pricing the rows of every program with the ends of the axis: where all prices are the
    same, so is every row of the result. Schedules that are stepped have no rows, and nothing is
    said of them.
    """
    asked = [a for a in layout.axes if len(a.values) > 1 and _may_be_idle(a, layout.study)]
    if not asked:
        return
    try:
        study = layout.case(0).study
        programs = _programs(layout, study, engines)
    except MansardError:
        return  # left out for a reason of its own, which is said
    if not programs:
        return
    chips = next((a.values for a in layout.axes if a.name == "on"), (study.on,))
    for axis in asked:
        if all(_same(axis, replace(study, on=on), mesh, rows)
               for on in chips for mesh, rows in programs):  # fmt: skip
            yield Note("M157", f"{axis.name} does not occur: no operator here is timed by it")


def _programs(layout: Layout, study: Study, engines: Engines) -> list[Rows]:
    """Return every program of a sweep; nothing where some are not at hand.

    Where only devices vary there is one. It may be on disk alone, or in another process.
    """
    if all(a.kind in ("on", "network", "hardware") for a in layout.structural):
        return [rows_of(study.prepared, study.compiled)]
    return engines.programs


def _may_be_idle(axis: Axis, study: Study) -> bool:
    """Say whether an axis can matter by the time of operators alone."""
    rates = JOINS if study.kind != "ideal" else (*JOINS, PEAKS)
    return axis.name == NETWORK or axis.name.startswith(rates)


def _same(
    axis: Axis, study: Study, mesh: Mapping[str, int], rows: Sequence[TableRow] | None
) -> bool:
    """Say whether every row costs the same at both ends of an axis."""
    from mansard.backends.rates import price

    if rows is None:
        return False
    try:
        low, high = (
            target_of(study.on, {**study.set, axis.name: str(value)}).laid_out(mesh)
            for value in _ends(axis)
        )
        return all(price(row, low) == price(row, high) for row in rows)
    except MansardError:
        return False


def _ends(axis: Axis) -> tuple[Any, Any]:
    numbers = {n: v for v in axis.values if (n := as_number(v, True)) is not None}
    if len(numbers) == len(axis.values):
        return numbers[min(numbers)], numbers[max(numbers)]
    return axis.values[0], axis.values[-1]
