"""The result of a sweep: labelled columns, one row a point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

import numpy as np

from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.query.beside import FIELDS_BESIDE
from mansard.query.report import finite
from mansard.query.sweeps.axes import Axis
from mansard.query.sweeps.metrics import FIELDS, FITS, MAKES


@dataclass(frozen=True, eq=False)
class Sweep:
    """Points of a sweep.

    Args:
        axes: what varied, in the order given.
        columns: name → one value a row: the scenario, the axes, the metrics.
        points: combinations in all.
        evaluated: how many of them were.
        reduced: how they were reduced; empty when every row is here.
        notes: what the rows rest on.
        interrupted: whether it was stopped before its end.
    """

    axes: tuple[Axis, ...]
    columns: Mapping[str, Sequence[Any]]
    points: int
    evaluated: int
    reduced: str = ""
    notes: tuple[Note, ...] = ()
    interrupted: bool = False
    _order: tuple[int, ...] = field(default=(), repr=False)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the columns that were computed."""
        computed = (*FIELDS, *FIELDS_BESIDE, MAKES, FITS)
        return tuple(name for name in self.columns if name in computed)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the columns that say what a row is about."""
        return tuple(name for name in self.columns if name not in self.metrics)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One plain mapping a row; what is unknown is None."""
        return list(self.records())

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the rows one by one."""
        names = tuple(self.columns)
        for values in zip(*(_listed(c) for c in self.columns.values()), strict=True):
            yield {n: finite(v) for n, v in zip(names, values, strict=True)}

    def to_dict(self) -> list[dict[str, Any]]:
        """Return the rows, as ``mansard sweep -f json`` prints them."""
        return self.rows

    def to_pandas(self) -> Any:
        """Return a pandas ``DataFrame`` with a column each.

        Raises:
            ImportError: pandas is not installed.
        """
        import pandas

        return pandas.DataFrame({name: _listed(c) for name, c in self.columns.items()})

    def to_xarray(self) -> Any:
        """Return an xarray ``Dataset`` with a dimension an axis, or one of rows once reduced.

        Raises:
            ImportError: xarray is not installed.
        """
        import xarray

        arrays = {name: np.asarray(_listed(self.columns[name])) for name in self.metrics}
        if self.reduced or self.evaluated < self.points or len(self) != self.points:
            labels = {
                name: ("row", np.asarray(_listed(self.columns[name]))) for name in self.labels
            }
            return xarray.Dataset({n: ("row", a) for n, a in arrays.items()}, labels)
        names = tuple(a.name for a in self.axes)
        shape = tuple(len(a.values) for a in self.axes)
        coordinates = {a.name: [a.shown(k) for k in range(len(a.values))] for a in self.axes}
        return xarray.Dataset(
            {n: (names, a.reshape(shape)) for n, a in arrays.items()}, coordinates
        )

    def figure(self, kind: str = "heatmap", *metrics: str) -> Any:
        """Draw the sweep as SVG: a "heatmap" of one metric over two axes, a "pareto" of two.

        Raises:
            MansardError: no such figure or metric, or the sweep is not over two axes.
        """
        from importlib import import_module

        return import_module("mansard.render.drawings.sweeps").figure_of(self, kind, metrics)

    def plot(self, kind: str = "heatmap", *metrics: str, ax: Any = None) -> Any:
        """Draw the same figure on matplotlib axes; return them. Needs the extra ``plot``.

        Raises:
            MansardError: no such figure or metric, the sweep is not over two axes, or matplotlib is
                not installed.
        """
        from importlib import import_module

        return import_module("mansard.render.plots.sweeps").plot_of(self, kind, metrics, ax)

    def __str__(self) -> str:
        from importlib import import_module

        return str(import_module("mansard.render.sweeps").plain(self))

    def _repr_html_(self) -> str:
        from importlib import import_module

        return str(import_module("mansard.render.notebook").sweep_html(self))


def _listed(column: Sequence[Any]) -> list[Any]:
    return column.tolist() if isinstance(column, np.ndarray) else list(column)
