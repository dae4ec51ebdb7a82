"""Absorbed latent attention: published work, one read of the latent, any order."""

from __future__ import annotations

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

from mansard.backends.chips import load as chip
from mansard.backends.roofline import estimate
from mansard.core.errors import MansardError
from mansard.core.symbols import B, P, S, T, ceil_div
from mansard.ir.cost import VECTOR
from mansard.ir.ops import BlockLinear, Dequantize, Linear, Scores

LITE = "deepseek-v2-lite"  # 16 heads, rank 512, rope 64, nope 128, value 128, 27 layers
ABSORBED = "absorb-mla{phase=both}"
HEADS, RANK, ROPE, NOPE, VALUE, LAYERS = 16, 512, 64, 128, 128, 27


def test_work_is_the_closed_form() -> None:
    pairs = B * S * (P + S)
    whole = 2 * HEADS * pairs * (NOPE + ROPE + VALUE)
    expand = 2 * B * (P + S) * RANK * HEADS * (NOPE + VALUE)
    absorbed = 2 * HEADS * pairs * (2 * RANK + ROPE)
    halves = 2 * B * S * HEADS * RANK * (NOPE + VALUE)
    change = flops(through(LITE, ABSORBED)) - flops(model(LITE))
    assert plain(change - LAYERS * (absorbed + halves - whole - expand)) == 0


def test_one_kernel_reads_a_latent_once_for_every_head() -> None:
    program = through(LITE, f"{ABSORBED},fuse-attention")
    step = {"B": 3, "S": 1, "P": 999}
    reads = numbers(moved(program, "cache"), **step)
    assert reads == LAYERS * 3 * (1000 + 1) * (RANK + ROPE) * 2  # keys read, one row appended


def test_weights_are_the_same_bytes_read_in_place() -> None:
    before, after = model(LITE), through(LITE, ABSORBED)
    assert stored(before, "weight") == stored(after, "weight")
    assert plain(moved(before, "weight") - moved(after, "weight")) == 0
    assert {op.w.storage for op in ops(after, BlockLinear)} <= {
        leaf.storage for leaf in after.graph().leaves
    }


@pytest.mark.parametrize(
    "other", ["fuse-attention", "split-decode-attention", "page-kv", "limit-kv:window=500",
              "quantize{weights=int4 kv=int8}", "prune:heads=0.5",
              "quantize{weights=int4 group=64}", "quantize{weights=fp8 activations=fp8}",
              "quantize{weights=int8 activations=int8 per=channel}",
              "quantize{weights=int4 dequantize=unfused}",
              "quantize{weights=int4 dequantize=free}"],
)  # fmt: skip
def test_it_commutes_with_what_else_changes_attention(other: str) -> None:
    one = through(LITE, f"{ABSORBED},{other}")
    two = through(LITE, f"{other},{ABSORBED}")
    assert plain(flops(one) - flops(two)) == 0
    assert plain(flops(one, VECTOR) - flops(two, VECTOR)) == 0
    assert one.graph().cost.launches == two.graph().cost.launches
    step = {"B": 2, "S": 1, "P": 700}
    for role in ("weight", "cache", "table", "activation"):
        assert numbers(moved(one, role) - moved(two, role), **step) == 0, role
    assert stored(one, "weight") == stored(two, "weight")


def test_a_checkpoint_stored_in_fp8_is_absorbed_in_fp8() -> None:
    """DeepSeek-V3's own encoding: every product's input is quantized, the latents' too."""
    program = through("deepseek-v3", f"quantize{{weights=fp8 activations=fp8}},{ABSORBED}")
    products = ops(program, BlockLinear)
    assert len(products) == 4  # two for each of two kinds of layers
    assert {str(op.x.encoding) for op in products} == {"fp8(bf16)"}
    assert {str(op.w.encoding) for op in products} == {"fp8(bf16)"}
    assert not any(op.name.endswith("kv_b_proj") for op in ops(program, Linear))


@pytest.mark.parametrize(
    "first", ["low-rank:keep=0.5", "quantize{weights=int8 activations=int8 outliers=0.01}"]
)
def test_an_expansion_that_was_rewritten_says_which_order_absorbs(first: str) -> None:
    program, (_, report) = applied(LITE, f"{first},{ABSORBED}")
    assert program is report.before
    (note,) = report.notes
    assert (note.code, "put absorb-mla before it" in note.message) == ("M020", True)


def test_ranks_decode_absorbed_weights_once_for_each_tile_of_the_steps_rows() -> None:
    """Narrow weights are decoded for the rows of the step, not for every cached token."""
    orders = (f"quantize{{weights=fp8}},{ABSORBED}", f"{ABSORBED},quantize{{weights=fp8}}")
    one, two = (through(LITE, f"{order},parallel:tp=8") for order in orders)
    assert plain(flops(one, VECTOR) - flops(two, VECTOR)) == 0
    (made, *_) = (
        op for op in ops(one, Dequantize) if "kv_b_proj" in op.name or "absorb" in op.name
    )
    assert made.times == ceil_div(T, sp.Integer(128))


def test_golden_text_of_what_is_attended_to() -> None:
    (first, _) = ops(through(LITE, ABSORBED), Scores)
    assert str(first.q.shape) == "(T, 9216)"
    assert first.k.shape == (B, 1, P + S, 576)
    assert first.heads == sp.Integer(16)


def test_other_attention_is_left_alone_with_a_note() -> None:
    program, (report,) = applied("llama-3.1-8b", ABSORBED)
    assert program is model("llama-3.1-8b")
    assert report.notes[0].code == "M020"


def test_decode_alone_absorbs_unless_asked_and_shares_every_weight() -> None:
    program = through(LITE, "absorb-mla")
    assert set(program.graphs) == {"target", "target@decode"}
    assert program.graph() is model(LITE).graph()
    assert ops(program, BlockLinear, "target@decode")
    assert set(through(LITE, ABSORBED).graphs) == {"target"}
    scenario = {"batch": 64, "prompt": 2048, "output": 128}
    plain_, decode, both = (
        estimate(through(LITE, f"{text}fuse-attention"), chip("h100-sxm"), scenario)
        for text in ("", "absorb-mla,", f"{ABSORBED},")
    )
    assert decode.memory.weights == plain_.memory.weights == both.memory.weights
    assert decode.phases["prefill"].time_s == plain_.phases["prefill"].time_s
    assert both.phases["prefill"].time_s > 1.1 * plain_.phases["prefill"].time_s
    assert decode.phases["decode"].time_s == both.phases["decode"].time_s
    assert decode.phases["decode"].time_s < plain_.phases["decode"].time_s / 3


def test_a_pair_costs_more_and_a_cached_token_less() -> None:
    """Why a prefill loses: per pair 2·heads·(2·rank + rope) instead of (nope + rope + value)."""
    more = plain(flops(through(LITE, ABSORBED)) - flops(model(LITE)))
    prefill, decode = ({"B": 64, "S": s, "P": p} for s, p in ((2048, 0), (1, 2048)))
    assert numbers(more, **prefill) > 0 > numbers(more, **decode)


def test_a_phase_nothing_calls_is_refused() -> None:
    with pytest.raises(MansardError, match="phase"):
        through(LITE, "absorb-mla{phase=encode}")
