"""Contextual sparsity of attention heads: each token computes a share, a sequence reads a union."""

from __future__ import annotations

from itertools import product

import pytest
import sympy as sp
from tests.passes.rewriting import (
    applied,
    flops,
    model,
    moved,
    numbers,
    ops,
    plain,
    stored,
    through,
)

from mansard.core.errors import MansardError
from mansard.core.symbols import B, P, S
from mansard.ir import parse_graph
from mansard.ir.mask import Mask
from mansard.ir.ops import Scores, Values

LLAMA = "llama-3.1-8b"  # 32 layers, hidden 4096, 32 heads of 128 over 8 KV heads
HALF = "contextual-sparsity{density=1 heads=0.5 predictor=0}"


def test_work_is_the_share_of_heads() -> None:
    """Queries, pairs and outputs times the share; keys and values of every head are made."""
    removed = plain(flops(model(LLAMA)) - flops(through(LLAMA, HALF)))
    products = 2 * 2 * 4096 * 4096 * B * S
    pairs = 2 * 2 * 4096 * B * S * (P + S)
    assert plain(removed - 32 * (products + pairs) / 2) == 0


def test_softmax_follows_the_scores() -> None:
    less = flops(model(LLAMA), "vector") - flops(through(LLAMA, HALF), "vector")
    assert plain(less - 32 * 5 * 32 * B * S * (P + S) / 2) == 0


@pytest.mark.parametrize(("new", "group"), [(1, 1), (1, 4), (2, 4), (3, 1)])
def test_kv_heads_that_are_read_are_counted_by_enumeration(new: int, group: int) -> None:
    """Every choice of heads by every query of a sequence, all equally likely at a half."""
    outcomes = list(product((False, True), repeat=new * group))
    needed = sp.Rational(sum(map(any, outcomes)), len(outcomes))
    (scores, *_) = ops(through("llama-2-7b" if group == 1 else LLAMA, HALF), Scores)
    assert scores.heads / scores.k.shape[1] == group
    at = {"B": 3, "S": new, "P": 100}
    read = numbers(scores.cost().reads[scores.k], **at)
    assert read == needed * numbers(scores.k.bytes, **at)


def test_weights_of_queries_and_outputs_are_a_union_over_the_step() -> None:
    read = moved(model(LLAMA), "weight") - moved(through(LLAMA, HALF), "weight")
    for batch in (1, 2, 16):
        saved = sp.Rational(1, 2**batch) * 2 * 4096 * 4096 * 2 * 32
        assert numbers(read, B=batch, S=1, P=0) == saved


def test_the_cache_is_stored_whole() -> None:
    for role in ("cache", "weight"):
        assert plain(stored(through(LLAMA, HALF), role) - stored(model(LLAMA), role)) == 0


def test_its_predictor_is_two_thin_products() -> None:
    real = through(LLAMA, "contextual-sparsity{density=1 heads=0.5 predictor=256}")
    thin = 256 * (4096 + 32) * 32
    step = {"B": 1, "S": 1, "P": 0}
    assert numbers(flops(real) - flops(through(LLAMA, HALF)), **step) == 2 * thin
    assert stored(real, "weight") - stored(model(LLAMA), "weight") == 2 * thin


def test_golden_text_of_an_attention_with_few_heads() -> None:
    program = through(LLAMA, f"{HALF},fuse-attention")
    lines = [line.strip() for line in str(program.graph()).splitlines()]
    for line in (
        "%layers.q_proj: bf16[T, 4096] = partial_linear(%layers.attn_norm, "
        '%model.layers.{i}.self_attn.q_proj.weight, share=1/2, tokens=T, axis="out")',
        "%layers.scores: bf16[B, 32, S, P + S] = scores(%layers.q_rope, %layers.k_append, "
        "heads=32, mask=mask<causal heads=1/2 skip>) #layers.attention",
    ):
        assert line in lines
    again = parse_graph(str(program.graph()))
    assert str(again) == str(program.graph())
    assert plain(again.cost.total_flops - program.graph().cost.total_flops) == 0


@pytest.mark.parametrize(
    "other",
    [
        "fuse-attention",
        "split-decode-attention",
        "limit-kv:window=500",
        "quantize{kv=int8}",
        "page-kv",
        "contextual-sparsity{density=0.2 predictor=0}",
    ],
)
def test_it_commutes_with_what_else_changes_attention(other: str) -> None:
    one, two = through(LLAMA, f"{HALF},{other}"), through(LLAMA, f"{other},{HALF}")
    step = {"B": 2, "S": 1, "P": 900}
    assert numbers(flops(one) - flops(two), **step) == 0
    for role in ("weight", "cache", "activation"):
        assert numbers(moved(one, role) - moved(two, role), **step) == 0, role


def test_every_mask_takes_a_share_of_the_heads() -> None:
    for kind, size in (("full", None), ("causal", None), ("window", 5), ("chunk", 4)):
        whole = Mask(kind, None if size is None else sp.Integer(size), skip=True)
        few = Mask(kind, whole.size, skip=True, heads=sp.Rational(1, 4))
        pairs = whole.pairs(S, P, P + S)
        assert sp.expand(few.pairs(S, P, P + S) - pairs / 4) == 0
        assert few.reach(S, P) == whole.reach(S, P)


def test_it_says_how_many_parts_it_changed_and_finds_none_in_merged_products() -> None:
    text = "contextual-sparsity{density=0.2 heads=0.5}"
    assert applied("opt-6.7b", text)[1][0].changed == "64 layer parts"  # 32 of either kind
    (_, late) = applied(LLAMA, f"merge-qkv,{HALF}")[1]
    assert [n.code for n in late.notes] == ["M020"]
    masks = [op.mask for op in ops(through(LLAMA, HALF), Values)]
    assert {m.heads for m in masks} == {sp.Rational(1, 2)}


@pytest.mark.parametrize("heads", ["0", "1.5", "-1", "many"])
def test_shares_that_make_no_sense_are_refused_with_a_hint(heads: str) -> None:
    with pytest.raises(MansardError, match="heads") as caught:
        through(LLAMA, f"contextual-sparsity:heads={heads}")
    assert caught.value.hint


def test_all_neurons_and_all_heads_is_the_input() -> None:
    assert through(LLAMA, "contextual-sparsity{density=1 heads=1}") is model(LLAMA)
