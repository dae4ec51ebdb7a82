"""Where a constraint holds whose two sides go apart one way only: a certificate, then a search."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from mansard.backends.inverse.direction import DOWN, STILL, UP, Way, turned
from mansard.backends.inverse.ways import Ways
from mansard.core.symbols import SCENARIO
from mansard.query.solving.allowance import Allowed
from mansard.query.solving.conditions import Condition
from mansard.query.solving.values import Values

COMPILED = "compiled"
FAN = 33
"""Points of one round of a search, evaluated at once."""
STEPS = {"tpot", "decode", "tokens_per_s_per_user"}
"""Quantities that exist from two output tokens on."""
SET = {"capacity": "memory.capacity", "overhead": "memory.reserve"}
"""Quantities that are a field of the chip as it stands."""
NEAREST = Fraction(1, 2**50)
"""A real answer is found to this part of itself."""


def way_of(values: Values, condition: Condition) -> Way:
    """Return which way left less right goes as the unknown grows, where that is certain."""
    symbol, priced = SCENARIO.get(values.unknown.key), values.question.priced
    if symbol is None:
        return condition.way(lambda name: _of_field(values, name))
    ways = None if priced is None else Ways(priced, symbol)
    return None if ways is None else condition.way(lambda name: _of_size(ways, name))


def _of_size(ways: Ways, name: str) -> Way:
    match name:
        case "energy" | "cost":
            return ways.figure("period")
        case "cost_per_mtok":
            return turned(ways.figure("throughput"))
        case _:
            return ways.figure(name)


def _of_field(values: Values, name: str) -> Way:
    """Return which way a quantity goes with a field of the chip: every rate is only divided by."""
    key = values.unknown.key
    if name in ("capacity", "overhead"):
        return (
            UP
            if key == {"capacity": "memory.capacity", "overhead": "memory.reserve"}[name]
            else STILL
        )
    if name in ("memory", *SCENARIO, "weights", "kv_cache", "activations"):
        return UP if name == "memory" and key == "memory.reserve" else STILL
    faster = UP if values.unknown.is_rate else DOWN if key == "link.latency" else STILL
    return faster if name in ("throughput", "tokens_per_s_per_user") else -faster


def bisected(values: Values, condition: Condition, way: int) -> Allowed:
    """Return where a constraint whose difference goes one way holds."""
    low, high = values.unknown.low, values.unknown.high
    if values.unknown.key == "output" and STEPS & set(condition.names):
        low = max(low, Fraction(2))
    method = f"bisection: no term turns back as {values.unknown.name} grows (checked)"
    if condition.op == "==":
        return _met(values, condition, low, high, way, method)
    holds_first = way == STILL or (condition.op in ("<", "<=")) == (way == UP)
    at_first = _holds(values, condition, [low if holds_first else high])[0]
    if not at_first:
        return Allowed((), method, low if holds_first else high)
    if holds_first:
        edge = _edge(values, lambda xs: _holds(values, condition, xs), low, high)
        return Allowed(((low, edge),), method)
    edge = _edge(values, lambda xs: [not h for h in _holds(values, condition, xs)], low, high)
    start = edge + 1 if values.unknown.whole else edge
    if _holds(values, condition, [low])[0]:
        start = low
    return Allowed(((start, high),), method)


def _met(
    values: Values, condition: Condition, low: Fraction, high: Fraction, way: int, method: str
) -> Allowed:
    """Return the value around which both sides are equal."""

    def below(xs: list[Fraction]) -> list[bool]:
        left, right = condition.sides(values.figures(condition, xs), len(xs))
        return [bool(b) for b in (way or UP) * (left - right) <= 0]

    if not below([low])[0] or (way and below([high])[0]) or not way:
        return Allowed((), method, low)
    edge = _edge(values, below, low, high)
    return Allowed(((edge, edge + 1 if values.unknown.whole else edge),), method)


def _edge(
    values: Values, true: Callable[[list[Fraction]], list[bool]], low: Fraction, high: Fraction
) -> Fraction:
    """Return the last value at which something is true that is so at ``low`` and then stops."""
    if true([high])[0]:
        return high
    fan = FAN if values.question.engine.method == COMPILED and values.unknown.whole else 1
    while high - low > (1 if values.unknown.whole else high * NEAREST):
        count = min(fan, int(high - low) - 1) if values.unknown.whole else 1
        inner = [low + (high - low) * k / (count + 1) for k in range(1, count + 1)]
        if values.unknown.whole:
            inner = list(dict.fromkeys(Fraction(x // 1) for x in inner if low < x // 1 < high))
        known = true(inner)
        first_false = next((k for k, t in enumerate(known) if not t), len(inner))
        low, high = (
            inner[first_false - 1] if first_false else low,
            inner[first_false] if first_false < len(inner) else high,
        )
    return low


def _holds(values: Values, condition: Condition, xs: list[Fraction]) -> list[bool]:
    return [bool(h) for h in condition.holds(values.figures(condition, xs), len(xs))]
