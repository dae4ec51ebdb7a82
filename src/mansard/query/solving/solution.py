"""The answer of ``solve``: a value, where else the constraints hold, and what stops it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from mansard.query.beside import kind, rests, warned
from mansard.query.estimate import Estimate
from mansard.query.metrics import quantities
from mansard.query.report import METRICS, finite, memory_record
from mansard.query.shown import Shown
from mansard.query.solving.question import Question

SCHEMA = "mansard.solution/1"


@dataclass(frozen=True)
class Check:
    """One constraint at the answer, or at its best where nothing satisfies it.

    Args:
        text: as written.
        holds: whether it does at the answer; None when there is no answer.
        intervals: of the unknown, where this constraint alone holds.
        method: how they were found.
    """

    text: str
    holds: bool | None
    intervals: tuple[tuple[Any, Any], ...]
    method: str


@dataclass(frozen=True, eq=False)
class Solution(Shown):
    """What satisfies the constraints.

    Args:
        find: the unknown.
        goal: maximize, minimize or find.
        value: the answer; None when nothing satisfies the constraints.
        intervals: every value that does, as spans with both ends included.
        binding: the constraint that fails next to the answer; empty when only the range ends.
        method: how it was found, in words.
        checks: each constraint by itself.
        reason: why there is no answer; empty when there is one.
        dimension: of the value, a name of ``core.units``.
        within: the range that was looked at; None where single values were tried.
        question: at the answer; None without one.
        asked: the question as it was.
    """

    renderer: ClassVar[str] = "solutions"

    find: str
    goal: str
    value: int | float | str | bool | None
    intervals: tuple[tuple[Any, Any], ...]
    binding: str
    method: str
    checks: tuple[Check, ...]
    reason: str
    dimension: str
    within: tuple[int | float, int | float] | None
    question: Question | None = field(repr=False)
    asked: Question = field(repr=False)

    @property
    def found(self) -> bool:
        """Whether anything satisfies the constraints."""
        return self.value is not None

    @cached_property
    def estimate(self) -> Estimate | None:
        """What ``analyze`` says at the answer."""
        return None if self.question is None else self.question.estimate

    @property
    def metrics(self) -> Mapping[str, float | None]:
        """What users steer by, at the answer, under the names of the JSON."""
        at = self.estimate
        return {} if at is None else {name: getattr(at.metrics, name) for name in METRICS}

    @property
    def quantities(self) -> Mapping[str, float | None]:
        """Everything a constraint may name, at the answer."""
        return {} if self.estimate is None else quantities(self.estimate)

    def to_dict(self) -> dict[str, Any]:
        """Return the ``mansard.solution/1`` document."""
        from mansard.plugins.installed import version

        asked, at = self.asked.estimate, self.estimate
        document = {
            "schema": SCHEMA,
            "mansard": version("mansard"),
            "model": {"name": asked.model.name},
            "hardware": {"name": asked.chip.id, "devices": (at or asked).devices},
            "find": self.find,
            "goal": self.goal,
            "value": self.value,
            "intervals": [list(span) for span in self.intervals],
            "binding": self.binding or None,
            "method": self.method,
            "reason": self.reason or None,
            "constraints": [
                {
                    "text": c.text, "holds": c.holds, "method": c.method,
                    "intervals": [list(span) for span in c.intervals],
                }
                for c in self.checks
            ],
            "scenario": (at or asked).asked,
            **(kind(at) if at is not None else rests(asked)),
            "metrics": dict(self.metrics) if at is not None else None,
            "memory": memory_record(at.memory) if at is not None else None,
            "warnings": warned(at.notes) if at is not None else [],
        }  # fmt: skip
        plain: dict[str, Any] = finite(document)
        return plain
