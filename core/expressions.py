"""Text to expression and back, for sizes, costs and conditions. Nothing is ever evaluated as code.

>>> from mansard.core.symbols import PARAMETERS
>>> parse_expression("2*S*(P + S)", PARAMETERS)
2*S*(P + S)
>>> parse_expression("min(P, 4095) + S", PARAMETERS)
S + least(P, 4095)
>>> from mansard.core.symbols import symbol
>>> print_expression(symbol("past length", "count") + 1)
'`past length` + 1'
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NoReturn, TypeAlias

import sympy as sp
from sympy.printing.str import StrPrinter

from mansard.core.cursor import Cursor
from mansard.core.errors import MansardError, unknown_name
from mansard.core.symbols import ATOMS, Expr, Symbol, ceil_div, geometric, least, pick, total

Names: TypeAlias = Mapping[str, Expr] | Callable[[str], Expr]
"""What a name stands for: a mapping, or a function that raises for what it does not know."""

LONGEST = 10_000
DEEPEST = 100
_MOST_BITS = 4096
_MOST_DIGITS = 400
_HIGHEST_POWER = 64
_WRITE = "write numbers, names and + - * / ( )"
_HINTS = {
    "division by zero": "divide by a number that is not 0",
    "this number is too large": "write a smaller number",
    "this exponent is too large": "write the number itself, like 4096 or 1e9",
    "a root of a negative number": "take the root of what is not negative",
}

_NUMBER = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_NAME = re.compile(r"[^\W\d]\w*")
_TICKED = re.compile(r"`((?:[^`\\]|\\.)*)`", re.DOTALL)
_ADDITIVE = re.compile(r"[+-]")
_MULTIPLICATIVE = re.compile(r"\*(?!\*)|//|/|%")
_PLAIN = re.compile(r"\*(?!\*)|/(?!/)")
"""In the text form ``%`` begins a value and ``//`` a comment."""
RESERVED = frozenset({*ATOMS, "min", "max", "floor", "ceil", "sqrt", "true", "false", "none"})
"""Names that mean something; a symbol of such a name is written in backticks."""


def parse_expression(text: str, resolve: Names, where: str = "expression") -> Expr:
    """Read an expression: numbers, names, ``+ - * / // % **``, and a few functions.

    Decimals become exact rationals; a name that is no word stands in backticks.

    Args:
        text: to read.
        resolve: what each name stands for.
        where: what the text is, for errors.

    Raises:
        SpecError: it is no expression, or a hostile one; the message points at the place.
        UnknownNameError: a name stands for nothing.
    """
    cursor = Cursor(text, where)
    if len(text) > LONGEST:
        cursor.fail(f"{len(text)} characters are more than {LONGEST}", at=0)
    value = read_expression(cursor, resolve)
    if not cursor.ended:
        cursor.fail("expected an operator or the end", hint=_WRITE)
    return value


def read_expression(cursor: Cursor, resolve: Names) -> Expr:
    """Read the longest expression that starts at the cursor; see ``parse_expression``."""
    start = cursor.skip()
    value = ExpressionReader(cursor, resolve).sum()
    if any(_bits(n) > _MOST_BITS for n in value.atoms(sp.Rational)):
        cursor.fail("a number in it is too large", at=start)
    if any(p.exp.is_Rational and abs(p.exp) > _HIGHEST_POWER for p in value.atoms(sp.Pow)):
        cursor.fail("an exponent in it is too large", at=start)
    if value.has(sp.zoo, sp.nan, sp.oo, sp.I):
        cursor.fail("it has no real value", at=start)
    return value


