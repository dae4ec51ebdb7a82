"""Whole networks on an engine and a chip: fitted a stack at a time, with what others know.

A stack is measured on two or three models, which is too few for its parameters, so stacks that
serve lean to the median of the other stacks; of those, the model that is judged is left out too.
Models differ more from each other than rows of one do, so a stack's band is that of models held
back on all stacks of its kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mansard.backends.calibrated import fitting
from mansard.backends.calibrated.engine import ENGINE, is_first
from mansard.backends.calibrated.fitting import Columns, trusted
from mansard.backends.calibrated.parameters import WIDE, Key, ParameterSet
from mansard.backends.calibrated.solver import Mask, Vector

WHOLE = ("network", "engine")
"""Forms of whole networks."""

FIRST = "first"
"""Family under which the first tokens of an engine are judged."""

FIRST_LEAN, LEAN = 8.0, 32.0
"""How much more a served stack leans than a kernel: to the form's start, then to the others."""

FEWEST_POOLED = 20
"""Rows held back of which a band of stacks is made."""

Fits = dict[Key, tuple[ParameterSet, Columns, Vector]]


@dataclass(frozen=True)
class Stack:
    """A set of a whole network on one chip."""

    chip: str
    rows: Columns

    @property
    def kind(self) -> tuple[str, str]:
        """What stacks are compared within."""
        return self.rows.key.form, self.rows.key.family


def fit_all(stacks: Sequence[Stack]) -> dict[str, Fits]:
    """Fit every stack with enough rows; returns chip → key → (set, rows, ratio held back)."""
    usable = [s for s in stacks if trusted(s.rows).rows >= fitting.FEWEST]
    found: dict[str, Fits] = {}
    for stack in usable:
        others = [s for s in usable if s is not stack and s.kind == stack.kind]
        ratio = held_back(stack, others)
        values = _fit(trusted(stack.rows), prior(others, ()))
        judged = np.where(fitting.is_trusted(stack.rows), ratio, np.nan)
        one = fitting.summarise(stack.rows, values, judged)
        found.setdefault(stack.chip, {})[stack.rows.key] = one, stack.rows, ratio
    return with_bands(found)


def held_back(stack: Stack, others: Sequence[Stack]) -> Vector:
    """Return measured over predicted, each model predicted by fits that never saw it."""
    rows = stack.rows
    ratio = np.full(rows.rows, np.nan)
    for model in {tuple(m) for m in _models(rows)}:
        out = _is(rows, model)
        if (~out).sum() >= fitting.FEWEST:
            values = _fit(trusted(rows.part(~out)), prior(others, model))
            ratio[out] = rows.seconds[out] / rows.part(out).predict(values)
    return ratio


def prior(others: Iterable[Stack], model: tuple[float, ...]) -> Vector | None:
    """Return the median of the other stacks' parameters, fitted without a model.

    None where stacks do not lean: those of static batches have models enough.
    """
    logs = []
    for stack in others:
        if stack.kind[1] == "served":
            kept = trusted(stack.rows.part(~_is(stack.rows, model)))
            if kept.rows >= fitting.FEWEST:
                logs.append(np.log(fitting.fit(kept, lean=FIRST_LEAN)))
    return np.exp(np.median(np.array(logs), axis=0)) if logs else None


def parts(key: Key, rows: Columns) -> Iterator[tuple[Key, Mask]]:
    """Yield what is judged apart: whole batches, and first tokens under a key of their own."""
    first = first_tokens(rows)
    yield key, ~first
    if first.any():
        yield replace(key, family=FIRST), first


def with_bands(found: Mapping[str, Fits]) -> dict[str, Fits]:
    """Return fits whose bands are those of all stacks of their kind."""
    return {
        chip: {
            key: (_banded(one, found, key), rows, ratio) for key, (one, rows, ratio) in fits.items()
        }
        for chip, fits in found.items()
    }


def pooled(
    found: Mapping[str, Mapping[Key, tuple[ParameterSet, Columns, Vector]]],
    key: Key,
    but: tuple[str, Key] | None = None,
) -> Vector:
    """Return what was held back on all stacks of a kind, but one, as logarithms.

    Args:
        found: chip → key → (set, rows, measured over predicted).
        key: of the kind; of first tokens as ``parts`` has it.
        but: the stack that is left out: its chip, and its key in ``found``.
    """
    ratios = [
        ratio[one & np.isfinite(ratio)]
        for chip, fits in found.items()
        for other, (_, rows, ratio) in fits.items()
        for part, one in parts(other, rows)
        if (part.form, part.family) == (key.form, key.family) and (chip, other) != but
    ]
    return np.log(np.concatenate(ratios)) if ratios else np.array([])


def band_of(logs: Vector) -> tuple[float, float]:
    """Return the 10th and 90th percentile; a factor of two where too little was held back."""
    return fitting.band(np.exp(logs)) if len(logs) >= FEWEST_POOLED else WIDE


def _banded(one: ParameterSet, found: Mapping[str, Fits], key: Key) -> ParameterSet:
    low, high = band_of(pooled(found, key))
    first = pooled(found, replace(key, family=FIRST))
    return replace(one, low=low, high=high, first=band_of(first) if first.size else None)


def _fit(rows: Columns, start: Vector | None) -> Vector:
    if start is None:
        return fitting.fit(rows, lean=FIRST_LEAN if rows.key.family == "served" else 1.0)
    return fitting.fit(rows, start, LEAN)


def first_tokens(rows: Columns) -> Mask:
    """Mark the rows that are first tokens, batches of one step, of an engine."""
    if rows.key.form != ENGINE.name:
        return np.zeros(rows.rows, dtype=bool)
    marked: Mask = is_first(rows.sizes["steps"])
    return marked


def _models(rows: Columns) -> Vector:
    return np.stack([rows.sizes[name] for name in rows.law.shape], axis=1)


def _is(rows: Columns, model: tuple[float, ...]) -> Mask:
    if not model:
        return np.zeros(rows.rows, dtype=bool)
    same: Mask = (_models(rows) == np.array(model)).all(axis=1)
    return same
