"""Distinct experts, balance, capacity, and fewer experts."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
import sympy as sp
from tests.passes.rewriting import applied, flops, model, moved, numbers, ops, stored, through

from mansard.core.errors import MansardError, SpecError
from mansard.core.symbols import T
from mansard.ir.cost import touched
from mansard.ir.ops import Dequantize, Dispatch, GroupedLinear, TopK
from mansard.ir.ops.padded_experts import PaddedGrouped
from mansard.passes.moe_routing import MoeRouting

MIXTRAL, QWEN = "mixtral-8x7b-v0.1", "qwen3-30b-a3b"


@pytest.mark.parametrize(
    ("experts", "k", "tokens", "distinct"),
    [(8, 2, 4, 5.47), (64, 6, 16, 50.75), (128, 8, 64, 125.94), (256, 8, 32, 163.31),
     (512, 10, 4, 38.84)],
)  # fmt: skip
def test_distinct_experts_are_the_published_numbers(
    experts: int, k: int, tokens: int, distinct: float
) -> None:
    assert round(float(experts * touched(sp.Rational(k, experts), tokens)), 2) == distinct


def test_distinct_experts_are_the_mean_over_every_way_to_choose() -> None:
    """4 experts, 2 a token, 3 tokens: all 6**3 choices, one by one."""
    pairs = list(itertools.combinations(range(4), 2))
    ways = list(itertools.product(pairs, repeat=3))
    mean = Fraction(sum(len(set().union(*way)) for way in ways), len(ways))
    assert 4 * touched(sp.Rational(1, 2), 3) == sp.Rational(mean.numerator, mean.denominator)


def test_correlated_tokens_count_as_fewer_independent_ones() -> None:
    uniform = stored(model(QWEN), "weight")
    at = {"B": 64, "S": 1, "P": 100}
    read = {
        rho: numbers(moved(through(QWEN, f"moe-routing:correlation={rho}"), "weight"), **at)
        for rho in ("0", "0.5", "1")
    }
    assert read["0"] == numbers(moved(model(QWEN), "weight"), **at)
    assert read["1"] < read["0.5"] < read["0"] < uniform
    one = numbers(moved(model(QWEN), "weight"), B=1, S=1, P=100)
    per_token = 63 * 2048 * 2  # the embedding reads one row a token
    assert read["1"] == one + per_token


ORDERS = ("moe-routing{{{}}},parallel{{dp=4 ep=4}}", "parallel{{dp=4 ep=4}},moe-routing{{{}}}")


@pytest.mark.parametrize("order", ORDERS)
def test_imbalance_adds_rows_and_reads_no_other_weight(order: str) -> None:
    before = through(MIXTRAL, "parallel{dp=4 ep=4}")
    after = through(MIXTRAL, order.format("imbalance=1.3"))
    expert = 2 * 3 * 2 * 4096 * 14336 * 32  # multiply-add, three matrices, two experts, 32 layers
    extra = sp.expand(flops(after) - flops(before))
    assert numbers(extra, B=1, S=10, P=0) == sp.Rational(3, 10) * expert * 10  # of a rank
    assert sp.expand(moved(after, "weight") - moved(before, "weight")) == 0


def test_padded_buffers_read_every_expert() -> None:
    program = through(MIXTRAL, "moe-routing:capacity=1.25")
    assert {type(op) for op in ops(program, GroupedLinear)} == {PaddedGrouped}
    assert [op.padding for op in ops(program, Dispatch)] == [sp.Rational(5, 4)]
    embedding, row = 32000 * 4096 * 2, 4096 * 2
    read = numbers(moved(program, "weight"), B=1, S=1, P=0)
    assert read == stored(model(MIXTRAL), "weight") - embedding + row


def test_pruned_experts_leave_the_router_and_merged_ones_do_not() -> None:
    before = stored(model(MIXTRAL), "weight")
    half, router = 4 * 3 * 4096 * 14336 * 2 * 32, 4 * 4096 * 2 * 32
    assert before - stored(through(MIXTRAL, "moe-routing:experts=4"), "weight") == half + router
    merged = through(MIXTRAL, "moe-routing{experts=4 merge=true}")
    assert before - stored(merged, "weight") == half
    assert [op.hit for op in ops(merged, GroupedLinear)] == [sp.Rational(1, 2)] * 2


def test_another_top_k_scales_the_experts_work_and_keeps_shared_experts() -> None:
    name = "deepseek-v2-lite"
    before, after = model(name), through(name, "moe-routing:top-k=3")
    assert [op.k for op in ops(after, TopK)] == [3]
    routed = 2 * 3 * 2048 * 1408 * 26
    assert numbers(flops(before) - flops(after), B=1, S=1, P=0) == 3 * routed
    assert stored(after, "weight") == stored(before, "weight")


def test_golden_text_of_the_ops_it_changes() -> None:
    text = str(through(MIXTRAL, "moe-routing{imbalance=1.5 correlation=0.5 top-k=1}").graph())
    lines = [line.strip() for line in text.splitlines()]
    assert "%layers.top_k: bf16[T, 1] = top_k(%layers.router, k=1)" in lines
    rows = "dispatch(%layers.ffn_norm, %layers.top_k, imbalance=3/2)"
    assert f"%layers.dispatch: bf16[T, 4096] = {rows}" in lines
    tokens = 1 + (T - 1) / 2
    assert {
        op.tokens for op in ops(through(MIXTRAL, "moe-routing:correlation=0.5"), GroupedLinear)
    } == {tokens}


def test_a_model_without_experts_is_returned_with_a_note() -> None:
    program, (report,) = applied("gpt2", "moe-routing:imbalance=2")
    assert program is model("gpt2")
    assert [note.code for note in report.notes] == ["M020"]


def test_no_option_changes_nothing() -> None:
    assert through(MIXTRAL, "moe-routing") is model(MIXTRAL)


@pytest.mark.parametrize(
    "options",
    [{"imbalance": 0.5}, {"correlation": 1.5}, {"capacity": 0.5}, {"merge": True},
     {"capacity": 2.0, "imbalance": 2.0}],
)  # fmt: skip
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(SpecError) as error:
        MoeRouting(**options)  # type: ignore[arg-type]
    assert error.value.hint


@pytest.mark.parametrize("text", ["experts=9", "experts=1", "top-k=9"])
def test_more_experts_than_there_are_is_refused(text: str) -> None:
    with pytest.raises(MansardError) as error:
        through(MIXTRAL, f"moe-routing:{text}")
    assert error.value.hint


@pytest.mark.parametrize(
    "options",
    ["imbalance=1.25 correlation=0.5", "capacity=1.5", "experts=32", "experts=32 merge=true",
     "top-k=4"],
)  # fmt: skip
def test_weights_stored_narrow_before_are_decoded_as_those_stored_narrow_after(
    options: str,
) -> None:
    routing, narrow = f"moe-routing{{{options}}}", "quantize{weights=int4 group=64}"
    first = through("olmoe-1b-7b", f"{narrow},{routing}")
    last = through("olmoe-1b-7b", f"{routing},{narrow}")
    assert [(d.times, d.share) for d in ops(first, Dequantize)] == [
        (d.times, d.share) for d in ops(last, Dequantize)
    ]
    assert moved(first, "weight") == moved(last, "weight")


def test_one_rank_has_nothing_to_be_uneven_between() -> None:
    assert flops(through(MIXTRAL, "moe-routing:imbalance=8")) == flops(model(MIXTRAL))


def test_no_rank_gets_more_than_every_row() -> None:
    most = flops(through(MIXTRAL, "moe-routing{imbalance=4},parallel{dp=4 ep=4}"))
    assert flops(through(MIXTRAL, "moe-routing{imbalance=100},parallel{dp=4 ep=4}")) == most


def test_the_last_routing_counts_and_leaves_what_it_does_not_name() -> None:
    twice = "moe-routing{imbalance=1.3},moe-routing{imbalance=1.3},parallel{dp=4 ep=4}"
    once = "moe-routing{imbalance=1.3},parallel{dp=4 ep=4}"
    assert flops(through(MIXTRAL, twice)) == flops(through(MIXTRAL, once))
    apart = "moe-routing{imbalance=1.3},moe-routing{top-k=1},parallel{dp=4 ep=4}"
    joined = "moe-routing{imbalance=1.3 top-k=1},parallel{dp=4 ep=4}"
    assert flops(through(MIXTRAL, apart)) == flops(through(MIXTRAL, joined))


def test_spread_experts_are_counted_whole_and_pruned_before_they_are_spread() -> None:
    for order in ORDERS:
        program = through(MIXTRAL, order.format("top-k=1").replace("4", "8"))
        assert {op.hit for op in ops(program, GroupedLinear)} == {sp.Rational(1, 8)}
    with pytest.raises(MansardError, match="spread over ranks already"):
        through(MIXTRAL, "parallel{dp=4 ep=4},moe-routing{experts=4}")
