"""``merge-qkv`` saves exactly the extra reads of the input."""

from __future__ import annotations

import pytest
from tests.passes.models import (
    FAMILIES,
    KNOWN,
    difference,
    figures,
    model,
    ops,
    plain,
    through,
)

from mansard.core.symbols import T
from mansard.ir import parse_graph
from mansard.ir.footprint import model_facts, storages
from mansard.ir.ops import GroupedLinear, Linear
from mansard.passes.parallel import Parallel
from mansard.passes.pipeline import parse, run

BEFORE = """
graph(%x: bf16[T, 64]) {
  weight %gate.weight: bf16[256, 64]
  weight %up.weight: bf16[256, 64]
  %layers.gate_proj: bf16[T, 256] = linear(%x, %gate.weight)
  %layers.up_proj: bf16[T, 256] = linear(%x, %up.weight)
  %act: bf16[T, 256] = gated_activation(%layers.gate_proj, %layers.up_proj)
  return %act
}
"""
AFTER = """
graph(%x: bf16[T, 64]) {
  weight %gate.weight: bf16[256, 64]
  weight %up.weight: bf16[256, 64]
  %layers.gate_up_proj.weight: bf16[512, 64] = join(%gate.weight, %up.weight, axis=0)
  %layers.gate_up_proj: bf16[T, 512] = linear(%x, %layers.gate_up_proj.weight)
  %layers.gate_proj: bf16[T, 256] = slice(%layers.gate_up_proj, axis=1, start=0, size=256)
  %layers.up_proj: bf16[T, 256] = slice(%layers.gate_up_proj, axis=1, start=256, size=256)
  %act: bf16[T, 256] = gated_activation(%layers.gate_proj, %layers.up_proj)
  return %act
}
"""

# Extra reads of x that merging saves: two for q, k, v and one for gate, up, of each layer.
SAVED = {
    "llama-3.1-8b": 32 * 3 * 4096,
    "qwen3-8b": 36 * 3 * 4096,
    "phi-3-mini-4k-instruct": 0,  # stored as one already
    "gpt2": 0,
    "mixtral-8x7b-v0.1": 32 * 2 * 4096,  # its experts are grouped products of their own
    "gemma-2-9b": 42 * 3 * 3584,
    "bloom-560m": 0,
}


def test_two_products_become_one_whose_parts_keep_their_names() -> None:
    assert str(through(parse_graph(BEFORE), "merge-qkv").graph()).strip() == AFTER.strip()


@pytest.mark.parametrize("name", FAMILIES)
def test_exactly_the_extra_reads_of_the_input_disappear(name: str) -> None:
    after = through(model(name), "merge-qkv")
    found = difference(model(name), after)
    found.pop("launches", None)
    saved = {("memory", "activation"): plain(-2 * SAVED[name] * T)} if SAVED[name] else {}
    assert found == saved
    assert (after is model(name)) is (SAVED[name] == 0)


def test_weights_keep_their_own_storages_and_parameters() -> None:
    before, after = model("llama-3.1-8b"), through(model("llama-3.1-8b"), "merge-qkv")
    assert storages(after.graph()).keys() == storages(before.graph()).keys()
    assert model_facts(after) == model_facts(before)


def test_products_with_and_without_bias_stay_apart() -> None:
    leaf = "  weight %up.bias: bf16[256]\n  weight %up.weight"
    text = BEFORE.replace("  weight %up.weight", leaf)
    text = text.replace("linear(%x, %up.weight)", "linear(%x, %up.weight, %up.bias)")
    graph = parse_graph(text)
    assert through(graph, "merge-qkv").graph() is graph


def test_products_of_different_encodings_stay_apart() -> None:
    graph = parse_graph(BEFORE)
    narrow = through(graph, "quantize{weights=int4 skip=[up_proj]}")
    assert len(ops(through(narrow, "merge-qkv"), Linear)) == 2


@pytest.mark.parametrize("name", FAMILIES)
def test_a_second_time_changes_nothing(name: str) -> None:
    once = through(model(name), "merge-qkv")
    assert through(once, "merge-qkv") is once


EXPERTS = """
graph(%x: bf16[2*T, 64]) {
  weight %gate.weight: bf16[8, 256, 64]
  weight %up.weight: bf16[8, 256, 64]
  %gate_proj: bf16[2*T, 256] = grouped_linear(%x, %gate.weight, hit=1/4, tokens=T)
  %up_proj: bf16[2*T, 256] = grouped_linear(%x, %up.weight, hit=1/4, tokens=T)
  %act: bf16[2*T, 256] = gated_activation(%gate_proj, %up_proj)
  return %act
}
"""


def test_gates_and_ups_of_experts_become_one_grouped_product() -> None:
    before = parse_graph(EXPERTS)
    after = through(before, "merge-qkv")
    ((merged, _),) = ops(after, GroupedLinear)
    assert isinstance(merged, GroupedLinear)
    assert (merged.name, merged.w.shape) == ("gate_up_proj", (8, 512, 64))
    found = difference(before, after)
    assert found.pop("launches") == -1
    assert found == {("memory", "activation"): plain(-2 * 64 * 2 * T)}


def test_experts_of_different_chances_stay_apart() -> None:
    graph = parse_graph(EXPERTS.replace("%up.weight, hit=1/4", "%up.weight, hit=1/2"))
    assert through(graph, "merge-qkv").graph() is graph


@pytest.mark.parametrize("name", ["olmo-2-7b", "olmoe-1b-7b"])
def test_what_is_gathered_for_a_norm_on_its_way_to_attention_is_merged_all_the_same(
    name: str,
) -> None:
    known = {**KNOWN, "parallel": Parallel}
    first = run(model(name), parse("parallel{tp=2},merge-qkv", known))[0]
    last = run(model(name), parse("merge-qkv,parallel{tp=2}", known))[0]
    assert figures(first) == figures(last)
    assert "layers.qkv_proj" in {op.name for op, _ in ops(first, Linear)}
