"""Quantities at values of the unknown: from the compiled program, or priced again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from mansard.backends.engine.figures import FIGURES
from mansard.backends.spending import HOUR_S, MILLION
from mansard.query.solving.conditions import RATES, Condition
from mansard.query.solving.question import Question
from mansard.query.solving.unknowns import Unknown

SPENT = ("energy", "cost", "cost_per_mtok")


class Values:
    """A question as a function of one unknown.

    Args:
        question: the other sizes are taken from it.
        unknown: a size or a field.
    """

    def __init__(self, question: Question, unknown: Unknown) -> None:
        self.question, self.unknown = question, unknown

    @cached_property
    def constants(self) -> Mapping[str, Fraction]:
        """What energy and cost are made of beside time, see ``backends.spending``."""
        estimate, price = self.question.estimate, self.question.study.price
        found = {"million": Fraction(MILLION)}
        if estimate.chip.tdp_w is not None:
            found["device_power"] = Fraction(estimate.chip.tdp_w) * estimate.devices
        if price is not None:
            found["price_per_s"] = Fraction(price) * estimate.devices / HOUR_S
        return found

    def figures(self, condition: Condition, xs: Any) -> Mapping[str, Any]:
        """Return the quantities a constraint names at values of the unknown."""
        scenario = self.question.sizes
        if self.unknown.kind == "size":
            at = {self.unknown.key: np.array([float(x) for x in xs])}
            return self.at_sizes(condition, {**scenario, **at})
        spent, names = _named(condition)
        each = [self._repriced(x, names) for x in xs] if names else []
        found = {n: np.array([e[n] for e in each]) for n in names}
        return {**scenario, **found, **self._spent(spent, {**scenario, **found})}

    def at_sizes(self, condition: Condition, sizes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the quantities a constraint names at batches, prompts and outputs."""
        spent, names = _named(condition)
        b, p, n = (sizes[name] for name in ("batch", "prompt", "output"))
        found = self.question.engine.figures(b, p, n, names) if names else {}
        return {**sizes, **found, **self._spent(spent, {**sizes, **found})}

    def _spent(self, names: list[str], known: Mapping[str, Any]) -> dict[str, Any]:
        """Return energy and cost at points, from the throughput."""
        made: dict[str, Any] = {}
        for name in names:
            value: Any = 1.0
            for part, exponent in RATES[name]:
                if part == "period":
                    factor = known["batch"] * known["output"] / known["throughput"]
                else:
                    factor = float(self.constants[part]) if part in self.constants else known[part]
                value = value * factor**exponent
            made[name] = value
        return made

    def figures_at(self, condition: Condition, x: Fraction) -> dict[str, float]:
        """Return the quantities a constraint names at one value of the unknown."""
        found = self.figures(condition, [x])
        return {name: float(np.ravel(found[name])[0]) for name in condition.names}

    def _repriced(self, x: Fraction, names: list[str]) -> dict[str, float]:
        estimate = self.question.estimate
        chip = estimate.chip.override(self.unknown.key, spelled(x, self.unknown))
        cluster = replace(self.question.study.prepared.cluster, chip=chip)
        engine = self.question.engine.on(cluster)
        s = estimate.scenario
        found = engine.figures(s.batch, s.prompt, s.output, names)
        return {name: float(values[0]) for name, values in found.items()}


def _named(condition: Condition) -> tuple[list[str], list[str]]:
    """Return what a constraint names that is spent, and the figures it takes."""
    spent = [n for n in condition.names if n in SPENT]
    names = [n for n in condition.names if n in FIGURES]
    return spent, names + ["throughput"] * (bool(spent) and "throughput" not in names)


def spelled(value: Fraction | float, unknown: Unknown) -> str:
    """Write the value of a field as the chip's file has it."""
    unit = {"bytes/s": "B/s", "flop/s": "FLOP/s", "bytes": "B", "time": "s"}[unknown.dimension]
    number = int(value) if value == int(value) else float(value)
    return f"{number!r} {unit}"