class ExpressionReader:
    """Precedence climbing over a cursor: sum, product, sign, power, atom."""

    def __init__(self, cursor: Cursor, resolve: Names) -> None:
        self.cursor, self.resolve = cursor, resolve

    def sum(self) -> Expr:
        """Read terms with ``+`` and ``-`` between them."""
        terms = [self.product()]
        while sign := self.cursor.take(_ADDITIVE):
            terms.append(self.product(negative=sign[0] == "-"))
        return terms[0] if len(terms) == 1 else total(terms)

    def product(self, *, negative: bool = False) -> Expr:
        """Read factors with ``*``, ``/``, ``//`` and ``%`` between them, signs in front."""
        while sign := self.cursor.take(_ADDITIVE):
            negative ^= sign[0] == "-"
        factors = [*[sp.S.NegativeOne] * negative, self.power()]
        between = _PLAIN if self.cursor.comments else _MULTIPLICATIVE
        while sign := self.cursor.take(between):
            at = self.cursor.skip()
            factor = self.signed()
            if sign[0] != "*" and factor.is_zero:
                self._impossible("division by zero", at)
            if sign[0] == "*":
                factors.append(factor)
            elif sign[0] == "/":
                factors.append(1 / factor)
            else:
                whole = sp.Mul(*factors)
                quotient = self._floor(whole, factor, at)
                factors = [quotient if sign[0] == "//" else whole - factor * quotient]
        return factors[0] if len(factors) == 1 else sp.Mul(*factors)

    def signed(self) -> Expr:
        """Read a power with signs in front."""
        negative = False
        while sign := self.cursor.take(_ADDITIVE):
            negative ^= sign[0] == "-"
        value = self.power()
        return -value if negative else value

    def power(self) -> Expr:
        """Read an atom, and what it is raised to."""
        base = self.atom()
        at = self.cursor.skip()
        if not self.cursor.accept("**"):
            return base
        with self.cursor.deeper(DEEPEST):
            exponent = self.signed()
        return self._raised(base, exponent, at)

    def atom(self) -> Expr:
        """Read a number, a name, a call or a parenthesis."""
        cursor = self.cursor
        at = cursor.skip()
        if number := cursor.take(_NUMBER):
            return self._number(number[0], at)
        if ticked := cursor.take(_TICKED):
            return self._named(re.sub(r"\\(.)", r"\1", ticked[1], flags=re.DOTALL), at)
        if name := cursor.take(_NAME):
            if cursor.next_is("("):
                return self._call(name[0], at)
            return self._named(name[0], at)
        if cursor.accept("("):
            with self.cursor.deeper(DEEPEST):
                value = self.sum()
            cursor.expect(")")
            return value
        cursor.fail("expected a number, a name or '('", hint=_WRITE)

    def _number(self, text: str, at: int) -> Expr:
        mantissa, _, exponent = text.lower().partition("e")
        if len(mantissa) > _MOST_DIGITS or len(exponent) > 4 or abs(int(exponent or 0)) > 400:
            self._impossible("this number is too large", at)
        return sp.Rational(text)

    def _named(self, name: str, at: int) -> Expr:
        try:
            if callable(self.resolve):
                return self.resolve(name)
            if name not in self.resolve:
                raise unknown_name("symbol", name, self.resolve)
            return self.resolve[name]
        except MansardError as error:
            raise self.cursor.wrap(error, at) from None

    def _call(self, name: str, at: int) -> Expr:
        if name not in _CALLS:
            self.cursor.fail(
                f"no function called {name!r}", at=at, hint=f"there are {', '.join(sorted(_CALLS))}"
            )
        arity, make = _CALLS[name]
        self.cursor.expect("(")
        with self.cursor.deeper(DEEPEST):
            args = [self._table() if name == "pick" else self.sum()]
            while self.cursor.accept(","):
                args.append(self.sum())
        self.cursor.expect(")")
        if len(args) != arity if arity else len(args) < 2:
            wanted = str(arity) if arity else "at least 2"
            self.cursor.fail(f"{name} takes {wanted} arguments, not {len(args)}", at=at)
        if name == "ceil_div" and args[1].is_zero:
            self._impossible("division by zero", at)
        try:
            return make(self, at, args)
        except MansardError as error:
            raise self.cursor.wrap(error, at) from None

    def _table(self) -> sp.Tuple:
        self.cursor.expect("(")
        entries = [self.sum()]
        while self.cursor.accept(",") and not self.cursor.next_is(")"):
            entries.append(self.sum())
        self.cursor.expect(")")
        return sp.Tuple(*entries)

    def _raised(self, base: Expr, exponent: Expr, at: int) -> Expr:
        if base.is_zero and not exponent.is_nonnegative:
            self._impossible("division by zero", at)
        if exponent.is_number:
            size = _bits(base) if base.is_number else _MOST_BITS // _HIGHEST_POWER
            if not exponent.is_Rational or abs(exponent) * size > _MOST_BITS:
                self._impossible("this exponent is too large", at)
            if base.is_negative and not exponent.is_integer:
                self._impossible("a root of a negative number", at)
        value = base**exponent
        if value.is_Pow and value.exp.is_Rational and abs(value.exp) > _HIGHEST_POWER:
            self._impossible("this exponent is too large", at)
        return value

    def _impossible(self, what: str, at: int) -> NoReturn:
        self.cursor.fail(what, at=at, hint=_HINTS[what])

    def _floor(self, a: Expr, n: Expr, at: int) -> Expr:
        if a.is_number and n.is_number:
            return a // n
        if not (a.is_integer and n.is_integer):
            self.cursor.fail("only whole quantities can be divided and rounded", at=at)
        return ceil_div(a + 1, n) - 1

    def floor(self, at: int, value: Expr) -> Expr:
        """Round down a quotient of whole quantities."""
        whole, parts = value.as_numer_denom()
        return self._floor(whole, parts, at)


