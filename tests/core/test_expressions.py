"""Text becomes an expression and back; hostile text becomes an error that points at the place."""

from contextlib import suppress

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from mansard.core.comparison import Comparison, parse_comparison
from mansard.core.errors import MansardError, SpecError, UnknownNameError
from mansard.core.expressions import RESERVED, parse_expression, print_expression, print_name
from mansard.core.symbols import (
    PARAMETERS,
    B,
    Expr,
    P,
    S,
    T,
    ceil_div,
    geometric,
    least,
    pick,
    symbol,
)

x = symbol("x")
alpha = symbol("alpha", "rate")
NAMES = {**PARAMETERS, "x": x, "alpha": alpha}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("P + S", P + S),
        ("B*S*(P + S)", B * S * (P + S)),
        ("S*(S + 1)/2", S * (S + 1) / 2),
        ("1 - (3/4)**T", 1 - sp.Rational(3, 4) ** T),
        ("S + least(P, 4095)", least(P, 4095) + S),
        ("B**2", B**2),
        ("-x", -x),
        ("-x*(S + 1)/3", -x * (S + 1) / 3),
        ("ceil_div(S + 1, 128) - 1", ceil_div(S + 1, 128) - 1),
        ("geometric(alpha, x)", geometric(alpha, x)),
        ("pick((1, 2, 3), P)", pick((1, 2, 3), P)),
        ("pick((x,), P)", pick((x,), P)),
        ("sqrt(x)", sp.sqrt(x)),
        ("x**(1/3)", x ** sp.Rational(1, 3)),
        ("x**(-2)", x**-2),
    ],
)
def test_what_sympy_prints_reads_back_equal(text: str, value: Expr) -> None:
    assert parse_expression(text, NAMES) == value
    assert parse_expression(print_expression(value), NAMES) == value


@pytest.mark.parametrize("value", [sp.factor(2 * x + 2), x * sp.factor(2 * S + 4), -((x + S) ** 2)])
def test_printing_what_was_read_gives_the_same_text(value: Expr) -> None:
    text = print_expression(value)
    again = parse_expression(text, NAMES)
    assert print_expression(again) == text
    assert sp.expand(again - value) == 0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2**-1", sp.Rational(1, 2)),
        ("-2**2", -4),
        ("2**3**2", 512),
        ("0.75 + 1e-2", sp.Rational(76, 100)),
        ("7//2 + 7 % 2", 4),
        ("8 - 2 - 1", 5),
        ("12/2/3", 2),
        ("floor(7/2) + ceil(7/2)", 7),
        ("min(3, 2, 5) + max(3, 2, 5)", 7),
        ("--3", 3),
    ],
)
def test_arithmetic_is_exact_and_binds_as_in_python(text: str, value: Expr) -> None:
    assert parse_expression(text, {}) == value


@given(a=st.integers(0, 300), n=st.integers(1, 40))
def test_floor_division_and_remainder_of_symbols_count_right(a: int, n: int) -> None:
    count = symbol("a", "count")
    whole, rest = (parse_expression(f"a {op} {n}", {"a": count}) for op in ("//", "%"))
    assert (whole.xreplace({count: sp.Integer(a)}), rest.xreplace({count: sp.Integer(a)})) == (
        a // n,
        a % n,
    )


leaves = st.sampled_from([B, S, P, T, x, alpha, sp.Integer(3), sp.Rational(2, 7)])
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda a, b: a + b, inner, inner),
        st.builds(lambda a, b: a * b, inner, inner),
        st.builds(lambda a, b: a - b, inner, inner),
        st.builds(lambda a: a**2, inner),
        st.builds(least, inner, inner),
        st.builds(lambda a, n: ceil_div(a, n), inner, st.integers(1, 9)),
    ),
    max_leaves=8,
)


@given(expressions)
def test_every_expression_of_our_atoms_reads_back(value: Expr) -> None:
    text = print_expression(value)
    assert print_expression(parse_expression(text, NAMES)) == text


@given(st.text(min_size=1, max_size=12))
def test_any_text_may_be_the_name_of_a_symbol(name: str) -> None:
    value = symbol(name, "count") + 1
    read = parse_expression(print_expression(value), lambda n: symbol(n, "count"))
    assert read == value


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_symbol_called_like_a_function_is_written_in_backticks(name: str) -> None:
    assert print_name(name) == f"`{name}`"


