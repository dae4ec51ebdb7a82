"""``solve``: the value of one unknown that satisfies constraints, with a proof of how."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from mansard.core.errors import SpecError
from mansard.query.solving.allowance import Allowed, methods
from mansard.query.solving.allowed import Search
from mansard.query.solving.conditions import Condition, read_conditions
from mansard.query.solving.question import Question
from mansard.query.solving.sets import Spans, meet
from mansard.query.solving.solution import Check, Solution
from mansard.query.solving.trying import tried
from mansard.query.solving.unknowns import Unknown, read_unknown
from mansard.query.solving.values import spelled
from mansard.query.solving.wording import contradiction, shown

if TYPE_CHECKING:
    from mansard.query.study import Study

ROUNDING = Fraction(1, 2**48)
"""A real answer keeps this part of itself as distance, more than sums in floats are off by."""


def solve(
    study: Study,
    find: str,
    *,
    maximize: bool = False,
    minimize: bool = False,
    subject_to: str | Sequence[str] = (),
    within: str | None = None,
) -> Solution:
    """Find a value of one unknown that satisfies every constraint.

    Args:
        study: the model, the hardware and everything else.
        find: batch, prompt, output, context, devices, ``hardware.FIELD`` or ``pass.option``.
        maximize: return the greatest value.
        minimize: return the least; neither returns where the constraints are met.
        subject_to: conditions over the names of the JSON without their unit.
        within: ``low..high``, or values with commas between them.

    Raises:
        MansardError: an unknown that does not occur, a constraint that cannot be read or that
            names what is unknown here, or a goal that nothing stops.
    """
    if maximize and minimize:
        raise SpecError("maximize and minimize at once", hint="leave one of the two out")
    goal = "maximize" if maximize else "minimize" if minimize else "find"
    texts = (subject_to,) if isinstance(subject_to, str) else tuple(subject_to)
    conditions = read_conditions(texts)
    if not conditions:
        raise SpecError(f"nothing constrains {find}", hint="add --subject-to 'tpot <= 25ms'")
    question = study.question
    question.check_one(find)
    if find == "context" and not study.scenario.single_step:
        question = question.sized(context=1)
    unknown = read_unknown(question, find, within)
    for condition in conditions:
        if condition.op == "!=":
            raise SpecError(f"{condition.text!r} leaves out single values",
                            hint="use <=, >=, <, > or =")  # fmt: skip
        if condition.is_empty:
            raise SpecError(f"{condition.text!r} compares a quantity with itself",
                            hint="write a limit: 'tpot <= 25ms'")  # fmt: skip
    if unknown.values:
        return tried(question, unknown, goal, conditions)
    search = Search(question, unknown)
    found = [search.allowed(condition) for condition in conditions]
    spans: Spans = ((unknown.low, unknown.high),)
    for allowed in found:
        if allowed.seen is not None:
            spans = meet(spans, (allowed.seen,))
        spans = meet(spans, allowed.spans)
    method = methods(found, unknown)
    if not spans:
        reason = contradiction(search, conditions, found)
        return _solution(question, search, goal, None, (), "", method, conditions, found, reason)
    value = _chosen(search, goal, spans, conditions, found)
    binding = _binding(search, goal, value, conditions, found)
    return _solution(question, search, goal, value, spans, binding, method, conditions, found, "")


def _chosen(
    search: Search, goal: str, spans: Spans, conditions: Sequence[Condition],
    found: Sequence[Allowed],
) -> Fraction:  # fmt: skip
    """Return the end of the spans that the goal wants.

    Raises:
        SpecError: no constraint stops the unknown that way.
    """
    unknown = search.unknown
    equal = any(c.op == "==" for c in conditions)
    value = spans[-1][1] if goal == "maximize" else spans[0][0]
    if goal == "find" and not equal:
        return spans[0][0] if spans[0][0] > unknown.low else spans[-1][1]
    if equal and unknown.whole:
        return _nearest(search, conditions, spans[-1] if goal == "maximize" else spans[0])
    end = unknown.high if goal == "maximize" else unknown.low
    seen = [a.seen for a in found if a.seen is not None]
    if goal == "maximize" and seen and value == min(s[1] for s in seen) < unknown.high:
        raise SpecError(
            f"{unknown.name} up to {int(value):,} was tried and still satisfies everything",
            hint="add --within low..high, or a constraint that stops it",
        )
    natural = unknown.whole and goal == "minimize"  # 1 is the least batch there is
    if value == end and not unknown.given and not natural and goal != "find":
        way = "upwards" if goal == "maximize" else "downwards"
        texts = " and ".join(f"{c.text!r}" for c in conditions)
        other = "minimize" if goal == "maximize" else "maximize"
        raise SpecError(
            f"{unknown.name} is free {way}: {texts} still holds at {shown(end, unknown)}",
            hint=f"add a constraint that stops it{_such_as(unknown, conditions)},"
            f" --within low..high, or --{other}",
        )
    return value


def _such_as(unknown: Unknown, conditions: Sequence[Condition]) -> str:
    """Offer a constraint that stops more sequences and tokens; nothing stops a better chip."""
    return f", such as '{_stop(conditions)}'" if unknown.kind == "size" else ""


def _stop(conditions: Sequence[Condition]) -> str:
    """Return a constraint to propose: one nobody gave."""
    given = " ".join(c.text for c in conditions)
    offers = {"memory": "memory <= capacity", "tpot": "tpot <= 25ms", "ttft": "ttft <= 1s"}
    return next((text for name, text in offers.items() if name not in given), "latency <= 10s")


def _nearest(search: Search, conditions: Sequence[Condition], span: tuple[Any, Any]) -> Fraction:
    """Return the end of a crossing at which the two sides are closer."""
    condition = next(c for c in conditions if c.op == "==")
    ends = list(dict.fromkeys(span))
    left, right = condition.sides(search.figures(condition, ends), len(ends))
    gaps = [float(gap) for gap in abs(left - right)]
    return Fraction(min(zip(gaps, ends, strict=True))[1])


def _binding(
    search: Search, goal: str, value: Fraction, conditions: Sequence[Condition],
    found: Sequence[Allowed],
) -> str:  # fmt: skip
    """Return the constraints that fail just beyond the answer."""
    unknown = search.unknown
    up = goal == "maximize" or (goal == "find" and value != unknown.low)
    if unknown.whole:
        beyond = value + (1 if up else -1)
    else:
        beyond = value * (1 + Fraction(1, 10**9) * (1 if up else -1))
    if goal == "find" and not unknown.low <= beyond <= unknown.high:
        return ""
    stops = [
        c.text
        for c, a in zip(conditions, found, strict=True)
        if not any(low <= beyond <= high for low, high in a.spans)
    ]
    return " and ".join(dict.fromkeys(stops)) if unknown.low <= beyond <= unknown.high else ""


def _solution(
    question: Question, search: Search, goal: str, value: Fraction | None, spans: Spans,
    binding: str, method: str, conditions: Sequence[Condition], found: Sequence[Allowed],
    reason: str,
) -> Solution:  # fmt: skip
    unknown = search.unknown
    answer = None if value is None else plain(value, unknown, goal)
    checks = tuple(
        Check(
            c.text,
            None if value is None else any(low <= value <= high for low, high in a.spans),
            tuple((plain(low, unknown, "minimize"), plain(high, unknown, "maximize"))
                  for low, high in a.spans),
            a.method,
        )
        for c, a in zip(conditions, found, strict=True)
    )  # fmt: skip
    return Solution(
        find=unknown.name,
        goal=goal,
        value=answer,
        intervals=tuple((plain(a, unknown, "minimize"), plain(b, unknown, "maximize"))
                        for a, b in spans),
        binding=binding,
        method=method,
        checks=checks,
        reason=reason,
        dimension=unknown.dimension,
        within=(plain(unknown.low, unknown, ""), plain(unknown.high, unknown, "")),
        question=None if answer is None else at_value(question, unknown, answer),
        asked=question,
    )  # fmt: skip


def plain(value: Fraction, unknown: Unknown, goal: str) -> int | float:
    """Return a number as Python has it; a real one stays on the side that satisfies."""
    if unknown.whole or value.denominator == 1:
        return int(value)
    match goal:
        case "minimize":
            return float(value * (1 + ROUNDING))
        case "maximize":
            return float(value * (1 - ROUNDING))
        case _:
            return float(value)


def at_value(question: Question, unknown: Unknown, value: int | float) -> Question:
    """Return the question with the answer in place of the unknown."""
    if unknown.kind == "size":
        return question.sized(**{unknown.name: int(value)})
    changed = {**question.study.set, unknown.name: spelled(value, unknown)}
    return question.changed(set=changed)
