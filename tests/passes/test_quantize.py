"""``quantize`` changes what is stored and which rate products run at, never how much they do."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import sympy as sp
from tests.ir.examples import linear_chain
from tests.passes.models import FAMILIES, KNOWN, O1, by_place_and_role, figures, model, ops, through

import mansard as ms
from mansard.core.dtypes import stored
from mansard.core.errors import MansardError
from mansard.core.symbols import B, P, S, T, ceil_div, ragged
from mansard.ir import parse_graph
from mansard.ir.footprint import model_facts, storages
from mansard.ir.graph import Graph
from mansard.ir.ops import Dequantize, Embedding, GroupedLinear, Linear
from mansard.passes.pipeline import parse, run
from mansard.passes.quantize import Quantize

BEFORE = """
graph(%x: bf16[T, 64]) {
  weight %up.weight: bf16[256, 64]
  weight %lm_head.weight: bf16[512, 256]
  %up: bf16[T, 256] = linear(%x, %up.weight)
  %lm_head: bf16[T, 512] = linear(%up, %lm_head.weight)
  return %lm_head
}
"""
WEIGHTS_ONLY = """
graph(%x: bf16[T, 64]) {
  weight %up.weight: int4g16s16z0(bf16)[256, 64]
  weight %lm_head.weight: bf16[512, 256]
  %up.dequantize: bf16[256, 64] = dequantize(%up.weight, times=ceil_div(T, 128)) #up
  %up: bf16[T, 256] = linear(%x, %up.dequantize) #up
  %lm_head: bf16[T, 512] = linear(%up, %lm_head.weight)
  return %lm_head
}
"""
W8A8 = """
graph(%x: bf16[T, 64]) {
  weight %up.weight: int8(bf16)[256, 64]
  weight %lm_head.weight: bf16[512, 256]
  %up.quantize: int8(bf16)[T, 64] = quantize(%x, to=encoding<int8(bf16)>)
  %up: bf16[T, 256] = linear(%up.quantize, %up.weight)
  %lm_head: bf16[T, 512] = linear(%up, %lm_head.weight)
  return %lm_head
}
"""


def encodings(graph: Graph) -> Counter[str]:
    """How many storages lie in which encoding, weights of products and caches only."""
    return Counter(str(s.value.encoding) for s in storages(graph).values())


def matrix(program: ms.Program) -> sp.Expr:
    """Arithmetic on the matrix unit, whatever it runs in."""
    found = figures(program)
    return sp.Add(*(n for key, n in found.items() if isinstance(key, tuple) and key[0] == "matrix"))


@pytest.mark.parametrize(
    ("pipeline", "after"),
    [
        ("quantize{weights=int4 group=16}", WEIGHTS_ONLY),
        ("quantize{weights=int8 activations=int8}", W8A8),
    ],
)
def test_what_is_decoded_or_quantized_is_an_op_of_its_own(pipeline: str, after: str) -> None:
    assert str(through(parse_graph(BEFORE), pipeline).graph()).strip() == after.strip()


@pytest.mark.parametrize("name", FAMILIES)
def test_weights_in_fewer_bits_change_no_flop_of_the_matrix_unit(name: str) -> None:
    before = figures(model(name))
    after = figures(through(model(name), "quantize{weights=int4 group=128}"))
    for key in {*before, *after}:
        if isinstance(key, tuple) and key[0] == "matrix":
            assert before[key] == after[key]


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("kind", ["int8", "fp8"])
def test_weights_and_activations_move_products_to_the_narrow_rate(name: str, kind: str) -> None:
    program = through(model(name), f"quantize{{weights={kind} activations={kind}}}")
    assert sp.expand(matrix(program) - matrix(model(name))) == 0
    for op, _ in [*ops(program, Linear), *ops(program, GroupedLinear)]:
        skipped = op.name == "lm_head" or "router" in op.name
        (dtype,) = {d for unit, d, _ in op.cost().flops if unit == "matrix"}
        assert dtype == ("bf16" if skipped else kind), op.name


def test_four_bits_with_a_scale_per_128_are_four_and_an_eighth() -> None:
    # Llama 3.1 8B: each layer's seven products, 218,103,808 elements.
    layer = 4096 * (4096 + 1024 + 1024 + 4096 + 3 * 14336)
    before, after = (
        by_place_and_role(through(model("llama-3.1-8b"), text).graph().cost)["memory", "weight"]
        for text in ("", "quantize{weights=int4 group=128}")
    )
    assert sp.expand(before - after) == 32 * layer * (sp.Integer(16) - sp.Rational(33, 8)) / 8


def test_decoding_is_repeated_for_each_tile_of_rows() -> None:
    extra = figures(through(linear_chain(), "quantize{weights=int4 tile=64}"))
    plain = figures(linear_chain())
    key = ("vector", "bf16", "dense")
    assert sp.expand(extra[key] - plain[key]) == 2 * 2 * 256 * 64 * ceil_div(ragged(T), 64)


def test_fused_decoding_never_leaves_the_chip_and_unfused_does() -> None:
    size = 2 * 2 * 256 * 64 * 2  # two weights, written and read, two bytes an element
    fused, unfused, free = (
        figures(through(linear_chain(), f"quantize{{weights=int4 dequantize={how}}}"))
        for how in ("fused", "unfused", "free")
    )
    activations = ("memory", "activation")
    assert sp.expand(unfused[activations] - fused[activations]) == size
    assert fused[activations] == free[activations]
    assert unfused["launches"] - fused["launches"] == 2
    assert ("vector", "bf16", "dense") in free  # the activation function's
    assert fused["vector", "bf16", "dense"] != free["vector", "bf16", "dense"]


@pytest.mark.parametrize("kind", ["int8", "fp8", "int4"])
def test_a_narrow_cache_halves_its_bytes_and_decodes_in_the_attention(kind: str) -> None:
    program = through(model("llama-3.1-8b"), f"quantize{{kv={kind}}},{O1}")
    bits = {"int8": 8, "fp8": 8, "int4": 4}[kind]
    assert model_facts(program).kv_bytes_per_token == 32 * 2 * 8 * 128 * bits / 8
    assert model_facts(program).params == model_facts(model("llama-3.1-8b")).params
    decoded = ops(program, Dequantize)
    assert {op.kernel for op, _ in decoded} == {"layers.attention"}
    new = figures(program)["memory", "cache"]
    old = figures(through(model("llama-3.1-8b"), O1))["memory", "cache"]
    # The same reads and appends in fewer bits: (P + S) keys and values read, S written.
    assert sp.expand(new * 16 - old * bits) == 0
    assert sp.expand(old) == sp.expand(32 * 2 * 8 * 128 * 2 * B * ((P + S) + S))


def test_formats_that_are_no_narrower_are_the_identity() -> None:
    for kind in ("bf16", "fp16", "fp32"):
        assert through(model("llama-3.1-8b"), f"quantize{{weights={kind}}}") is model(
            "llama-3.1-8b"
        )
    same = through(model("llama-3.1-8b"), "quantize{weights=bf16 activations=bf16 kv=bf16}")
    assert same is model("llama-3.1-8b")


def test_heads_and_routers_stay_wide_unless_they_are_named() -> None:
    program = through(model("mixtral-8x7b-v0.1"), "quantize{weights=int8}")
    wide = {op.name for op, _ in ops(program, Linear) if not isinstance_decoded(op, program)}
    assert wide == {"lm_head", "layers.router"}
    program = through(model("mixtral-8x7b-v0.1"), "quantize{weights=int8 skip=[]}")
    # What no product multiplies with: the table of embeddings, three norms, two caches.
    assert encodings(program.graph())["bf16"] == 1 + 3 + 2


def isinstance_decoded(op: Linear | object, program: ms.Program) -> bool:
    """Whether a product's weight is a decoded one."""
    assert isinstance(op, Linear)
    return any(d.out is op.w for d, _ in ops(program, Dequantize))


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        ("down_proj", {"layers.down_proj"}),
        ("*_proj", {"layers.q_proj", "layers.k_proj", "layers.v_proj", "layers.o_proj",
                    "layers.gate_proj", "layers.up_proj", "layers.down_proj"}),
        ("mlp", {"layers.gate_proj", "layers.up_proj", "layers.down_proj"}),
        ("self_attn.o_proj", {"layers.o_proj"}),
        ("proj", set()),
    ],
)  # fmt: skip
def test_a_skip_pattern_names_a_module_a_parent_or_a_run_of_parts(
    pattern: str, kept: set[str]
) -> None:
    program = through(model("llama-3.1-8b"), f'quantize{{weights=int4 skip=["{pattern}"]}}')
    wide = {op.name for op, _ in ops(program, Linear) if not isinstance_decoded(op, program)}
    assert wide == kept


