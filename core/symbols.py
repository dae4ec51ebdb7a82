"""The only place that makes sympy symbols, and the four atoms shapes and costs may hold.

To sympy, ``Symbol("B")`` and the positive integer ``B`` are *different* symbols, so one stray
constructor silently stops substitution. Ask for a symbol by name instead.

>>> symbol("B") is B
True
>>> (B * S).xreplace({B: sp.Integer(8)})
8*S

sympy's ``Min``, ``ceiling`` and ``Piecewise`` cost 1-3 ms each to build; these atoms cost 0.06 ms.

>>> least(P + S, 4096).xreplace({P: sp.Integer(100), S: sp.Integer(1)})
101
>>> ceil_div(S, 128).xreplace({S: sp.Integer(129)})
2
>>> geometric(1, 5), geometric(sp.Rational(1, 2), 3)
(5, 7/4)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, TypeAlias

import sympy as sp

from mansard.core.errors import SpecError

Expr: TypeAlias = sp.Expr
Symbol: TypeAlias = sp.Symbol
ExprLike: TypeAlias = sp.Expr | int

ASSUMPTIONS: dict[str, dict[str, bool]] = {
    "size": {"integer": True, "positive": True},  # at least one of it exists
    "count": {"integer": True, "nonnegative": True},  # may be none: cached tokens, an ONNX dim
    "rate": {"positive": True},  # a probability, a bandwidth
}


@cache
def symbol(name: str, kind: str = "size") -> sp.Symbol:
    """Return the symbol called ``name`` of a kind: "size", "count" or "rate"."""
    return sp.Symbol(name, **ASSUMPTIONS[kind])


B = symbol("B")
"""Sequences in the call."""
S = symbol("S")
"""New tokens per sequence."""
P = symbol("P", "count")
"""Tokens per sequence already cached."""
T = symbol("T")
"""Tokens through the step: ``B*S`` unless the step is ragged."""
R = symbol("R")
"""Rows that need logits."""
M = symbol("M", "count")
"""Length of a memory that is attended to and never extended."""
PARAMETERS: dict[str, sp.Symbol] = {s.name: s for s in (B, S, P, T, R, M)}

batch = symbol("batch")
prompt = symbol("prompt")
output = symbol("output")
step = symbol("step", "count")
SCENARIO: dict[str, sp.Symbol] = {s.name: s for s in (batch, prompt, output, step)}


class least(sp.Function):  # type: ignore[misc]  # noqa: N801 - reads as a function
    """``least(a, b)``: the smaller of two nonnegative quantities."""

    nargs = 2

    @classmethod
    def eval(cls, a: Expr, b: Expr) -> Expr | None:
        """Decide when both are numbers, or equal."""
        if a == b:
            return a
        if a.is_number and b.is_number:
            return a if a <= b else b
        return None

    def _eval_is_nonnegative(self) -> bool | None:
        return bool(all(a.is_nonnegative for a in self.args)) or None

    def _eval_is_integer(self) -> bool | None:
        return bool(all(a.is_integer for a in self.args)) or None


class ceil_div(sp.Function):  # type: ignore[misc]  # noqa: N801
    """``ceil_div(a, n)``: how many blocks of ``n`` cover ``a``."""

    nargs = 2

    @classmethod
    def eval(cls, a: Expr, n: Expr) -> Expr | None:
        """Decide when both are numbers, or ``n`` is one and ``a`` whole."""
        if a.is_number and n.is_number and n != 0:
            return -sp.floor(-a / n)  # sympy's own // takes -1/8 // 7 for 0
        return a if n == 1 and a.is_integer else None

    def _eval_is_nonnegative(self) -> bool | None:
        return bool(self.args[0].is_nonnegative and self.args[1].is_positive) or None

    def _eval_is_integer(self) -> bool:
        return True


class geometric(sp.Function):  # type: ignore[misc]  # noqa: N801
    """``geometric(a, n)`` = ``1 + a + … + a**(n-1)``: ``n`` when ``a`` is 1, and no 0/0."""

    nargs = 2

    @classmethod
    def eval(cls, a: Expr, n: Expr) -> Expr | None:
        """Decide when ``a`` is 0 or 1, or ``n`` is a small number."""
        if a == 1:
            return n
        if n.is_Integer and 0 <= n <= 64:
            return sp.Add(*(a**k for k in range(int(n))))
        return None

    def _eval_is_nonnegative(self) -> bool | None:
        return bool(self.args[0].is_nonnegative and self.args[1].is_nonnegative) or None


class pick(sp.Function):  # type: ignore[misc]  # noqa: N801
    """``pick(table, index)``: the entry of a tuple a symbol selects."""

    nargs = 2

    @classmethod
    def eval(cls, table: sp.Tuple, index: Expr) -> Expr | None:
        """Decide when the index is a number; one outside the table is an error."""
        if not index.is_Integer:
            return None
        if not 0 <= index < len(table):
            raise SpecError(f"pick: no entry {index} in a table of {len(table)}")
        return table[int(index)]

    def _eval_is_nonnegative(self) -> bool | None:
        return bool(all(a.is_nonnegative for a in self.args[0])) or None

    def _eval_is_integer(self) -> bool | None:
        return bool(all(a.is_integer for a in self.args[0])) or None


ATOMS: dict[str, type[sp.Function]] = {
    "least": least,
    "ceil_div": ceil_div,
    "geometric": geometric,
    "pick": pick,
}


def expr(value: ExprLike) -> Expr:
    """Coerce an int to sympy; text is refused (see ``core.expressions``)."""
    if isinstance(value, sp.Basic):
        return value
    if isinstance(value, int):
        return sp.Integer(value)
    raise TypeError(f"a size is an int or an expression, not {value!r}")


def product(factors: Iterable[ExprLike]) -> Expr:
    """Multiply, without building the partial products.

    The number is multiplied apart from the symbols: sympy deduces twenty facts about each number
    that it meets in a product, and every layer of another size has numbers of its own.

    >>> product((2, T, 8192)), product((T, S, B, 4)), product((0, T)), product((2, P + S))
    (16384*T, 4*B*S*T, 0, 2*P + 2*S)
    """
    number, symbols = sp.S.One, []
    for factor in (factors := tuple(map(expr, factors))):
        for f in factor.args if factor.is_Mul else (factor,):
            if f.is_Symbol:
                symbols.append(f)
            elif f.is_Rational:
                number *= f
            else:
                return sp.Mul(*factors)
    if not symbols or not number:
        return number
    rest = sp.Mul(*symbols)  # known to sympy's cache
    if number == 1:
        return rest
    parts = sp.Mul.make_args(rest)
    if not all(f.is_Symbol or f.is_Pow for f in parts):
        return sp.Mul(number, rest)
    return sp.Mul._from_args((number, *parts), is_commutative=True)


def total(terms: Iterable[ExprLike]) -> Expr:
    """Add, without building the partial sums."""
    return sp.Add(*map(expr, terms))


def bind(value: ExprLike, symbols: Mapping[Any, Any]) -> Expr:
    """Replace symbols simultaneously."""
    return expr(value).xreplace(symbols)


def ragged(value: ExprLike) -> Expr:
    """Return ``value`` with ``T`` written as ``B*S``, the form in which sizes are compared."""
    return expr(value).xreplace({T: B * S})