HOSTILE = [
    "", "   ", "P +", "1/0", "x/(S - S)", "x % 0", "ceil_div(x, 0)", "0**-1", "2**99999999",
    "2**2**2**2**2**2", "x**1000", "((P+S)**64)**64", "(P+S)**64*(P+S)**64", "(-8)**(1/3)",
    "sqrt(-1)", "9" * 5000, "1e999999", "1e-999999", "(" * 1000 + "x" + ")" * 1000,
    "2**" * 500 + "2", "x x", "x.y", "a" * 20_000, "`x", "sin(x)", "least(x)", "least(1, 2, 3)",
    "min(1)", "pick((1, 2), 7)", "pick(x, 2)", "pick((1, 2), -1)", "__import__('os')", "x := 3",
    "1 < 2", "x[0]", "x//alpha", "{", ")", "\x00", "x\n+", "1_000", "0x10",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=lambda t: repr(t[:16]))
def test_hostile_text_is_refused_with_the_place(text: str) -> None:
    with pytest.raises(SpecError, match=r"dimension, (line \d+, )?column \d+: ") as caught:
        parse_expression(text, NAMES, "dimension")
    assert "\n" in caught.value.message
    assert len(caught.value.message) < 400


@given(st.text(alphabet="xPS0123.()+-*/%,` least_divpick", max_size=30))
def test_no_text_does_anything_but_parse_or_raise_our_error(text: str) -> None:
    with suppress(MansardError):
        assert parse_expression(text, NAMES).is_real is not False


def test_an_unknown_name_is_pointed_at_and_the_nearest_offered() -> None:
    names = {"past_len": x}
    with pytest.raises(UnknownNameError, match="no symbol called 'past_lne'") as caught:
        parse_expression("1 + past_lne", names)
    assert caught.value.hint == "did you mean 'past_len'?"
    assert caught.value.message.endswith("    1 + past_lne\n        ^")


DIMENSIONS = {"tpot": "time", "memory": "bytes", "capacity": "bytes", "batch": "number",
              "ttft": "time", "latency": "time", "throughput": "1/s"}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "values", "holds"),
    [
        ("tpot <= 20ms", {"tpot": 0.02}, True),
        ("tpot < 20ms", {"tpot": 0.02}, False),
        ("20 ms >= tpot", {"tpot": 0.021}, False),
        ("memory < 80GiB", {"memory": 80e9}, True),
        ("memory <= 0.9*capacity", {"memory": 73e9, "capacity": 80e9}, False),
        ("memory + 2GB <= capacity", {"memory": 73e9, "capacity": 80e9}, True),
        ("batch == 8", {"batch": 8}, True),
        ("batch != 8", {"batch": 8}, False),
        ("tpot > 0", {"tpot": 1.0}, True),
        ("tpot ≤ 20ms", {"tpot": 0.02}, True),
        ("20ms ≥ tpot", {"tpot": 0.021}, False),
        ("latency - ttft <= 2*tpot + 1s/4", {"latency": 3.0, "ttft": 1.0, "tpot": 0.9}, True),
        ("throughput/batch >= 5/s", {"throughput": 41.0, "batch": 8}, True),
        ("throughput/batch >= 5 tok/s", {"throughput": 39.0, "batch": 8}, False),
        ("throughput*tpot >= 5", {"throughput": 39.0, "tpot": 0.2}, True),
        ("memory/tpot <= 3TB/s", {"memory": 4e9, "tpot": 0.001}, False),
        ("(tpot**2 + tpot*1ms)/tpot <= max(ttft, 25ms)", {"tpot": 0.024, "ttft": 0.0}, True),
        ("2*tpot < ttft", {"tpot": 0.024, "ttft": 0.05}, True),
    ],
)
def test_a_condition_holds_in_base_units(text: str, values: dict[str, float], holds: bool) -> None:
    assert parse_comparison(text, DIMENSIONS).holds(values) is holds


@pytest.mark.parametrize(
    "text",
    ["tpot", "tpot <=", "<= 20ms", "tpot <= 20", "tpot <= 20GB", "tpot < 1s < 2s", "1 < 2",
     "tpot <= 20 parsecs", "tpot*tpot <= 25ms", "tpot <= memory", "tpot + 1 <= 25ms",
     "memory <= capacity + tpot", "tpot <= 25ms*25ms", "sqrt(tpot) <= 5ms", "2**tpot <= 3",
     "min(tpot, memory) <= 5ms", "throughput/batch >= 5", "tpot*memory <= 3", "tpot**batch <= 1s"],
)  # fmt: skip
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="column"):
        parse_comparison(text, DIMENSIONS)


def test_a_condition_over_an_unknown_quantity_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        parse_comparison("tpott <= 20ms", DIMENSIONS)
    assert caught.value.hint == "did you mean 'tpot'?"


def test_a_condition_names_its_quantities_even_where_they_cancel() -> None:
    rule = parse_comparison("memory <= memory", DIMENSIONS)
    assert rule == Comparison(rule.left, "<=", rule.left)
    assert rule.names == {"memory"}
