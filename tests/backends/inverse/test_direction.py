"""Certificates: what goes one way is said to, and only that; resources that others cover."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from mansard.backends.engine.points import Points
from mansard.backends.engine.polynomials import Space, add, number, times
from mansard.backends.inverse.covered import competing
from mansard.backends.inverse.direction import DOWN, STILL, UP, Directions
from mansard.backends.inverse.products import products
from mansard.backends.quantity import Terms
from mansard.core.symbols import batch, ceil_div, least, prompt

TOKENS = [batch, batch * prompt, 4 * batch, ceil_div(batch, 4)]
PARTS = st.sampled_from(
    [
        batch, batch * prompt, sp.Integer(7), prompt, least(batch, 64), least(batch, prompt),
        ceil_div(batch, 128), batch * ceil_div(prompt, 64), ceil_div(4 * batch, 512),
        *(1 - sp.Rational(k, 32) ** n for k in (0, 24, 31) for n in TOKENS),
        batch * (1 - sp.Rational(3, 4) ** batch), 1 / batch,
        ceil_div(2 * batch, 256) * (1 - sp.Rational(3, 4) ** batch),
    ]
)  # fmt: skip
SUMS = st.lists(st.tuples(st.integers(1, 9), PARTS), min_size=1, max_size=4)
BATCHES = np.arange(1.0, 2049.0)


def at(space: Space, terms: Terms) -> np.ndarray:
    points = Points(space, {batch: BATCHES, prompt: 37.0}, BATCHES.size)
    return np.broadcast_to(points.polynomial(terms), BATCHES.shape)


def read(space: Space, parts: list[tuple[int, sp.Expr]]) -> Terms:
    return add(times(number(c), space.expression(e)) for c, e in parts)


@settings(max_examples=200, deadline=None)
@given(SUMS)
def test_what_is_certain_is_so_at_every_batch(parts: list[tuple[int, sp.Expr]]) -> None:
    space = Space()
    terms = read(space, parts)
    directions = Directions(space)
    values = at(space, terms)
    for way, curve in (
        (directions.of(terms, batch), values),
        (directions.per(terms, batch), values / BATCHES),
    ):
        steps = np.diff(curve) / np.abs(curve[1:])
        if way in (UP, STILL):
            assert (steps >= -1e-12).all(), parts
        if way in (DOWN, STILL):
            assert (steps <= 1e-12).all(), parts


@pytest.mark.parametrize(
    ("expression", "grows", "each"),
    [
        (1 - sp.Rational(31, 32) ** (batch * prompt), UP, DOWN),
        (3 + batch * prompt + 5 * (1 - sp.Rational(3, 4) ** batch), UP, DOWN),
        (ceil_div(batch, 128) * (1 - sp.Rational(3, 4) ** batch), UP, None),
        (batch * (1 - sp.Rational(3, 4) ** batch), UP, UP),
        (least(batch, prompt), UP, DOWN),
        (1 - sp.Rational(3, 4) ** ceil_div(batch, 4), UP, None),
        (batch**2, UP, None),
    ],
)
def test_ways_of_costs_and_of_costs_per_sequence(
    expression: sp.Expr, grows: int | None, each: int | None
) -> None:
    space = Space()
    directions = Directions(space)
    terms = space.expression(expression)
    assert (directions.of(terms, batch), directions.per(terms, batch)) == (grows, each)


@settings(max_examples=200, deadline=None)
@given(st.lists(SUMS, min_size=2, max_size=4))
def test_the_greatest_is_among_those_that_compete(rows: list[list[tuple[int, sp.Expr]]]) -> None:
    space = Space()
    each = [read(space, parts) for parts in rows]
    kept = competing(space, each)
    whole = np.maximum.reduce([at(space, terms) for terms in each])
    left = np.maximum.reduce([at(space, terms) for terms in kept])
    assert (left >= whole * (1 - 1e-12)).all()


def test_decoding_a_tile_is_covered_by_reading_it_and_its_arithmetic() -> None:
    space = Space()
    share = 1 - sp.Rational(7, 8) ** batch
    decode, memory, compute = (
        space.expression(e)
        for e in (38 * ceil_div(4 * batch, 4096) * share, 200 * share + batch / 30, batch / 3)
    )
    assert competing(space, [decode, memory, compute]) == [memory, compute]
    assert competing(space, [decode, memory]) == [decode, memory]


def test_products_are_the_polynomial() -> None:
    space = Space()
    terms = space.expression(5 + prompt * (1 - sp.Rational(3, 4) ** batch) - batch)
    found = products(space, terms)
    assert sorted((p.scale, p.touched >= 0) for p in found) == [(-1, False), (1, True), (5, False)]
