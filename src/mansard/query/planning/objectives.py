"""Service-level objectives: ``ttft<500ms,tpot<30ms``, conditions on what a user sees."""

from __future__ import annotations

from mansard.core.errors import SpecError, unknown_name
from mansard.core.lists import listed
from mansard.query.solving.conditions import Condition, read_conditions

PROMISED = ("ttft", "tpot", "tokens_per_s_per_user", "latency")
"""Metrics that a user of the service sees."""


def read_objectives(text: str) -> tuple[Condition, ...]:
    """Read conditions separated by commas.

    Raises:
        MansardError: nothing to read, or what is no condition on a metric a user sees.
    """
    parts = listed(text)
    if not parts:
        raise SpecError("there is no objective", hint="write --slo 'ttft<1s,tpot<30ms'")
    found = read_conditions(parts)
    for objective in found:
        _check_limit(objective)
        for name in objective.names:
            if name not in PROMISED:
                raise unknown_name("metric a user of the service sees", name, PROMISED)
    return found


def _check_limit(objective: Condition) -> None:
    """Raise where a metric is compared with less than nothing."""
    for side in (objective.comparison.left, objective.comparison.right):
        if side.is_number and side.is_negative:
            raise SpecError(f"{objective.text!r}: the limit is negative, and no metric ever is",
                            hint="write a limit above 0: 'ttft<1s'")  # fmt: skip