def test_a_head_tied_to_the_embedding_stays_as_wide_as_either_asks() -> None:
    graph = model("gpt2").graph()
    tied = storages(graph)["transformer.wte.weight"]
    assert tied.value.encoding == stored("bf16", "bf16")
    kept = through(model("gpt2"), "quantize{weights=int8}").graph()
    assert storages(kept)["transformer.wte.weight"].value.encoding == stored("bf16", "bf16")
    half = through(model("gpt2"), "quantize{weights=int8 skip=[lm_head]}").graph()
    assert storages(half)["transformer.wte.weight"].value.encoding == stored("bf16", "bf16")
    both = through(model("gpt2"), "quantize{weights=int8 skip=[]}")
    assert storages(both.graph())["transformer.wte.weight"].value.encoding.dtype == "int8"
    (table, _), *_ = ops(both, Embedding)
    assert table.out.encoding.dtype == "bf16"


ORDERS = (
    "{q},fuse-attention,fuse-elementwise,merge-qkv",
    "fuse-attention,fuse-elementwise,merge-qkv,{q}",
    "fuse-attention,{q},fuse-elementwise,merge-qkv",
    "merge-qkv,fuse-elementwise,{q},fuse-attention",
    "merge-qkv,{q},fuse-attention,fuse-elementwise",
    "fuse-elementwise,{q},merge-qkv,fuse-attention",
)
ASKED = (
    "quantize{weights=int4 group=128 kv=fp8}",
    "quantize{weights=int8 activations=int8}",
    "quantize{weights=int4 dequantize=unfused}",
    "quantize{weights=int2 dequantize=free}",
    "quantize{kv=int8}",
)


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("name", FAMILIES)
def test_quantizing_and_fusing_commute_in_cost(name: str, asked: str) -> None:
    costs = [figures(through(model(name), order.format(q=asked))) for order in ORDERS]
    assert [cost for cost in costs if cost != costs[0]] == []