_Make = Callable[[ExpressionReader, int, list[Expr]], Expr]
_CALLS: dict[str, tuple[int, _Make]] = {
    "least": (2, lambda reader, at, args: least(*args)),
    "ceil_div": (2, lambda reader, at, args: ceil_div(*args)),
    "geometric": (2, lambda reader, at, args: geometric(*args)),
    "pick": (2, lambda reader, at, args: pick(*args)),
    "floor": (1, lambda reader, at, args: reader.floor(at, args[0])),
    "ceil": (1, lambda reader, at, args: ceil_div(*args[0].as_numer_denom())),
    "sqrt": (1, lambda reader, at, args: reader._raised(args[0], sp.Rational(1, 2), at)),
    "min": (0, lambda reader, at, args: _folded(least, args)),
    "max": (0, lambda reader, at, args: _folded(_greatest, args)),
}
"""Function → how many arguments it takes (0: two or more), and what it makes of them."""


def _folded(function: Callable[[Expr, Expr], Expr], args: list[Expr]) -> Expr:
    value = args[0]
    for arg in args[1:]:
        value = function(value, arg)
    return value


def _greatest(a: Expr, b: Expr) -> Expr:
    return a + b - least(a, b)


def _bits(number: Expr) -> int:
    if not number.is_Rational:
        return _MOST_BITS // _HIGHEST_POWER
    return max(int(number.p).bit_length(), int(number.q).bit_length())


class _Printer(StrPrinter):  # type: ignore[misc]
    def _print_Symbol(self, symbol: Symbol) -> str:  # noqa: N802 - sympy's name
        return print_name(symbol.name)


def print_name(name: str) -> str:
    """Write a symbol's name; in backticks unless it is a word that means nothing else."""
    if _NAME.fullmatch(name) and name not in RESERVED:
        return name
    return "`" + re.sub(r"([\\`])", r"\\\1", name) + "`"


@lru_cache(maxsize=65536)
def print_expression(value: Expr) -> str:
    """Write an expression as ``parse_expression`` reads it, equal expressions alike."""
    return str(_Printer().doprint(_evaluated(value)))


def _evaluated(value: Expr) -> Expr:
    """Undo what ``factor`` leaves unevaluated: reading the text back would undo it as well."""
    loose = any(
        len(m.args) == 2 and m.args[0].is_Number and m.args[1].is_Add for m in value.atoms(sp.Mul)
    )
    if not loose:
        return value
    return value.func(*(_evaluated(arg) if arg.args else arg for arg in value.args))
