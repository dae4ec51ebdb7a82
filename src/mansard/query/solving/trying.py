"""Unknowns whose values are each a program of their own: devices, options of techniques."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mansard.core.errors import MansardError, SpecError
from mansard.query.metrics import quantities
from mansard.query.solving.candidates import candidates, ordered, rank
from mansard.query.solving.conditions import Condition
from mansard.query.solving.question import Question
from mansard.query.solving.solution import Check, Solution
from mansard.query.solving.unknowns import Unknown
from mansard.query.solving.wording import named


def tried(
    question: Question, unknown: Unknown, goal: str, conditions: Sequence[Condition]
) -> Solution:
    """Analyze every value and return those that satisfy the constraints.

    Raises:
        MansardError: no value can be analyzed, a quantity is unknown, or the values have no order
            though a goal asks for one.
    """
    if goal != "find" and not ordered(unknown):
        raise SpecError(f"values of {unknown.name} have no order: {_several(unknown.values)}",
                        hint=f"leave --{goal} out to see every one that satisfies")  # fmt: skip
    known: dict[Any, dict[str, Any]] = {}
    questions: dict[Any, Question] = {}
    refused: dict[Any, MansardError] = {}
    for value, asked in candidates(question, unknown):
        try:
            known[value], questions[value] = quantities(asked.estimate), asked
        except MansardError as error:
            refused[value] = error
    if not known:
        raise next(iter(refused.values()))
    _check(conditions, known)
    holds = {v: [bool(c.holds(q)[0]) for c in conditions] for v, q in known.items()}
    fit = [v for v, each in holds.items() if all(each)]
    skipped = f", impossible with {_listed(refused)}" if refused else ""
    by = ", ordered by the bits of a stored element" if goal != "find" and _formats(known) else ""
    method = f"enumeration of {_several(unknown.values)}: each analyzed{skipped}{by}"
    value = _chosen(fit, goal)
    order = list(known)
    runs = _runs if ordered(unknown) and not _formats(known) else _singly
    checks = tuple(
        Check(c.text, None if value is None else True,
              runs(order, [v for v in order if holds[v][k]]), method)
        for k, c in enumerate(conditions)
    )  # fmt: skip
    return Solution(
        find=unknown.name,
        goal=goal,
        value=value,
        intervals=runs(order, fit),
        binding="" if value is None else _binding(order, holds, value, goal, conditions),
        method=method,
        checks=checks,
        reason="" if fit else _reason(unknown, conditions, known, holds),
        dimension="number",
        within=None,
        question=None if value is None else questions[value],
        asked=questions[order[0]] if value is None else question,
    )


def _check(conditions: Sequence[Condition], known: dict[Any, dict[str, Any]]) -> None:
    for condition in conditions:
        for name in condition.names:
            if all(q[name] is None for q in known.values()):
                raise SpecError(f"{condition.text!r}: this answer has no {name}",
                                hint="ask for the phase it belongs to")  # fmt: skip
    for q in known.values():
        q.update({name: float("nan") for name, value in q.items() if value is None})


def _chosen(fit: Sequence[Any], goal: str) -> Any:
    if not fit:
        return None
    if goal == "find":
        return fit[0]
    return (max if goal == "maximize" else min)(fit, key=rank)


def _runs(order: Sequence[Any], fit: Sequence[Any]) -> tuple[tuple[Any, Any], ...]:
    """Return runs of values that follow each other in the order they were tried."""
    found: list[tuple[Any, Any]] = []
    place = {value: k for k, value in enumerate(order)}
    for value in fit:
        if found and place[found[-1][1]] + 1 == place[value]:
            found[-1] = (found[-1][0], value)
        else:
            found.append((value, value))
    return tuple(found)


def _singly(order: Sequence[Any], fit: Sequence[Any]) -> tuple[tuple[Any, Any], ...]:
    """Return values that have no order, each by itself."""
    return tuple((value, value) for value in order if value in fit)


def _binding(
    order: Sequence[Any], holds: dict[Any, list[bool]], value: Any, goal: str,
    conditions: Sequence[Condition],
) -> str:  # fmt: skip
    """Return the constraints that the next value in the goal's direction breaks."""
    if goal == "find":
        return ""
    ranked = sorted(order, key=rank, reverse=goal == "minimize")
    beyond = [v for v in ranked[ranked.index(value) + 1 :] if rank(v) != rank(value)]
    if not beyond:
        return ""
    return " and ".join(
        c.text for c, held in zip(conditions, holds[beyond[0]], strict=True) if not held
    )


def _reason(
    unknown: Unknown, conditions: Sequence[Condition], known: dict[Any, dict[str, Any]],
    holds: dict[Any, list[bool]],
) -> str:  # fmt: skip
    for k, condition in enumerate(conditions):
        if any(each[k] for each in holds.values()):
            continue

        def gap(value: Any, condition: Condition = condition) -> float:
            return float(condition.gap(*condition.sides(known[value]))[0])

        best = min(known, key=gap)
        values = ", ".join(named(n, known[best][n]) for n in condition.names)
        return f"no {unknown.name} satisfies {condition.text!r}: at its best, {best}: {values}"
    return "no value satisfies all constraints at once: each is met by some, none by the same"


def _formats(values: Iterable[Any]) -> bool:
    """Say whether values are names: of formats where they have an order."""
    return any(isinstance(value, str) for value in values)


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(map(str, values))


def _several(values: Sequence[Any]) -> str:
    if len(values) > 8:
        return f"{values[0]} … {values[-1]} ({len(values)} values)"
    return ", ".join(map(str, values))
