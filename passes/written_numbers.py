"""Exact numbers from what users write: 0.3 is three tenths, not a binary fraction near it."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from mansard.core.errors import SpecError
from mansard.core.symbols import Expr


def exact(value: float) -> Expr:
    """Return the shortest decimal that reads as ``value``, exactly.

    >>> exact(0.3)
    3/10
    """
    return sp.Rational(repr(value) if isinstance(value, float) else value)


def whole_numbers(texts: Sequence[str], what: str) -> tuple[int, ...]:
    """Read a list option of whole numbers.

    Raises:
        SpecError: one is none.
    """
    bad = [t for t in texts if not (t.isascii() and t.isdigit() and len(t) < 10)]
    if bad:
        raise SpecError(f"{what}: {bad[0]!r} is no whole number", hint="write whole numbers")
    return tuple(map(int, texts))


def shares(texts: Sequence[str], what: str) -> tuple[Expr, ...]:
    """Read a list option of numbers from 0 to 1, exactly.

    Raises:
        SpecError: one is none.
    """
    found = []
    for text in texts:
        digits = text.replace(".", "", 1)
        if not (digits.isascii() and digits.isdigit() and len(text) < 20 and float(text) <= 1):
            raise SpecError(f"{what}: {text!r} is no share", hint="write numbers from 0 to 1")
        found.append(sp.Rational(text))
    return tuple(found)
