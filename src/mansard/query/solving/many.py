"""``solve`` for many workloads at once: one certificate for all, then arrays.

Which way a condition goes as the unknown grows does not depend on how long prompts are: every
coefficient and exponent of the program is looked at once, as for ``solve``. So the values of a
workload that satisfy a condition reach from an end of the range to an edge, and edges are searched
for on arrays. Nothing is assumed of a condition without a certificate: it is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mansard.backends.engine.compiled import Compiled
from mansard.backends.engine.points import Array
from mansard.backends.inverse.direction import STILL, UP
from mansard.core.errors import SpecError
from mansard.core.notes import Note
from mansard.query.solving.allowed import Search
from mansard.query.solving.bisecting import STEPS, way_of
from mansard.query.solving.conditions import Condition, read_conditions
from mansard.query.solving.edges import Which, last_holding
from mansard.query.solving.excess import Excess
from mansard.query.solving.question import Question
from mansard.query.solving.unknowns import SIZES, Unknown, read_unknown
from mansard.query.solving.wording import shown
from mansard.query.solving.workloads import asked_of, columns_of, listed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mansard.query.study import Study

NOTHING = -1
"""In place of a value: nothing satisfies the constraints."""


@dataclass(frozen=True, eq=False)
class Solutions:
    """Answers of many workloads, in their order.

    Args:
        find: the unknown.
        goal: maximize or minimize.
        values: the answer to each workload; ``-1`` where nothing satisfies the constraints.
        stops: which of the constraints fails next to each answer, an index; ``-1`` where only the
            range ends, or where there is no answer.
        constraints: as they were read, one comparison each.
        method: how answers were found, in words.
        notes: that nothing fits some workloads, with their number.
    """

    find: str
    goal: str
    values: NDArray[np.int64]
    stops: NDArray[np.int64] = field(repr=False)
    constraints: tuple[str, ...]
    method: str
    notes: tuple[Note, ...] = ()

    @property
    def found(self) -> NDArray[np.bool_]:
        """Whether anything satisfies the constraints, workload by workload."""
        return np.asarray(self.values != NOTHING)

    def __len__(self) -> int:
        return int(self.values.size)


def solve_many(
    study: Study,
    find: str,
    *,
    over: Mapping[str, Any],
    subject_to: str | Sequence[str],
    maximize: bool = False,
    minimize: bool = False,
    within: str | None = None,
) -> Solutions:
    """Find the greatest or least value of one size for each of many workloads.

    Args:
        study: the model, the hardware and the sizes that are not given.
        find: batch, prompt, output or context.
        over: the other sizes by name: one whole number a workload, or one for all.
        subject_to: conditions, as ``solve`` takes them.
        maximize: return the greatest values.
        minimize: return the least.
        within: ``low..high`` of the unknown.

    Raises:
        MansardError: what ``solve`` refuses; a condition that is not certain to go one way as the
            unknown grows; sizes that are no whole numbers or differ in length.
    """
    if maximize == minimize:
        raise SpecError(
            "an array holds one value a workload: the greatest or the least",
            hint="write maximize=True or minimize=True; solve gives every interval",
        )
    if find not in SIZES:
        raise SpecError(
            f"{find!r:.60} is no size: many workloads are solved for {listed(SIZES)}",
            hint="loop over solve, which finds fields of the chip and options too",
        )
    texts = (subject_to,) if isinstance(subject_to, str) else tuple(subject_to)
    conditions = read_conditions(texts)
    if not conditions:
        raise SpecError(f"nothing constrains {find}", hint="add subject_to='tpot <= 25ms'")
    columns = columns_of(study, find, over)
    question = asked_of(study, find, over)
    unknown = read_unknown(question, find, within)
    search = _Many(question, unknown, columns)
    goal = "maximize" if maximize else "minimize"
    values, stops = search.solved(conditions, goal)
    missing = np.flatnonzero(values == NOTHING)
    notes: tuple[Note, ...] = ()
    if missing.size:
        told = f"nothing satisfies the constraints for {missing.size:,} of {values.size:,}"
        notes = (Note("M150", f"{told} workloads, the first at index {missing[0]}: -1 there"),)
    method = f"search on arrays: no term turns back as {unknown.name} grows (checked)"
    return Solutions(find, goal, values, stops, tuple(c.text for c in conditions), method, notes)


class _Many:
    """Workloads of one question.

    Args:
        question: sizes that are no columns are taken from it.
        unknown: a size.
        columns: the other sizes, one value a workload.
    """

    def __init__(self, question: Question, unknown: Unknown, columns: Mapping[str, Array]) -> None:
        self.unknown = unknown
        self.search = Search(question, unknown)
        self.count = next(iter(columns.values())).size
        self.columns: dict[str, Any] = {**question.sizes, **columns}
        engine = question.engine
        if question.priced is None or not isinstance(engine, Compiled):
            kind = question.study.kind
            why = f"the {kind} estimate" if kind != "ideal" else "a schedule that is stepped"
            raise SpecError(f"{why} has no terms that show which way it goes",
                            hint="loop over solve, which tries values, or sweep")  # fmt: skip
        self.engine = engine

    def solved(self, conditions: Sequence[Condition], goal: str) -> tuple[Any, Any]:
        """Return the answers, and which condition stops each.

        Raises:
            SpecError: nothing is certain of a condition, or nothing stops a workload.
        """
        ways = [self._way(condition) for condition in conditions]
        first, last = float(self.unknown.low), float(self.unknown.high)
        names = {n for c in conditions for n in c.names}
        low = np.full(self.count, first)
        high = np.full(self.count, last)
        tight = {end: np.full(self.count, NOTHING) for end in ("maximize", "minimize")}
        if names & STEPS:
            self._check_steps()
            if self.unknown.key == "output":
                low = np.maximum(low, 2.0)
        fits = low <= high
        for k in sorted(range(len(conditions)), key=lambda k: _cost(conditions[k])):
            which = np.flatnonzero(fits)
            if which.size:
                self._narrowed(conditions[k], ways[k], k, which, low, high, tight)
                fits &= low <= high
        values = np.where(fits, high if goal == "maximize" else low, NOTHING).astype(np.int64)
        if goal == "maximize" and not self.unknown.given:
            self._check_stopped(values, last, conditions)
        stops = np.where(fits, tight[goal], NOTHING)
        return values, stops

    def _way(self, condition: Condition) -> int:
        if condition.op in ("!=", "=="):
            raise SpecError(
                f"{condition.text!r} holds at single values",
                hint="use <=, >=, < or >; solve finds where both sides meet",
            )
        if condition.is_empty:
            raise SpecError(f"{condition.text!r} compares a quantity with itself",
                            hint="write a limit: 'tpot <= 25ms'")  # fmt: skip
        self.search.check(condition)
        way = way_of(self.search, condition)
        if way is None:
            raise SpecError(
                f"{condition.text!r}: it is not certain which way it goes as {self.unknown.name}"
                " grows, so nothing can be searched on arrays",
                hint=f"loop over solve, which tries every {self.unknown.name}, or sweep"
                f" {self.unknown.name} and pick",
            )
        return way

    def _check_steps(self) -> None:
        output = np.broadcast_to(self.columns["output"], self.count)
        if self.unknown.key != "output" and self.count and output.min() < 2:
            at = int(np.argmin(output))
            raise SpecError(f"output is {output[at]:g} at index {at}: tpot needs two tokens",
                            hint="leave such workloads out, or constrain latency")  # fmt: skip

    def _check_stopped(self, values: Any, last: float, conditions: Sequence[Condition]) -> None:
        free = np.flatnonzero(values == int(last))
        if free.size:
            texts = " and ".join(f"{c.text!r}" for c in conditions)
            end = shown(self.unknown.high, self.unknown)
            raise SpecError(
                f"{self.unknown.name} is free upwards: {texts} still holds at {end} for"
                f" {free.size:,} of {values.size:,} workloads, the first at index {free[0]}",
                hint="add a constraint that stops it, or within='low..high'",
            )

    def _narrowed(
        self, condition: Condition, way: int, k: int, which: Which, low: Array, high: Array,
        tight: Mapping[str, Any],
    ) -> None:  # fmt: skip
        """Move the ends of workloads to where a condition holds as well."""
        excess = Excess(self.engine, self.search, self.columns, condition, which)
        a, b = low[which], high[which]
        if way == STILL:
            here = excess.at(a, np.arange(which.size))
            high[which] = np.where(here <= 0, b, a - 1)
        elif (condition.op in ("<", "<=")) == (way == UP):
            edge = last_holding(excess.at, a, b)
            tight["maximize"][which[edge < b]] = k
            high[which] = edge
        else:  # the last value at which it fails
            edge = last_holding(excess.failing, a, b) + 1
            tight["minimize"][which[edge > a]] = k
            low[which] = edge


def _cost(condition: Condition) -> int:
    """Return what to look at first: memory is least work and cuts most."""
    return sum(name not in ("memory", "capacity") for name in condition.names)
