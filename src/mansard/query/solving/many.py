"""``solve`` for many workloads at once: one certificate for all, then arrays.

Which way a condition goes as the unknown grows does not depend on how long prompts are: every
coefficient and exponent of the program is looked at once, as for ``solve``. So the values of a
workload that satisfy a condition reach from an end of the range to an edge, and edges are searched
for on arrays. Nothing is assumed of a condition without a certificate: it is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from mansard.backends.engine.arrays import Columns
from mansard.backends.engine.compiled import Compiled
from mansard.backends.engine.figures import FIGURES
from mansard.backends.engine.points import Array
from mansard.backends.inverse.direction import STILL, UP
from mansard.core.errors import SpecError, unknown_name
from mansard.core.notes import Note
from mansard.core.symbols import SCENARIO
from mansard.query.scenario import LARGEST
from mansard.query.solving.allowed import ROUNDING, Search
from mansard.query.solving.bisecting import STEPS, way_of
from mansard.query.solving.conditions import Condition, read_conditions
from mansard.query.solving.edges import Which, last_holding
from mansard.query.solving.question import Question
from mansard.query.solving.unknowns import SIZES, Unknown, read_unknown
from mansard.query.solving.wording import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mansard.query.study import Study

NOTHING = -1
"""In place of a value: nothing satisfies the constraints."""
MANY = 4096
"""Workloads that are worth steps made for their ranges."""


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
            f"{find!r:.60} is no size: many workloads are solved for {_listed(SIZES)}",
            hint="loop over solve, which finds fields of the chip and options too",
        )
    texts = (subject_to,) if isinstance(subject_to, str) else tuple(subject_to)
    conditions = read_conditions(texts)
    if not conditions:
        raise SpecError(f"nothing constrains {find}", hint="add subject_to='tpot <= 25ms'")
    columns = _columns(study, find, over)
    question = _asked(study, find, over)
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


# Reading the question.


def _columns(study: Study, find: str, over: Mapping[str, Any]) -> dict[str, Array]:
    """Return batch, prompt and output of the workloads, but for the unknown."""
    if study.mix is not None:
        raise SpecError("lengths of this study are a distribution, and workloads have one each",
                        hint="give numbers as prompt and output, or ask solve")  # fmt: skip
    step = study.scenario.single_step or "context" in (find, *over)
    for name in over:
        if name not in SIZES:
            raise unknown_name("size of a workload", name, SIZES)
        if name == find or {name, find} == {"prompt", "context"}:
            raise SpecError(f"{name} is given and looked for at once", hint=f"leave {name} out")
        if step and name in ("prompt", "output"):
            raise SpecError(f"{name} does not occur: one step over cached tokens is asked for",
                            hint="give context instead")  # fmt: skip
    if not over:
        raise SpecError("over is empty: there are no workloads", hint="for one, ask solve")
    found = {n: _sizes(n, v) for n, v in over.items()}
    count = max((v.size for v in found.values() if v.size != 1), default=1)
    count = 0 if any(v.size == 0 for v in found.values()) else count
    if any(v.size not in (1, count) for v in found.values()):
        sizes = ", ".join(f"{n} has {v.size:,}" for n, v in found.items())
        raise SpecError(f"workloads differ in number: {sizes}",
                        hint="give each size one number a workload, or one for all")  # fmt: skip
    keys = {n: "prompt" if n == "context" else n for n in found}
    return {keys[n]: np.broadcast_to(v, count) for n, v in found.items()}


def _sizes(name: str, given: Any) -> Array:
    try:
        read = np.asarray(given)
        values = read.astype(float).reshape(-1)
    except (TypeError, ValueError):
        raise SpecError(f"{name} is {given!r:.60}, no numbers",
                        hint="give a list or an array of whole numbers") from None  # fmt: skip
    whole = read.dtype.kind in "iuf" or not values.size
    bad = ~((values >= 1) & (values <= LARGEST) & (values == np.floor(values)))
    if read.ndim > 1 or not whole or bad.any():
        first = f": {values[bad][0]:g} at index {np.flatnonzero(bad)[0]}" if bad.any() else ""
        raise SpecError(f"{name} is no list of whole numbers from 1 to {LARGEST:,}{first}",
                        hint=f"round {name}, and leave out workloads without one")  # fmt: skip
    return values


def _asked(study: Study, find: str, over: Mapping[str, Any]) -> Question:
    """Return the question, of the kind that the workloads are."""
    if not study.scenario.single_step and "context" in (find, *over):
        return study.question.sized(context=1)
    if "output" in over and study.scenario.output < 2:
        return study.question.sized(output=2)
    return study.question


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}"


# Answering it.


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
        excess = _Excess(self, condition, which)
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


class _Excess:
    """By how much a condition fails at values of the unknown, of some workloads.

    Quotients are cleared, so that what is affine is so here. Where both sides are equal but for
    rounding, floats of one point decide, as in ``solve``.
    """

    def __init__(self, many: _Many, condition: Condition, which: Which) -> None:
        self.many, self.condition = many, condition
        unknown = many.unknown
        cleared = condition.cleared
        constants = many.search.constants
        names = {n for power in cleared for n, _ in power} - set(constants) - set(SCENARIO)
        self.names = tuple(n for n in FIGURES if n in names)
        sign = 1 if condition.op in ("<", "<=") else -1
        self.terms: list[tuple[float, tuple[tuple[str, int], ...]]] = []
        for power, c in cleared.items():
            number = Fraction(c) * sign
            for name, exponent in power:
                number *= constants[name] ** exponent if name in constants else 1
            rest = tuple((n, e) for n, e in power if n not in constants)
            self.terms.append((float(number), rest))
        self.columns: dict[str, Any] = {
            n: np.asarray(v, dtype=float)[which] if np.ndim(v) else float(v)
            for n, v in many.columns.items()
            if n != unknown.key
        }
        ranges = {n: (float(np.min(v)), float(np.max(v))) for n, v in self.columns.items()}
        ranges[unknown.key] = (float(unknown.low), float(unknown.high))
        line = many.engine.line(ranges if which.size >= MANY else None) if self.names else None
        self._line = None if line is None else Columns(line, self.names)

    def at(self, values: Array, which: Which) -> Array:
        """Return more than zero where it fails."""
        env = {n: v[which] if np.ndim(v) else v for n, v in self.columns.items()}
        env[self.many.unknown.key] = values
        known: dict[str, Any] = dict(env)
        if self._line is not None:
            known |= self._line.at(env)
        elif self.names:
            b, p, n = (env[name] for name in ("batch", "prompt", "output"))
            known |= self.many.engine.figures(b, p, n, self.names)
        total, scale = np.zeros(values.size), np.zeros(values.size)
        for number, power in self.terms:
            term: Any = number
            for name, exponent in power:
                term = term * (known[name] if exponent == 1 else known[name] ** exponent)
            total += term
            scale += np.abs(term)
        for k in np.flatnonzero(~(np.abs(total) > ROUNDING * scale)):
            least = scale[k] if 0 < scale[k] < np.inf else 1.0
            holds = self._holds({n: _one(v, int(k)) for n, v in env.items()})
            total[k] = -least if holds else least
        return total

    def failing(self, values: Array, which: Which) -> Array:
        """Return more than zero where it holds."""
        return -self.at(values, which)

    def _holds(self, at: Mapping[str, float]) -> bool:
        """Say of one point what ``solve`` says of it."""
        sizes = {n: np.array([v]) for n, v in at.items()}
        figures = self.many.search.at_sizes(self.condition, sizes)
        return bool(self.condition.holds(figures)[0])


def _one(value: Any, k: int) -> float:
    return float(value[k]) if np.ndim(value) else float(value)
