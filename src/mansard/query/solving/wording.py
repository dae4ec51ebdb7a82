"""Sentences of answers: values with units, and why nothing satisfies the constraints."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from mansard.core import units

if TYPE_CHECKING:
    from mansard.query.solving.allowance import Allowed
    from mansard.query.solving.conditions import Condition
    from mansard.query.solving.unknowns import Unknown
    from mansard.query.solving.values import Values


def shown(value: Any, unknown: Unknown) -> str:
    """Write a value of the unknown."""
    return written(value, unknown.dimension)


def written(value: Any, dimension: str) -> str:
    """Write a quantity of a dimension for people."""
    if value is None:
        return "-"
    if isinstance(value, (str, bool)):
        return str(value)
    match dimension:
        case "time":
            return units.format_time(float(value))
        case "bytes":
            return units.format_bytes(float(value))
        case "bytes/s":
            return units.format_rate(float(value))
        case "flop/s":
            return units.format_flops(float(value), per_second=True)
        case "1/s":
            return f"{float(value):,.0f}/s" if value >= 100 else f"{float(value):.3g}/s"
        case "energy":
            return f"{float(value):,.4g} J"
        case _:
            return f"{int(value):,}" if value == int(value) else f"{float(value):.4g}"


def named(name: str, value: float | None) -> str:
    """Write a quantity a constraint may name, with its name."""
    from mansard.query.gate import DIMENSIONS

    return f"{name} {written(value, DIMENSIONS[name])}"


def contradiction(search: Values, conditions: Sequence[Condition], found: Sequence[Allowed]) -> str:
    """Say why nothing satisfies the constraints."""
    unknown = search.unknown
    for condition, allowed in zip(conditions, found, strict=True):
        if not allowed.spans and allowed.best is not None:
            best = allowed.best
            if unknown.whole:
                best = Fraction(round(best))
            at = search.figures_at(condition, best)
            values = ", ".join(named(n, at[n]) for n in condition.names if n != unknown.key)
            return (
                f"no {unknown.name} satisfies {condition.text!r}: at its best,"
                f" {unknown.name} {shown(best, unknown)}: {values}"
            )
    within = unknown.low, unknown.high
    each = [
        f"{c.text!r} holds for {unknown.name} {spans(a.spans, unknown.dimension, within)}"
        for c, a in zip(conditions, found, strict=True)
    ]
    return "the constraints contradict: " + ", ".join(each)


def spans(
    of: Sequence[tuple[Any, Any]], dimension: str, within: tuple[Any, Any] | None, most: int = 4
) -> str:
    """Write spans of values; where one ends with the range that was looked at, it is open."""
    if of and isinstance(of[0][0], str):
        most = len(of)  # names say nothing about those between them
    parts = [_span(a, b, dimension, within) for a, b in of[:most]]
    rest = f" and {len(of) - most} more" if len(of) > most else ""
    return ", ".join(parts) + rest if parts else "nowhere"


def _span(a: Any, b: Any, dimension: str, within: tuple[Any, Any] | None) -> str:
    low, high = answer(a, dimension, "minimize"), answer(b, dimension, "maximize")
    if a == b:
        return low
    if within is not None and b >= within[1]:
        return f"{low} and more" if a > within[0] or a == 1 else "any"
    if within is not None and a <= within[0] and a != 1:
        return f"up to {high}"
    return f"{low}…{high}"


SCALES: dict[str, tuple[tuple[float, str], ...]] = {
    "time": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")),
    "bytes": tuple((1000.0**k, f"{p}B") for k, p in reversed(list(enumerate(("", *"kMGTP"))))),
    "bytes/s": tuple((1000.0**k, f"{p}B/s") for k, p in reversed(list(enumerate(("", *"kMGTP"))))),
    "flop/s": tuple(
        (1000.0**k, f"{p}FLOP/s") for k, p in reversed(list(enumerate(("", *"kMGTPE"))))
    ),
}
DIGITS = 5


def answer(value: Any, dimension: str, goal: str) -> str:
    """Write an answer in five digits, rounded to the side that satisfies.

    >>> answer(4811618713600.0, "bytes/s", "minimize"), answer(179, "tokens", "maximize")
    ('4.8117 TB/s', '179')
    """
    if dimension not in SCALES or isinstance(value, (str, bool)) or not value:
        return written(value, dimension)
    scale, unit = next((s for s in SCALES[dimension] if value >= s[0]), SCALES[dimension][-1])
    number = Fraction(value) / Fraction(scale)
    places = max(0, DIGITS - len(str(int(number))))
    shifted = number * 10**places
    whole = -(-shifted // 1) if goal == "minimize" else shifted // 1
    return f"{int(whole) / 10**places:,.{places}f} {unit}"