def test_weights_of_experts_are_decoded_as_often_as_they_are_read() -> None:
    program = through(model("mixtral-8x7b-v0.1"), "quantize{weights=int4}")
    experts = {op.w: op for op, _ in ops(program, GroupedLinear) if isinstance(op, GroupedLinear)}
    decoded = [op for op, _ in ops(program, Dequantize) if op.out in experts]
    assert len(decoded) == 2  # gate and up lie side by side
    for op in decoded:
        assert isinstance(op, Dequantize)
        assert op.share == experts[op.out].weights_read() != 1


def test_one_phase_alone_gets_a_second_copy_of_the_weights() -> None:
    program = through(model("llama-3.1-8b"), "quantize{weights=int4 phase=decode}")
    assert set(program.graphs) == {"target", "target@decode"}
    assert "int4" not in str(program.graph("target"))
    estimate = ms.analyze("llama-3.1-8b", on="h100-sxm",
                          techniques=["quantize{weights=int4 phase=decode}"])  # fmt: skip
    assert {row.graph for row in estimate.prefill.ops} == {"target"}
    assert {row.graph for row in estimate.decode.ops} == {"target@decode"}
    plain = ms.analyze("llama-3.1-8b", on="h100-sxm")
    assert estimate.prefill.weight_bytes == plain.prefill.weight_bytes
    layers = 32 * 4096 * (2 * 4096 + 2 * 1024 + 3 * 14336)
    assert estimate.memory.weights == plain.memory.weights + layers // 2  # 4 bits an element


def test_a_checkpoints_own_quantization_runs_first_and_can_be_undone() -> None:
    # Qwen3-30B-A3B-FP8: fp8 in blocks of 128 x 128 with fp32 scales; the rest is wide.
    loaded = ms.load("qwen3-30b-a3b-fp8")
    assert loaded.origin.pipeline
    program, applied = run(loaded, parse(loaded.origin.pipeline, KNOWN))
    hidden, inner, heads, kv, dim, experts, layers = 2048, 768, 32, 4, 128, 128, 48
    attention = hidden * dim * (2 * heads + 2 * kv)
    narrow = layers * (attention + experts * 3 * hidden * inner)
    total = 30_532_122_624
    bits = 8 + sp.Rational(32, 128 * 128)
    expected = narrow * bits / 8 + (total - narrow) * 2
    stored_bytes = sp.Add(
        *(s.bytes for s in storages(program.graph()).values() if s.value.role == "weight")
    )
    assert model_facts(program).params == total
    assert stored_bytes == expected
    assert ms.analyze("qwen3-30b-a3b-fp8", on="h100-sxm").memory.weights == int(expected)
    undone = ms.analyze("qwen3-30b-a3b-fp8", on="h100-sxm", set={"model.dtype": "bf16"})
    assert undone.memory.weights == 2 * total
    assert "quantize" not in {t.name for t in undone.techniques}
    assert applied[0].technique.name == "quantize"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("quantize", "nothing to quantize"),
        ("quantize{activations=int8}", "without weights"),
        ("quantize{weights=int7}", "int7"),
        ("quantize{weights=int4 group=-1}", "below 0"),
        ("quantize{weights=int4 group=1.5}", "whole number"),
        ("quantize{weights=int4 tile=0}", "below 1"),
        ("quantize{weights=int4 dequantize=later}", "later"),
        ("quantize{weight=int4}", "weight"),
        ("quantize{kv=int8 phase=decode}", "same cache"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_hint(text: str, words: str) -> None:
    with pytest.raises(MansardError, match=words) as caught:
        parse(text, KNOWN)
    assert caught.value.hint


def test_a_group_beside_a_format_that_has_its_own_is_noted() -> None:
    _, (done,) = run(model("gpt2"), (Quantize(weights="mxfp4", group=64),))
    assert [n.code for n in done.notes] == ["M021"]
    assert "group=64 is ignored" in done.notes[0].message


def test_it_says_how_many_tensors_it_changed() -> None:
    _, (done,) = run(model("llama-3.1-8b"), (Quantize(weights="int4", kv="int8"),))
    assert done.changed == "224 weights, 64 caches"


def test_the_recorded_facts_of_a_config_are_json(tmp_path: Path) -> None:
    """A config of a user with the same block of quantization_config does the same."""
    config = {
        "model_type": "qwen3", "hidden_size": 256, "num_hidden_layers": 2, "vocab_size": 1000,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64,
        "intermediate_size": 512, "torch_dtype": "bfloat16",
        "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]},
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    program = ms.load(tmp_path)
    assert program.origin.pipeline.startswith("quantize{")
