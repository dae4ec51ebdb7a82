"""Conditions over named quantities: ``tpot <= 20ms``.

>>> rule = parse_comparison("memory <= 0.9*capacity", {"memory": "bytes", "capacity": "bytes"})
>>> rule.holds({"memory": 70e9, "capacity": 80e9})
True
>>> str(parse_comparison("tpot <= 20ms", {"tpot": "time"}))
'tpot <= 1/50'
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sympy as sp

from mansard.core import units
from mansard.core.cursor import Cursor
from mansard.core.errors import SpecError, unknown_name
from mansard.core.expressions import LONGEST, ExpressionReader, print_expression
from mansard.core.symbols import Expr, symbol

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
    "<": operator.lt, ">": operator.gt, "=": operator.eq,
}  # fmt: skip

_OPERATOR = re.compile("|".join(OPERATORS))
_QUANTITY = re.compile(
    r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
    r"(?: ?[A-Za-zµμ$]+(?:/[A-Za-z]+)?|/(?:s|min|h)\b)"
)
_BARE = re.compile(r"[+-]?[\d.]+(?:[eE][+-]?\d+)?")


@dataclass(frozen=True)
class Comparison:
    """Two expressions in base units, over symbols called like the quantities.

    Args:
        left: of the operator.
        op: one of ``OPERATORS``.
        right: of the operator.
    """

    left: Expr
    op: str
    right: Expr

    @property
    def names(self) -> frozenset[str]:
        """The quantities it mentions."""
        return frozenset(s.name for s in (self.left - self.right).free_symbols) | frozenset(
            s.name for side in (self.left, self.right) for s in side.free_symbols
        )

    def holds(self, values: Mapping[str, float]) -> bool:
        """Say whether it is true of quantities in base units."""
        known = {symbol(name, "rate"): sp.Float(values[name]) for name in self.names}
        left, right = (float(side.xreplace(known)) for side in (self.left, self.right))
        return OPERATORS[self.op](left, right)

    def __str__(self) -> str:
        return f"{print_expression(self.left)} {self.op} {print_expression(self.right)}"


def parse_comparison(text: str, names: Mapping[str, str]) -> Comparison:
    """Read a condition; a number with a unit becomes base units, a lone one needs its unit.

    Args:
        text: like ``tpot <= 20ms`` or ``memory < 0.9*capacity``.
        names: quantity → its dimension (see ``core.units.parse``).

    Raises:
        SpecError: no comparison, or a unit of another dimension.
        UnknownNameError: a quantity is not among ``names``.
    """
    cursor = Cursor(text, "condition")
    if len(text) > LONGEST:
        cursor.fail(f"{len(text)} characters are more than {LONGEST}", at=0)
    found = _OPERATOR.search(text)
    if found is None:
        cursor.fail("it compares nothing", at=len(text), hint="write it like 'tpot <= 20ms'")
    mentioned = [n for n in re.findall(r"[^\W\d]\w*", text) if n in names]
    dimension = names[mentioned[0]] if mentioned else "number"
    left = _side(cursor, names, dimension, found.start())
    cursor.expect(found[0])
    right = _side(cursor, names, dimension, len(text))
    if not cursor.ended:
        cursor.fail("expected the end")
    if not left.free_symbols | right.free_symbols:
        cursor.fail("it mentions no quantity", at=0, hint=f"one of: {', '.join(sorted(names))}")
    return Comparison(left, found[0], right)


def _side(cursor: Cursor, names: Mapping[str, str], dimension: str, end: int) -> Expr:
    whole = cursor.text[cursor.at : end].strip()
    if _BARE.fullmatch(whole):
        at = cursor.skip()
        cursor.at = end
        return _exact(cursor, whole, dimension, at)
    return _Reader(cursor, names, dimension).sum()


def _exact(cursor: Cursor, text: str, dimension: str, at: int) -> Expr:
    try:
        return sp.Rational(repr(units.parse(text, dimension)))
    except SpecError as error:
        raise cursor.wrap(error, at) from None


class _Reader(ExpressionReader):
    """An expression reader that also knows numbers with units."""

    def __init__(self, cursor: Cursor, names: Mapping[str, str], dimension: str) -> None:
        def resolve(name: str) -> Expr:
            if name not in names:
                raise unknown_name("quantity", name, names)
            return symbol(name, "rate")

        super().__init__(cursor, resolve)
        self.dimension = dimension

    def atom(self) -> Expr:
        """Read a number with a unit, or whatever an expression has."""
        at = self.cursor.skip()
        if found := self.cursor.take(_QUANTITY):
            return _exact(self.cursor, found[0], self.dimension, at)
        return super().atom()
