"""One registry of symbols, and atoms that decide exactly when they can."""

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from mansard.core.errors import SpecError
from mansard.core.symbols import (
    PARAMETERS,
    SCENARIO,
    B,
    P,
    S,
    T,
    bind,
    ceil_div,
    expr,
    geometric,
    least,
    pick,
    ragged,
    symbol,
)


def test_the_same_name_and_kind_is_the_same_symbol() -> None:
    assert symbol("B") is B
    assert symbol("P", "count") is P
    assert symbol("P") != P


def test_parameters_and_scenario_symbols_share_no_name() -> None:
    assert not set(PARAMETERS) & set(SCENARIO)


@given(st.integers(0, 999), st.integers(1, 99))
def test_least_and_ceil_div_of_numbers_are_what_python_computes(a: int, n: int) -> None:
    at = {P: sp.Integer(a), S: sp.Integer(n)}
    assert least(P, S).xreplace(at) == min(a, n)
    assert ceil_div(P, S).xreplace(at) == -(-a // n)


@given(st.integers(-99, 99), st.integers(1, 9))
def test_ceil_div_rounds_up_below_zero_as_well(a: int, n: int) -> None:
    assert ceil_div(sp.Integer(a), sp.Integer(n)) == -((-a) // n)


@pytest.mark.parametrize("a", [sp.Integer(1), sp.Integer(0), sp.Rational(1, 2), sp.Integer(3)])
@pytest.mark.parametrize("n", [0, 1, 5])
def test_geometric_is_the_sum_it_stands_for(a: sp.Expr, n: int) -> None:
    count, rate = symbol("n", "count"), symbol("a", "rate")
    value = geometric(rate, count).xreplace({count: sp.Integer(n)}).xreplace({rate: a})
    assert value == sum(a**k for k in range(n))


def test_pick_takes_the_entry_and_refuses_one_outside() -> None:
    assert pick((5, 6, 7), P).xreplace({P: sp.Integer(2)}) == 7
    for index in (3, -1):
        with pytest.raises(SpecError, match="no entry"):
            pick((5, 6, 7), sp.Integer(index))


def test_an_atom_is_known_to_be_nonnegative_only_when_its_arguments_are() -> None:
    assert least(P, S).is_nonnegative
    assert least(P - S, S).is_nonnegative is None
    assert ceil_div(P, 8).is_nonnegative
    assert ceil_div(-P, 8).is_nonnegative is None
    assert pick((1, 2), P).is_nonnegative
    assert least(P, S).is_integer
    assert least(P / 2, S).is_integer is None


def test_binding_is_simultaneous() -> None:
    assert bind(B + 2 * S, {B: S, S: B}) == S + 2 * B


def test_ragged_reads_tokens_as_sequences_times_length() -> None:
    assert ragged(T - B * S) == 0


@pytest.mark.parametrize("value", ["B*S", 1.5, None])
def test_text_and_floats_are_no_sizes(value: object) -> None:
    with pytest.raises(TypeError, match="an int or an expression"):
        expr(value)
