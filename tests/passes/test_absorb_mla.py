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

from mansard.core.symbols import B, P, S
from mansard.ir.ops import BlockLinear, Scores

LITE = "deepseek-v2-lite"  # 16 heads, rank 512, rope 64, nope 128, value 128, 27 layers
HEADS, RANK, ROPE, NOPE, VALUE, LAYERS = 16, 512, 64, 128, 128, 27


def test_work_is_the_closed_form() -> None:
    pairs = B * S * (P + S)
    whole = 2 * HEADS * pairs * (NOPE + ROPE + VALUE)
    expand = 2 * B * (P + S) * RANK * HEADS * (NOPE + VALUE)
    absorbed = 2 * HEADS * pairs * (2 * RANK + ROPE)
    halves = 2 * B * S * HEADS * RANK * (NOPE + VALUE)
    change = flops(through(LITE, "absorb-mla")) - flops(model(LITE))
    assert plain(change - LAYERS * (absorbed + halves - whole - expand)) == 0


def test_one_kernel_reads_a_latent_once_for_every_head() -> None:
    program = through(LITE, "absorb-mla,fuse-attention")
    step = {"B": 3, "S": 1, "P": 999}
    reads = numbers(moved(program, "cache"), **step)
    assert reads == LAYERS * 3 * (1000 + 1) * (RANK + ROPE) * 2  # keys read, one row appended


def test_weights_are_the_same_bytes_read_in_place() -> None:
    before, after = model(LITE), through(LITE, "absorb-mla")
    assert stored(before, "weight") == stored(after, "weight")
    assert plain(moved(before, "weight") - moved(after, "weight")) == 0
    assert {op.w.storage for op in ops(after, BlockLinear)} <= {
        leaf.storage for leaf in after.graph().leaves
    }


@pytest.mark.parametrize(
    "other", ["fuse-attention", "split-decode-attention", "page-kv", "limit-kv:window=500",
              "quantize{weights=int4 kv=int8}", "prune:heads=0.5"],
)  # fmt: skip
def test_it_commutes_with_what_else_changes_attention(other: str) -> None:
    one, two = through(LITE, f"absorb-mla,{other}"), through(LITE, f"{other},absorb-mla")
    assert plain(flops(one) - flops(two)) == 0
    step = {"B": 2, "S": 1, "P": 700}
    for role in ("weight", "cache", "table", "activation"):
        assert numbers(moved(one, role) - moved(two, role), **step) == 0, role
    assert stored(one, "weight") == stored(two, "weight")


def test_golden_text_of_what_is_attended_to() -> None:
    (first, _) = ops(through(LITE, "absorb-mla"), Scores)
    assert str(first.q.shape) == "(T, 9216)"
    assert first.k.shape == (B, 1, P + S, 576)
    assert first.heads == sp.Integer(16)


def test_other_attention_is_left_alone_with_a_note() -> None:
    program, (report,) = applied("llama-3.1-8b", "absorb-mla")
    assert program is model("llama-3.1-8b")
    assert report.notes[0].code == "M020"
