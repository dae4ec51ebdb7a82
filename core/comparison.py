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

import sympy as sp

from mansard.core import units
from mansard.core.cursor import Cursor
from mansard.core.dimensions import DIMENSIONS, Dimension, dimension_of, name_of, print_dimension
from mansard.core.errors import MansardError, SpecError, unknown_name
from mansard.core.expressions import LONGEST, ExpressionReader, print_expression
from mansard.core.records import dataclass
from mansard.core.symbols import Expr, symbol

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
    "<": operator.lt, ">": operator.gt, "=": operator.eq, "≤": operator.le, "≥": operator.ge,
}  # fmt: skip
_SPELLED = {"≤": "<=", "≥": ">="}

_OPERATOR = re.compile("|".join(OPERATORS))
_QUANTITY = re.compile(
    r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
    r"(?: ?[A-Za-zµμ$]+(?:/[A-Za-z]+)?|/(?:s|min|h)\b)"
)


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
        SpecError: no comparison, or sides of different dimensions.
        UnknownNameError: a quantity is not among ``names``.
    """
    cursor = Cursor(text, "condition")
    if len(text) > LONGEST:
        cursor.fail(f"{len(text)} characters are more than {LONGEST}", at=0)
    found = _OPERATOR.search(text)
    if found is None:
        cursor.fail("it compares nothing", at=len(text), hint="write it like 'tpot <= 20ms'")
    mentioned = [n for n in re.findall(r"[^\W\d]\w*", text) if n in names]
    reader = _Reader(cursor, names, names[mentioned[0]] if mentioned else "")
    left = reader.side(found.start())
    cursor.expect(found[0])
    right = reader.side(len(text))
    if not cursor.ended:
        cursor.fail("expected the end",
                    hint="write it like 'tpot <= 20ms', and a comma between two")  # fmt: skip
    if not left.free_symbols | right.free_symbols:
        cursor.fail("it mentions no quantity", at=0, hint=f"one of: {', '.join(sorted(names))}")
    reader.check(left, right)
    op = _SPELLED.get(found[0], found[0])
    return Comparison(left.xreplace(reader.numbers), op, right.xreplace(reader.numbers))


class _Reader(ExpressionReader):
    """An expression reader that also knows numbers with units, each a symbol until the end.

    Args:
        cursor: where to read.
        names: quantity → its dimension.
        dimension: of the first quantity mentioned; empty where none is.
    """

    def __init__(self, cursor: Cursor, names: Mapping[str, str], dimension: str) -> None:
        def resolve(name: str) -> Expr:
            if name not in names:
                raise unknown_name("quantity", name, names)
            found = symbol(name, "rate")
            self.dimensions[found] = DIMENSIONS[names[name]]
            return found

        super().__init__(cursor, resolve)
        self.dimension = dimension
        self.numbers: dict[Expr, Expr] = {}
        self.dimensions: dict[Expr, Dimension] = {}
        self.foreign: MansardError | None = None
        self.sides: list[tuple[int, str]] = []

    def side(self, end: int) -> Expr:
        """Read what is compared, up to a position."""
        start = self.cursor.skip()
        self.sides.append((start, self.cursor.text[start:end].strip()))
        return self.sum()

    def atom(self) -> Expr:
        """Read a number with a unit, or whatever an expression has."""
        at = self.cursor.skip()
        if found := self.cursor.take(_QUANTITY):
            return self._measured(found[0], at)
        return super().atom()

    def _measured(self, text: str, at: int) -> Expr:
        """Return the symbol of a number with a unit, of the dimension expected if it has one."""
        expected = self.dimension or "number"
        for dimension in (expected, *(d for d in DIMENSIONS if self.dimension and d != expected)):
            try:
                number = sp.Rational(repr(units.parse(text, dimension)))
            except SpecError as error:
                self.foreign = self.foreign or self.cursor.wrap(error, at)
                continue
            if number.is_zero:
                return number
            made = sp.Dummy(text, positive=True)
            self.numbers[made], self.dimensions[made] = number, DIMENSIONS[dimension]
            return made
        assert self.foreign is not None  # the first dimension tried refused it
        raise self.foreign

    def check(self, left: Expr, right: Expr) -> None:
        """Raise unless both sides are of one dimension; 0 is of every one.

        Raises:
            SpecError: they are not, or a side adds up what cannot be added.
        """
        found = []
        for (at, _), side in zip(self.sides, (left, right), strict=True):
            try:
                found.append(dimension_of(side, self.dimensions))
            except SpecError as error:
                raise self.foreign or self.cursor.wrap(error, at) from None
        first, second = found
        if first is None or second is None or first == second:
            return
        if self.foreign:
            raise self.foreign
        for (at, written), side, other in zip(self.sides, (left, right), (second, first),
                                              strict=True):  # fmt: skip
            if side.is_number and (name := name_of(other)):
                self.cursor.fail(f"{written!r} has no unit: {name} needs one", at=at,
                                 hint=f"write it like {units.EXAMPLE[name]}")  # fmt: skip
        (_, one), (at, two) = self.sides
        self.cursor.fail(f"{one!r} is {print_dimension(first)}, {two!r} {print_dimension(second)}",
                         at=at, hint="compare what has the same unit")  # fmt: skip
