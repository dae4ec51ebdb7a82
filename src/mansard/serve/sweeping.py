"""A page's sweep: axes that are checked, columns, and the points that no other beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from mansard.core.errors import SpecError
from mansard.query.metrics import METRICS
from mansard.query.report import finite
from mansard.query.sweeps.axes import read_axes
from mansard.query.sweeps.metrics import read_metric
from mansard.query.sweeps.reduce import Front
from mansard.serve.names import Names

if TYPE_CHECKING:
    from mansard.query.study import Study
    from mansard.query.sweeps.axes import Axis

MOST_POINTS = 20_000
"""Points of a sweep that a page is given; more is a task for the command line."""
MOST_AXES = 3


def asked_axes(body: Mapping[str, Any], names: Names) -> tuple[Axis, ...]:
    """Return the axes of a request, every value checked.

    Raises:
        MansardError: none or too many, too many points, or a name that may not be named.
    """
    given = body.get("axes")
    if not isinstance(given, Mapping) or not 1 <= len(given) <= MOST_AXES:
        raise SpecError("a sweep has one to three axes", hint='{"batch": "1..512x2"}')
    axes = tuple(read_axes({str(k)[:80]: str(v)[:2000] for k, v in given.items()}))
    for axis in axes:
        _check(axis.name, axis.kind, axis.values, names)
    points = prod(len(axis.values) for axis in axes)
    if points > MOST_POINTS:
        raise SpecError(f"{points:,} points are more than the {MOST_POINTS:,} of a page",
                        hint="vary less, or use `mansard sweep`")  # fmt: skip
    return axes


def swept(study: Study, axes: Sequence[Axis], pareto: Sequence[str]) -> dict[str, Any]:
    """Return every point as columns, and the rows of the front of some metrics."""
    found = study.sweep({a.name: a.values for a in axes})
    columns = {name: finite(_listed(column)) for name, column in found.columns.items()}
    return {
        "axes": {a.name: [finite(a.shown(k)) for k in range(len(a.values))] for a in axes},
        "columns": columns,
        "front": _front(columns, [read_metric(m) for m in pareto]),
        "notes": [{"code": n.code, "message": n.message} for n in found.notes],
    }


def _check(name: str, kind: str, values: Sequence[Any], names: Names) -> None:
    if kind == "model":
        for value in values:
            names.model(str(value))
    elif kind == "on":
        for value in values:
            names.chip(str(value))
    elif kind == "technique":
        technique, _, option = name.partition(".")
        for value in values:
            names.check_option(technique, option, value)


def _front(columns: Mapping[str, Sequence[Any]], metrics: Sequence[str]) -> list[int]:
    """Return the rows that no other beats in every metric, those that do not fit left out."""
    if not metrics:
        return []
    values = {m: np.array(columns[METRICS[m].field], dtype=float) for m in metrics}
    fits = np.array([fit is not False for fit in columns.get("fits", [True])])
    front = Front(metrics)
    front.add({m: np.where(fits, v, np.nan) for m, v in values.items()}, lambda places: places)
    rows: list[int] = front.numbers.tolist()
    return rows


def _listed(column: Any) -> list[Any]:
    return column.tolist() if hasattr(column, "tolist") else list(column)
