"""Arithmetic on sizes is exact: symbolic results evaluate to what integers give."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from mansard.core.symbols import symbol
from mansard.frontends.onnx import dims
from mansard.frontends.onnx.dims import Dim, add, mul

X, Y = symbol("x", "count"), symbol("y", "count")
OPERATIONS: list[tuple[Callable[[Dim, Dim], Dim], Callable[[int, int], int]]] = [
    (dims.add, lambda a, b: a + b),
    (dims.sub, lambda a, b: a - b),
    (dims.mul, lambda a, b: a * b),
    (dims.floor_div, lambda a, b: a // b),
    (dims.blocks, lambda a, b: -(-a // b)),
    (dims.modulo, lambda a, b: a % b),
    (dims.smaller, min),
    (dims.larger, max),
]
small = st.integers(0, 20)


@pytest.mark.parametrize(("symbolic", "exact"), OPERATIONS)
@given(a=st.tuples(small, small, small), b=st.tuples(small, st.integers(1, 9)), x=small, y=small)
def test_a_result_evaluates_to_what_integers_give(
    symbolic: Callable[[Dim, Dim], Dim],
    exact: Callable[[int, int], int],
    a: tuple[int, int, int],
    b: tuple[int, int],
    x: int,
    y: int,
) -> None:
    left = add(add(mul(a[0], X), mul(a[1], Y)), a[2])
    right = add(mul(b[0], Y), b[1])
    found = symbolic(left, right)
    bound = (
        found if isinstance(found, int) else found.xreplace({X: sp.Integer(x), Y: sp.Integer(y)})
    )
    assert bound == exact(a[0] * x + a[1] * y + a[2], b[0] * y + b[1])


@given(
    strides=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 5)), min_size=1, max_size=4),
    x=st.integers(200, 300),
)
def test_nested_divisions_merge_exactly(strides: list[tuple[int, int]], x: int) -> None:
    size: Dim = X
    actual = x
    for stride, offset in strides:
        size = add(dims.floor_div(add(size, offset - 2), stride), 1)
        actual = (actual + offset - 2) // stride + 1
    assert isinstance(size, sp.Expr)
    assert size.xreplace({X: sp.Integer(x)}) == actual


@given(a=st.integers(-5, 5), b=st.integers(-5, 5), c=st.integers(-9, 9), x=small, y=small)
def test_a_lower_bound_is_never_above(a: int, b: int, c: int, x: int, y: int) -> None:
    size = add(add(mul(a, X), mul(b, dims.smaller(X, Y))), c)
    bound = dims.lower(size)
    if bound is not None:
        assert bound <= a * x + b * min(x, y) + c
