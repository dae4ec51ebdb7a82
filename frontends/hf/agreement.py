"""What the sizes of a config must be to each other: the checks that a card lists."""

from __future__ import annotations

from mansard.core.errors import SpecError, unknown_name
from mansard.frontends.hf.cards import Setting
from mansard.frontends.hf.fields import Fields

CHECKS = ("equal", "divides")
"""Two settings are the same number; the first divides the second."""


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
            if kind == "divides" and any(n % a for n in (b if isinstance(b, list) else [b])):
                said = f"{fields.words(left)} does not divide {_side(fields, right, b)}"
                raise SpecError(
                    f"{fields.where}: {said}", hint=f"make the second a multiple of {a}"
                )


def _side(fields: Fields, setting: Setting, value: object) -> str:
    """Return a side in words, with what it comes to where several keys make it."""
    words = fields.words(setting)
    return f"{words} is {value}" if " · " in words or " / " in words else words
