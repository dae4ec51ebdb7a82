"""Rows of a sweep: the labels of points and the metrics the contract names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from mansard.backends.hardware import Hardware
from mansard.query.beside import columns as beside
from mansard.query.calibration import CALIBRATED
from mansard.query.metrics import METRICS
from mansard.query.sweeps.cases import Layout, parameter
from mansard.query.sweeps.cases import numbers as numbers_of
from mansard.query.sweeps.metrics import FITS, MAKES, SHOWN, figures_of, valued
from mansard.query.sweeps.once import TOKENS, Once, makes_tokens
from mansard.query.sweeps.programs import Engines, figures_at
from mansard.query.sweeps.reduce import Array, Numbers

if TYPE_CHECKING:
    from mansard.query.sweeps.programs import Engine

SPENT = ("energy", "cost", "cost_per_mtok")


def labelled(layout: Layout, numbers: Numbers, engines: Engines) -> dict[str, Sequence[Any]]:
    """Return the columns of some points, evaluated case by case."""
    at = indices(layout, numbers)
    cases = layout.cases_at(at)
    grid = layout.grid()
    names = figures_of(layout.study.kind)
    found: dict[str, Array] = {n: np.full(numbers.size, np.nan) for n in (*names, *SPENT)}
    for number in np.unique(cases):
        here = np.flatnonzero(cases == number)
        engine = engines.of(layout.case(int(number)))
        sizes: dict[str, Any] = {name: float(values[0]) for name, values in grid.items()}
        for axis in layout.inner:
            sizes[parameter(axis)] = _taken(numbers_of(axis), at[axis.name][here])
        values = figures_at(engine, sizes, names)
        for name, value in spent(engine, values, layout.study.price).items():
            found[name][here] = value
    return assembled(layout, numbers, found, engines.prompts, engines.once)


def assembled(
    layout: Layout,
    numbers: Numbers,
    figures: Mapping[str, Array],
    prompts: Mapping[int, int] = MappingProxyType({}),
    once: Mapping[int, Once] = MappingProxyType({}),
) -> dict[str, Sequence[Any]]:
    """Return labels and metrics as columns, in the contract's order.

    Args:
        layout: of the sweep.
        numbers: of its points.
        figures: of them.
        prompts: case → the prompt its model reads, where that is another than was asked.
        once: case → its engine, where the model makes no tokens; a size that it does not have
            is unknown.
    """
    at = indices(layout, numbers)
    by_name = {a.name: a for a in layout.axes}
    study, asked = layout.study, layout.study.scenario
    fixed: dict[str, Any] = {"model": shown(study.source), "on": shown(study.on)}
    fixed |= {"batch": asked.batch}
    lengths = study.lengths or (asked.prompt, asked.output)
    if asked.single_step:
        fixed |= {"context": asked.prompt}
    else:
        fixed |= {"prompt": lengths[0] or asked.prompt, "output": lengths[1] or asked.output}
    columns: dict[str, Sequence[Any]] = {}
    cases: list[int] = []
    if prompts or once:
        cases = np.broadcast_to(layout.cases_at(at), numbers.shape).tolist()
    fixed |= {"estimate": study.kind}
    for name in dict.fromkeys((*fixed, *by_name)):
        axis = by_name.get(name)
        if axis is None:
            columns[name] = [fixed[name]] * numbers.size
            if name in ("prompt", "output") and cases:
                read = prompts if name == "prompt" else {}
                lacking = {case for case, engine in once.items() if name not in engine.sizes}
                columns[name] = [
                    None if case in lacking else read.get(case, fixed[name]) for case in cases
                ]
        elif axis.is_size:
            columns[name] = _taken(axis.values, at[name]).astype(np.int64).tolist()
        else:
            values = [shown(axis.shown(k)) for k in range(len(axis.values))]
            columns[name] = [values[k] for k in at[name].tolist()]
    for name in SHOWN:
        whole = METRICS[name].dimension == "bytes"
        columns[METRICS[name].field] = _whole(figures[name]) if whole else figures[name].tolist()
    if study.kind == CALIBRATED:
        columns |= {name: values.tolist() for name, values in beside(figures).items()}
    made = {case: engine.makes for case, engine in once.items()}
    columns[MAKES] = [made.get(case, TOKENS) for case in cases] or [TOKENS] * numbers.size
    memory, capacity = figures["memory"], figures["capacity"]
    unknown = np.isnan(capacity)
    columns[FITS] = [None if u else bool(m <= c)
                     for u, m, c in zip(unknown, memory, capacity, strict=True)]  # fmt: skip
    return columns


def spent(engine: Engine, figures: Mapping[str, Any], price: float | None) -> dict[str, Any]:
    """Return figures with the energy and the money of a batch."""
    chip, devices = engine.cluster.chip, engine.cluster.devices
    made = SPENT if makes_tokens(engine) else SPENT[:-1]
    known = {name: valued(name, figures, chip, devices, price) for name in made}
    return {**figures, **dict.fromkeys(SPENT, np.nan), **known}


def indices(layout: Layout, numbers: Numbers) -> dict[str, Numbers]:
    """Return axis → the index of its value at each point."""
    found: dict[str, Numbers] = {}
    rest = numbers
    for axis in reversed(layout.axes):
        rest, found[axis.name] = np.divmod(rest, len(axis.values))
    return found


def shown(value: Any) -> Any:
    """Return what a source or a chip is called; anything else as it is."""
    match value:
        case Hardware():
            return value.id
        case Path():
            return str(value)
        case Mapping():
            return str(value.get("_name_or_path", "") or value.get("model_type", "config"))
    origin = getattr(value, "origin", None)  # of a Program
    return value if origin is None else origin.name


def _taken(values: Sequence[Any], at: Numbers) -> Any:
    if isinstance(values, range):
        return np.asarray(values.start + at * values.step, dtype=float)
    return np.asarray(values, dtype=float)[at]


def _whole(values: Array) -> list[int | float | None]:
    """Return bytes as whole numbers where they are."""
    return [None if v != v else int(v) if v == int(v) else v for v in values.tolist()]
