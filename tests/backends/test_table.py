"""The cost table: quantities evaluate exactly, rows hold what a graph's kernels do."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from mansard.backends.quantity import Tape
from mansard.backends.table import tabulate
from mansard.core.errors import SpecError
from mansard.core.symbols import PARAMETERS, B, Expr, P, R, S, T, ceil_div, geometric, least, pick
from mansard.frontends.hf.load import load
from mansard.ir.graph import Graph
from mansard.ir.program import binding

small = st.integers(1, 40)
leaves = st.sampled_from([B, S, P, sp.Integer(3), sp.Rational(5, 8)])


def grown(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    two = st.tuples(inner, inner)
    return st.one_of(
        two.map(lambda ab: ab[0] + ab[1]),
        two.map(lambda ab: ab[0] * ab[1]),
        two.map(lambda ab: least(*ab)),
        inner.map(lambda a: ceil_div(a, sp.Integer(7))),
        inner.map(lambda a: a**2),
        inner.map(lambda a: a / B),
    )


@given(st.recursive(leaves, grown, max_leaves=8), small, small, st.integers(0, 40))
def test_a_tape_evaluates_what_sympy_says_exactly(e: Expr, b: int, s: int, p: int) -> None:
    tape = Tape()
    slot = tape.add(e)
    found = tape.evaluate({B: b, S: s, P: p})[slot]
    exact = e.xreplace({B: sp.Integer(b), S: sp.Integer(s), P: sp.Integer(p)})
    assert exact.is_Rational
    assert Fraction(found) == Fraction(int(exact.p), int(exact.q))


def test_a_tape_knows_every_atom() -> None:
    tape = Tape()
    chosen = tape.add(pick(sp.Tuple(B, S, P), P))
    series = tape.add(geometric(sp.Rational(1, 2), S))
    share = tape.add(8 * (1 - sp.Rational(3, 4) ** T))
    values = tape.evaluate({B: 5, S: 100, P: 1, T: 4})
    assert values[chosen] == 100
    assert values[series] == pytest.approx(2.0, rel=1e-12)
    assert values[share] == pytest.approx(8 * (1 - 0.75**4), rel=1e-12)


def test_equal_polynomials_are_one_quantity() -> None:
    tape = Tape()
    assert tape.add((B + S) ** 2) == tape.add(B**2 + 2 * B * S + S**2)
    assert tape.add(B * S) != tape.add(B * P)


def test_an_unbound_symbol_and_a_foreign_function_are_named() -> None:
    tape = Tape()
    tape.add(B * S)
    with pytest.raises(SpecError, match="symbol S"):
        tape.evaluate({B: 1})
    with pytest.raises(SpecError, match="sin"):
        tape.add(sp.sin(B))


@pytest.mark.parametrize("name", ["gpt2", "gemma-2-2b", "mixtral-8x7b-v0.1"])
def test_the_rows_of_a_table_add_up_to_the_cost_of_the_graph(name: str) -> None:
    graph = load(name).graph()
    table = tabulate(graph, "target")
    bind = binding(3, 5, 700, rows=2)
    values = table.tape.evaluate({symbol: int(e) for symbol, e in bind.items()})
    flops = sum(values[q] * values[row.count] for row in table.rows for q in row.flops.values())
    moved = sum(values[q] * values[row.count] for row in table.rows for q in row.traffic.values())
    assert float(flops) == pytest.approx(float(graph.cost.total_flops.xreplace(bind)), rel=1e-12)
    assert float(moved) == pytest.approx(float(graph.cost.bytes.xreplace(bind)), rel=1e-12)


def test_equal_layers_are_one_row_and_unequal_ones_are_not() -> None:
    def counts(graph: Graph) -> dict[str, int]:
        table = tabulate(graph, "target")
        values = table.tape.evaluate(dict.fromkeys(PARAMETERS.values(), 1))
        return {row.name: values[row.count] for row in table.rows}

    gemma = counts(load("gemma-2-2b").graph())
    assert gemma["layers.q_proj"] == 26  # 13 periods of two layers whose linears are equal
    assert gemma["layers.sliding_scores"] == gemma["layers.scores"] == 13
    assert counts(load("llama-3.1-70b").graph())["layers.down_proj"] == 80


def test_a_row_is_known_by_name_kind_sizes_and_dtype() -> None:
    table = tabulate(load("llama-3.1-8b").graph(), "target")
    row = next(row for row in table.rows if row.name == "layers.k_proj")
    values = table.tape.evaluate({B: 2, S: 3, P: 0, T: 6, R: 2})
    dims = {k: v if isinstance(v, str) else values[v] for k, v in row.dims.items()}
    assert row.kind == "linear"
    assert dims == {"m": 6, "n": 1024, "k": 4096, "x_dtype": "bf16", "w_dtype": "bf16"}
    assert row.weight == "bf16"
