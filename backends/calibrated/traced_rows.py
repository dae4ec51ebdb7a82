"""Rows of a call traced: one function of batches and prompts for all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from mansard.backends.calibrated.columns import BLOCK, Parts, Table, tabulated
from mansard.backends.calibrated.kernel_rows import KernelRow
from mansard.backends.calibrated.numpy_functions import Written
from mansard.backends.calibrated.traced_numbers import UndecidedError, terms_of
from mansard.backends.calibrated.tracer import Tracer
from mansard.backends.engine.polynomials import Space, add
from mansard.backends.engine.ranges import Interval
from mansard.core.symbols import Symbol, batch, prompt

WORTH = 4096
"""Scenarios that are worth tracing."""
MANY = 4096.0
"""Tokens of a call from which on tiles are full, and every expert is hit."""
SHORTER = 0.9
"""Steps of a function for many tokens, of those of the general one, that make it worth having."""
REMEMBERED = 16
"""Functions for other ranges that are kept."""


Picks = Callable[[Any], Any]
"""Picks, of values of all batches or of all prompts, those that scenarios have."""
Rows = Callable[[Any, Any, Picks, Picks], Parts]
"""Returns rows of scenarios: of their batches, their prompts, and what picks values of both."""
Key = tuple[bool, Interval, Interval, float]


class TracedRows:
    """Rows that depend on the batch and on the prompt, or the context.

    Args:
        rows: of a call.
        space: of their polynomials.
        known: symbols that are a number.
    """

    def __init__(
        self, rows: Sequence[KernelRow], space: Space, known: Mapping[Symbol, float]
    ) -> None:
        self._rows, self._space, self._known = rows, space, known
        self._written: dict[object, tuple[Written, tuple[tuple[str, str], ...]] | None] = {}

    def on(self, batches: Any, prompts: Any, bands: bool, count: int) -> Rows | None:
        """Return what gives the rows at scenarios; None where they are sooner evaluated.

        Args:
            batches: there are.
            prompts: there are.
            bands: whether half-widths count.
            count: of scenarios.
        """
        if count < WORTH or not self._rows:
            return None
        about = bands, _about(batches), _about(prompts)
        largest = float(np.max(batches)) * float(np.max(prompts))
        every = self._on((*about, 0.0))
        some = self._on((*about, MANY)) if every is not None and largest > 8 * MANY else None
        if every is None or some is None or not self._is_shorter(about):
            return None if every is None else every(batches, prompts)
        many = some(batches, prompts)

        def at(b: Any, p: Any, of_batch: Picks, of_prompt: Picks) -> Parts:
            """Return the rows: what few tokens take is put among what many do."""
            found = many(b, p, of_batch, of_prompt)
            tokens = b * p
            few = np.flatnonzero(tokens < MANY)
            if few.size:
                b, p = (np.broadcast_to(v, tokens.shape).ravel()[few] for v in (b, p))
                for key, values in every(b, p)(b, p, _all, _all).items():
                    found[key].reshape(-1)[few] = values
            return found

        return at

    def _is_shorter(self, about: tuple[bool, Interval, Interval]) -> bool:
        """Say whether what many tokens decide is worth telling the scenarios apart."""
        many, every = (self._written[(*about, least)] for least in (MANY, 0.0))
        return bool(many and every and many[0].steps < SHORTER * every[0].steps)

    def over(self, bands: bool, batches: Interval) -> Callable[[Any], Parts] | None:
        """Return the rows as a function of the batch, the prompt being known; None if undecided.

        Args:
            bands: whether half-widths count.
            batches: the least and the greatest.
        """
        made = self._on((bands, batches, (1.0, 1.0), 0.0))
        return None if made is None else lambda b: made(b, b)(b, b, _all, _all)

    def _on(self, key: Key) -> Callable[[Any, Any], Rows] | None:
        if key not in self._written:
            if len(self._written) >= REMEMBERED:
                del self._written[next(iter(self._written))]
            try:
                self._written[key] = self._made(*key)
            except UndecidedError:
                self._written[key] = None
        found = self._written[key]
        if found is None:
            return None
        written, forms = found
        for row, form in zip(self._rows, forms, strict=True):
            row.form, row.basis = form
        return written.on

    def _made(
        self, bands: bool, batches: Interval, prompts: Interval, fewest: float
    ) -> tuple[Written, tuple[tuple[str, str], ...]]:
        tracer = Tracer(self._space, {batch: batches, prompt: prompts}, self._known, fewest)
        parts: dict[tuple[str, str], list[Any]] = {}
        for row in self._rows:
            for key, value in row.traced(tracer, bands).items():
                parts.setdefault(key, []).append(terms_of(value))
        totals = {key: add(values) for key, values in parts.items()}
        forms = tuple((row.form, row.basis) for row in self._rows)
        return Written(self._space, totals, tracer.ranges), forms

    def tabulated(
        self, at: Callable[[Any, Any], Parts], batches: Any, numbers: Any, bands: bool
    ) -> Table:
        """Return the rows at every pair of some batches and numbers.

        Args:
            at: the same, evaluated.
            batches: some.
            numbers: prompts, or contexts.
            bands: whether half-widths count.
        """
        found = self.on(batches, numbers[:, None], bands, batches.size * numbers.size)
        if found is None:
            return tabulated(at, batches, numbers)
        made: dict[tuple[str, str], Any] = {}
        step = max(1, BLOCK // batches.size)
        for low in range(0, numbers.size, step):
            some = slice(low, low + step)
            here = found(batches, numbers[some, None], _all, itemgetter(some))
            for key, values in here.items():
                made.setdefault(key, np.empty((numbers.size, batches.size)))[some] = values
        return Table(made)


def _all(values: Any) -> Any:
    return values


def _about(values: Any) -> tuple[float, float]:
    """Return powers of two around numbers: functions are made for few ranges."""
    low, high = float(np.min(values)), float(np.max(values))
    return (2.0 ** math.floor(math.log2(low)) if low >= 1 else 0.0), 2.0 ** math.ceil(
        math.log2(max(high, 1.0))
    )
