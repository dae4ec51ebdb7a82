"""What the sizes of a config must be to each other: the checks that a card lists."""

from __future__ import annotations

from collections.abc import Mapping

from mansard.core.errors import SpecError, unknown_name
from mansard.frontends.hf.cards import Setting
from mansard.frontends.hf.fields import Fields
from mansard.frontends.hf.keys import show
from mansard.frontends.hf.schedule import Schedule

CHECKS = ("equal", "divides", "at_most")
"""Two settings are the same number; the first divides the second, or is no more than it."""


def check_agreement(fields: Fields) -> None:
    """Refuse a config whose sizes contradict each other; one that is absent contradicts none.

    Raises:
        SpecError: a check of the card fails; names the keys of both sides.
    """
    for check in fields.card.checks.values():
        for kind, (left, right) in check.items():
            if kind not in CHECKS:
                raise unknown_name("check of a card", kind, CHECKS)
            a, b = fields.setting(left), fields.setting(right)
            if a is None or b is None:
                continue
            if kind == "equal" and a != b:
                said = f"{_side(fields, left, a)}, but {_side(fields, right, b)}"
                raise SpecError(f"{fields.where}: {said}", hint="make them the same")
            if kind == "at_most" and a > b:
                said = f"{spelled(fields, left)} is more than {_side(fields, right, b)}"
                raise SpecError(f"{fields.where}: {said}", hint=f"make the first 1 to {b}")
            if kind == "divides" and any(n % a for n in (b if isinstance(b, list) else [b])):
                said = f"{spelled(fields, left)} does not divide {_side(fields, right, b)}"
                raise SpecError(
                    f"{fields.where}: {said}", hint=f"make the second a multiple of {a}"
                )


def _side(fields: Fields, setting: Setting, value: object) -> str:
    """Return a side in words, with what it comes to where several keys make it."""
    words = spelled(fields, setting)
    return f"{words} is {value}" if " · " in words or " / " in words else words


def check_period(fields: Fields, schedule: Schedule, start: int, step: int) -> None:
    """Refuse an offset that is no layer of its period.

    Raises:
        SpecError: it is not; names both keys.
    """
    if schedule.rule in ("period", "except_period") and schedule.first == 0 and start >= step:
        offset, period = spelled(fields, schedule.start), spelled(fields, schedule.step)
        raise SpecError(
            f"{fields.where}: {offset} is no layer of a period: {period}",
            hint=f"make the offset less than the period, 0 to {step - 1}",
        )


def spelled(fields: Fields, setting: Setting) -> str:
    """Return a setting as the config spells it, each key with its value."""
    chosen = fields.decide(setting)
    if isinstance(chosen, str):
        return f"{fields.spelling(chosen)} {show(fields.value(chosen))}"
    if not isinstance(chosen, Mapping):
        return show(chosen)
    name, parts = next(iter(chosen.items()))
    if name == "first":
        known = (p for p in parts if fields.setting(p) is not None)
        return spelled(fields, next(known, parts[-1]))
    sign = {"times": " · ", "plus": " + ", "over": " / "}.get(name, ", ")
    return sign.join(spelled(fields, part) for part in parts)
