"""Plans on several chips: each by itself, the cheapest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mansard.core.errors import SpecError
from mansard.query.planning.plan import Plan, plan
from mansard.query.source import Source

SCHEMA = "mansard.plans/1"


def plans(
    source: Source, on: Sequence[str], prices: Sequence[float | None] = (), **asked: Any
) -> tuple[Plan, ...]:
    """Return a plan for each chip, in the order given; see ``plan`` for what is asked.

    Args:
        source: what ``load`` takes.
        on: chips; each may say how many devices are allowed.
        prices: of a device and hour: none, one for all, or one for each chip.
        asked: what ``plan`` takes beside ``on`` and ``price``.

    Raises:
        MansardError: as ``plan``; or prices that are neither one nor one for each chip.
    """
    if len(prices) not in (0, 1, len(on)):
        raise SpecError(f"{len(prices)} prices for {len(on)} chips",
                        hint="give one, or one for each in the order of --on")  # fmt: skip
    each = (tuple(prices) or (None,)) * (len(on) if len(prices) < 2 else 1)
    return tuple(
        plan(source, on=chip, price=price, **asked) for chip, price in zip(on, each, strict=True)
    )


def ranked(found: Sequence[Plan]) -> list[Plan]:
    """Return the plans that serve: the cheapest first, without prices the fewest devices."""
    priced = all(p.price is not None for p in found)

    def order(of: Plan) -> tuple[float, ...]:
        assert of.best is not None
        cost = of.cost_per_hour(of.best)
        return ((cost or 0.0) if priced else 0.0, *of.best.order)

    return sorted((p for p in found if p.best), key=order)


def document(found: Sequence[Plan]) -> dict[str, Any]:
    """Return the ``mansard.plans/1`` document: every plan, and the chips that serve in order."""
    return {
        "schema": SCHEMA,
        "best_first": [p.on for p in ranked(found)],
        "plans": [p.to_dict() for p in found],
    }
