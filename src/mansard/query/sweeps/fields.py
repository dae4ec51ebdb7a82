"""Fields of the chip as axes that are evaluated at once, beside batch, prompt and output."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mansard.query.overrides import NETWORK
from mansard.query.sweeps.spans import Amount
from mansard.query.target import target_of

if TYPE_CHECKING:
    from mansard.backends.cluster import Cluster
    from mansard.query.engines import Engine
    from mansard.query.study import Study
    from mansard.query.sweeps.axes import Axis

JOINS = ("hardware.link.", f"{NETWORK}.")
"""Beginnings of fields that say what joins devices."""
RATES = ("hardware.memory.bandwidth", "hardware.memory.capacity", "hardware.peak.", *JOINS)
"""Fields, and beginnings of some, that may be parameters of a table; others are cases."""
LATENCY = ".latency"


def as_number(value: Any, zero: bool = False) -> float | None:
    """Return the number a value is in SI base units; None of text and of what is no such number.

    Args:
        value: of an axis.
        zero: whether it may be nothing, as a latency may; else it is positive.
    """
    number = value.value if isinstance(value, Amount) else value
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        return None
    least = number >= 0 if zero else number > 0
    return float(number) if math.isfinite(number) and least else None


def is_field(axis: Axis, study: Study) -> bool:
    """Say whether all values of an axis are evaluated at once."""
    if axis.kind != "hardware" or study.kind != "ideal" or study.mix is not None:
        return False
    known = axis.name in RATES or axis.name.startswith(tuple(r for r in RATES if r[-1] == "."))
    zero = axis.name.endswith(LATENCY)
    read = (as_number(v, zero) for v in axis.values)
    return known and len(axis.values) > 1 and all(number is not None for number in read)


def varied(engine: Engine, study: Study, axes: Sequence[Axis]) -> Engine | OneByOne:
    """Return an engine that takes fields of the chip, too.

    Args:
        engine: of some values of theirs.
        study: it is of.
        axes: the fields.

    Raises:
        MansardError: a value the field does not take.
    """
    from mansard.backends.engine.compiled import Compiled
    from mansard.backends.engine.lowered import NotCompiledError
    from mansard.backends.engine.parameters import Parameter

    def chosen(values: Mapping[str, Any]) -> Cluster:
        changed = {**study.set, **{name: str(value) for name, value in values.items()}}
        return target_of(study.on, changed).laid_out(engine.cluster.mesh)

    parameters = []
    for axis in axes:
        known = {number: v for v in axis.values if (number := as_number(v, True)) is not None}
        ends = min(known), max(known)
        low, high = (chosen({axis.name: known[end]}) for end in ends)
        parameters.append(Parameter(axis.name, ends, (low, high)))
    if isinstance(engine, Compiled):
        try:
            made = engine.varying(parameters)
            if made.line() is not None:
                return made
        except NotCompiledError:
            pass
    return OneByOne(engine, {a.name: a for a in axes}, chosen)


class OneByOne:
    """A program that is priced anew for each combination of values.

    Args:
        engine: of some values.
        axes: the fields.
        chosen: the devices with values of theirs.
    """

    method = "stepwise"

    def __init__(
        self, engine: Engine, axes: Mapping[str, Axis],
        chosen: Callable[[Mapping[str, Any]], Cluster],
    ) -> None:  # fmt: skip
        self.engine, self.cluster = engine, engine.cluster
        self._texts = {
            name: {as_number(v, True): v for v in axis.values} for name, axis in axes.items()
        }
        self._chosen = chosen
        self._last: tuple[tuple[float, ...], Engine] | None = None

    def figures(
        self, batch: Any, prompt: Any, output: Any, names: Sequence[str],
        fields: Mapping[str, Any],
    ) -> dict[str, Any]:  # fmt: skip
        """Return each figure at every point."""
        given = [np.atleast_1d(np.asarray(v, dtype=float)) for v in (batch, prompt, output)]
        given += [np.atleast_1d(np.asarray(fields[name], dtype=float)) for name in self._texts]
        columns = np.broadcast_arrays(*given)
        found = {name: np.empty(columns[0].size) for name in names}
        combinations, which = np.unique(np.array(columns[3:]), axis=1, return_inverse=True)
        for k, values in enumerate(combinations.T.tolist()):
            here = np.flatnonzero(which.ravel() == k)
            b, p, n = (c[here] for c in columns[:3])
            for name, value in self._at(tuple(values)).figures(b, p, n, names).items():
                found[name][here] = value
        return found

    def _at(self, values: tuple[float, ...]) -> Engine:
        if self._last is None or self._last[0] != values:
            texts = zip(self._texts.items(), values, strict=True)
            cluster = self._chosen({name: known[v] for (name, known), v in texts})
            self._last = (values, self.engine.on(cluster))
        return self._last[1]

    def grid(self, axes: object, names: Sequence[str], *, fast: bool = False) -> None:
        """Return nothing: there are no steps that a grid could share."""
