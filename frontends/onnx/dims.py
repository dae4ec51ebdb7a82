"""Exact arithmetic on dimensions: Python integers until a symbol is met, then expanded sympy.

Every operation is cached, so a dimension is built once however many tensors carry it, and two
dimensions are the same size when they are the same expression.

>>> add(3, 4), mul(S, add(P, S))
(7, P*S + S**2)
>>> floor_div(mul(8, mul(B, S)), mul(B, S)), floor_div(add(mul(4, S), 3), 4)
(8, S)
>>> add(floor_div(sub(S, 1), 2), 1)  # a convolution of stride 2
ceil_div(S, 2)
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache, lru_cache, reduce
from typing import Any, TypeAlias

import sympy as sp

from mansard.core.symbols import B, P, S, Symbol, ceil_div, least

__all__ = ["B", "P", "S"]  # for the examples above

Dim: TypeAlias = int | sp.Expr
"""One size: an int, or an expression over nonnegative integer symbols."""

LIMIT = 400
"""Nodes an expression may have; text and graphs from strangers can make them grow without end."""
LARGEST = 2**63 - 1
"""The largest int64, what ONNX counts in."""
_ENDLESS = LARGEST**4
_CACHED = lru_cache(maxsize=1 << 16)


class Unresolved(Exception):  # noqa: N818 - not an error: something a rule needs is not known
    """What a shape rule needs is not known; its results become named unknowns."""


@cache
def _nodes(e: sp.Basic) -> int:
    """Return how large an expression is, a power counted as its factors, a number by its words."""
    if e.is_Pow and e.exp.is_Integer:
        return _nodes(e.base) * min(abs(int(e.exp)), LIMIT + 1)
    if e.is_Rational:
        return 1 + (int(e.p).bit_length() + int(e.q).bit_length()) // 64
    return 1 + sum(map(_nodes, e.args))


def tidy(e: Any) -> Dim:
    """Return a whole number as an int, any other expression as it is.

    Raises:
        Unresolved: the expression has grown beyond what a graph can mean.
    """
    if e.is_Integer:
        return int(e)
    if not e.is_finite and e.is_number:
        raise Unresolved(f"{e} is no size")
    if _nodes(e) > LIMIT:
        raise Unresolved("the expression of a size is too large")
    return e


def add(a: Dim, b: Dim) -> Dim:
    """Return ``a + b``."""
    return a + b if type(a) is int and type(b) is int else _add(a, b)


@_CACHED
def _add(a: Dim, b: Dim) -> Dim:
    return tidy(sp.Add(a, b))


def sub(a: Dim, b: Dim) -> Dim:
    """Return ``a - b``."""
    return a - b if type(a) is int and type(b) is int else _add(a, mul(-1, b))


def mul(a: Dim, b: Dim) -> Dim:
    """Return ``a * b``, expanded."""
    if type(a) is not int or type(b) is not int:
        return _mul(a, b)
    found = a * b
    if abs(found) > _ENDLESS:
        raise Unresolved("a number beyond any size")
    return found


@_CACHED
def _mul(a: Dim, b: Dim) -> Dim:
    left, right = (
        sp.Add.make_args(sp.Integer(a) if isinstance(a, int) else a),
        sp.Add.make_args(sp.Integer(b) if isinstance(b, int) else b),
    )
    if len(left) * len(right) > LIMIT:
        raise Unresolved("the expression of a size is too large")
    return tidy(sp.Add(*(x * y for x in left for y in right)))


def product(dims: Iterable[Dim]) -> Dim:
    """Return the product: the number of elements of a shape."""
    return reduce(mul, dims, 1)


def total(dims: Iterable[Dim]) -> Dim:
    """Return the sum."""
    return reduce(add, dims, 0)


def floor_div(a: Dim, n: Dim) -> Dim:
    """Return ``a // n``, exactly where the division goes up.

    Raises:
        Unresolved: ``n`` is zero.
    """
    if n == 0:
        raise Unresolved("a division by zero")
    return a // n if type(a) is int and type(n) is int else _floor_div(a, n)


def blocks(a: Dim, n: Dim) -> Dim:
    """Return how many blocks of ``n`` cover ``a``."""
    return floor_div(add(a, sub(n, 1)), n)


def modulo(a: Dim, n: Dim) -> Dim:
    """Return the remainder of ``a // n``."""
    return sub(a, mul(n, floor_div(a, n)))


@_CACHED
def _floor_div(a: Dim, n: Dim) -> Dim:
    ratio = quotient(a, n)
    if ratio is not None:
        return floor(ratio)
    return tidy(ceil_div(sp.Add(a, 1, -n), sp.Integer(n) if isinstance(n, int) else n))


@_CACHED
def quotient(a: Dim, n: Dim) -> Dim | None:
    """Return ``a / n`` where it has no symbol in a denominator, else nothing."""
    if isinstance(n, int) or n.is_number:
        return tidy(sp.Add(*(term / n for term in sp.Add.make_args(sp.Integer(1) * a))))
    if n.is_Add:
        return _whole(sp.cancel(sp.Integer(1) * a / n))
    return _whole(sp.Add(*(term / n for term in sp.Add.make_args(sp.Integer(1) * a))))


