"""Flash-decoding: partial results are the only difference, and only in short steps."""

from __future__ import annotations

import pytest
from tests.passes.rewriting import flops, model, moved, numbers, ops, plain, through

from mansard.core.errors import SpecError
from mansard.ir.ops.partial_values import MergePartials
from mansard.passes.split_decode_attention import SplitDecodeAttention

LLAMA = "llama-3.1-8b"


@pytest.mark.parametrize("splits", [2, 8, 16])
@pytest.mark.parametrize("batch", [1, 7])
def test_a_decode_step_writes_and_reads_each_part_once(splits: int, batch: int) -> None:
    """``2·B·heads·splits·(d + 2)·4`` a layer; the output itself was written before, too."""
    before = through(LLAMA, "fuse-attention")
    after = through(LLAMA, f"fuse-attention,split-decode-attention:splits={splits}")
    step = {"B": batch, "S": 1, "P": 5000}
    more = numbers(moved(after, "activation") - moved(before, "activation"), **step)
    assert more == 32 * 2 * batch * 32 * splits * (128 + 2) * 4


def test_a_prefill_is_not_split_and_costs_the_same() -> None:
    before = through(LLAMA, "fuse-attention")
    after = through(LLAMA, "fuse-attention,split-decode-attention")
    prompt = {"B": 2, "S": 512, "P": 0}
    for role in ("activation", "cache", "weight"):
        assert numbers(moved(after, role) - moved(before, role), **prompt) == 0
    assert numbers(flops(after, "vector") - flops(before, "vector"), **prompt) == 0
    launches = [p.graph().cost.launches for p in (before, after)]
    assert numbers(launches[1] - launches[0], **prompt) == 0


def test_matrix_work_stays_and_the_merge_is_a_few_operations_an_element() -> None:
    before, after = (
        through(LLAMA, "fuse-attention"),
        through(LLAMA, "fuse-attention,split-decode-attention"),
    )
    assert plain(flops(after) - flops(before)) == 0
    step = {"B": 3, "S": 1, "P": 100}
    extra = numbers(flops(after, "vector") - flops(before, "vector"), **step)
    assert extra == 32 * 3 * 8 * 32 * (2 * 128 + 3)


@pytest.mark.parametrize("name", [LLAMA, "gemma-2-2b", "deepseek-v2-lite"])
def test_splitting_before_or_after_fusing_is_the_same(name: str) -> None:
    one = through(name, "split-decode-attention,fuse-attention")
    other = through(name, "fuse-attention,split-decode-attention")
    for role in ("activation", "cache", "weight"):
        assert moved(one, role) == moved(other, role)
    assert len(ops(one, MergePartials)) == len(ops(other, MergePartials)) > 0


def test_golden_text_of_a_split() -> None:
    text = str(through(LLAMA, "split-decode-attention:splits=4").graph())
    assert "partial_values(%layers.softmax, %layers.v_append, rows=[T], splits=4)" in text
    assert "merge_partials(%layers.values.partial, heads=32, splits=4)" in text


def test_one_group_is_the_input_and_none_is_refused() -> None:
    assert through(LLAMA, "split-decode-attention:splits=1") is model(LLAMA)
    with pytest.raises(SpecError):
        SplitDecodeAttention(splits=0)