def _whole(ratio: sp.Expr) -> Dim | None:
    ratio = sp.expand(ratio)
    factors = (f for term in sp.Add.make_args(ratio) for f in sp.Mul.make_args(term))
    powers = [f for f in factors if f.is_Pow and not f.exp.is_nonnegative]
    return None if any(not f.is_number for f in powers) else tidy(ratio)


@_CACHED
def floor(e: Dim) -> Dim:
    """Return the largest integer not above ``e``, whose coefficients may be fractions."""
    if isinstance(e, int):
        return e
    pairs = [(c, r) for c, r in (t.as_coeff_Mul() for t in sp.Add.make_args(e))]
    n = math.lcm(*(int(c.q) for c, _ in pairs if c.is_Rational))
    if n > LARGEST:
        raise Unresolved("a fraction without end")
    if n == 1:
        return e
    whole, rest, constant = [], [], 0
    for c, r in pairs:
        scaled = c * n
        if r == 1:
            constant = int(scaled)
        elif scaled % n == 0:
            whole.append(c * r)
        else:
            rest.append(scaled * r)
    units, left = divmod(constant, n)
    return add(tidy(sp.Add(units, *whole)), _ceiling(tuple(rest), left - n + 1, n))


def _ceiling(rest: tuple[sp.Expr, ...], constant: int, n: int) -> Dim:
    """Return the blocks of ``n`` in a sum, one block inside another merged: ⌈⌈x/a⌉/b⌉ = ⌈x/ab⌉."""
    if not rest:
        return -((-constant) // n)
    if len(rest) == 1 and isinstance(rest[0], ceil_div) and rest[0].args[1].is_Integer:
        inner, m = rest[0].args
        return blocks(add(tidy(inner), int(m) * constant), int(m) * n)
    return tidy(ceil_div(sp.Add(constant, *rest), sp.Integer(n)))


@_CACHED
def lower(e: Dim) -> sp.Rational | int | None:
    """Return a number ``e`` is never below, or nothing where none is known."""
    if isinstance(e, int) or e.is_Rational:
        return e
    if e.is_Symbol:
        return 1 if e.is_positive else 0 if e.is_nonnegative else None
    if e.is_Mul:
        c, factors = e.as_coeff_mul()
        if c.is_negative:
            return None
        bounds = [lower(f) for f in factors]
        return None if any(b is None or b < 0 for b in bounds) else math.prod([c, *bounds])
    if e.is_Pow and e.exp.is_Integer and e.exp > 0:
        bound = lower(e.base)
        return None if bound is None or bound < 0 else bound**e.exp
    if isinstance(e, ceil_div):
        bound = lower(e.args[0])
        return None if bound is None else 1 if bound > 0 else 0 if bound == 0 else None
    if isinstance(e, least):
        bounds = [lower(a) for a in e.args]
        known = [b for b in bounds if b is not None]
        return min(known) if len(known) == len(bounds) else None
    return _lower_of_sum(e) if e.is_Add else None


def _lower_of_sum(e: sp.Add) -> sp.Rational | int | None:
    bounds = [lower(term) for term in e.args]
    known_all = [b for b in bounds if b is not None]
    if len(known_all) == len(bounds):
        return sp.Add(*known_all)
    for term in e.args:  # -least(a, b) is at least -a, and at least -b
        c, rest = term.as_coeff_Mul()
        if c.is_negative and isinstance(rest, least):
            options = [lower(tidy(e - term + c * a)) for a in rest.args]
            known = [o for o in options if o is not None]
            if known:
                return max(known)
    return None


def never_below(a: Dim, b: Dim) -> bool:
    """Whether ``a >= b`` whatever the symbols are."""
    bound = lower(sub(a, b))
    return bound is not None and bool(bound >= 0)


def equal(a: Dim, b: Dim) -> bool | None:
    """Whether two sizes are equal; nothing when it depends on the symbols."""
    if a == b:
        return True
    apart = never_below(a, add(b, 1)) or never_below(b, add(a, 1))
    return False if apart else None


def smaller(a: Dim, b: Dim) -> Dim:
    """Return the smaller of two sizes."""
    if type(a) is int and type(b) is int:
        return min(a, b)
    return _smaller(a, b)


@_CACHED
def _smaller(a: Dim, b: Dim) -> Dim:
    if never_below(a, b):
        return b
    if never_below(b, a):
        return a
    return tidy(least(*sorted((sp.Integer(1) * a, sp.Integer(1) * b), key=sp.default_sort_key)))


def larger(a: Dim, b: Dim) -> Dim:
    """Return the larger of two sizes."""
    return sub(add(a, b), smaller(a, b))


@_CACHED
def replaced(e: Dim, bound: frozenset[tuple[Symbol, Dim]]) -> Dim:
    """Return ``e`` with symbols replaced, expanded again."""
    if isinstance(e, int):
        return e
    return renewed(e.xreplace({s: sp.Integer(1) * d for s, d in bound}))


def renewed(e: sp.Expr) -> Dim:
    """Return a sum whose parts changed in the form the other operations give it."""
    if isinstance(e, (least, ceil_div)):
        a, n = map(renewed, e.args)
        return smaller(a, n) if isinstance(e, least) else blocks(a, n)
    if e.is_Add:
        return total(map(renewed, e.args))
    if e.is_Mul:
        return product(map(renewed, e.args))
    return tidy(e)
