"""Checkpoints of every quantization library: what they declare, and the exact bits they store.

Each block is a minimal form of a published one, named beside it.
"""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from mansard.core.errors import SpecError
from mansard.frontends.hf.checkpoint import checkpoint_pipeline
from mansard.frontends.hf.load import load
from mansard.frontends.hf.quantization import named
from mansard.frontends.hf.resolve import read_architecture
from mansard.ir.footprint import storages
from mansard.passes.pipeline import run
from mansard.query.techniques import read_techniques

DENSE: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2,
    "num_attention_heads": 8, "vocab_size": 1000, "dtype": "bfloat16",
}  # fmt: skip
MOE = {**DENSE, "model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2}
INT4 = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32, "symmetric": True}
FP4 = {"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16}
GATE = "model.layers.0.mlp.gate_proj.weight"
DOWN = "model.layers.0.mlp.down_proj.weight"


def declared(config: dict[str, Any], block: dict[str, Any]) -> str:
    return checkpoint_pipeline(read_architecture({**config, "quantization_config": block}))


def notes(config: dict[str, Any], block: dict[str, Any]) -> list[str]:
    return [n.code for n in read_architecture({**config, "quantization_config": block}).notes]


def bits(block: dict[str, Any], name: str, config: dict[str, Any] = DENSE) -> Fraction:
    """Bits an element of a weight takes, once the checkpoint's pipeline has run."""
    one = {**config, "num_hidden_layers": 1, "quantization_config": block}
    program = load(one)
    own = read_techniques([program.origin.pipeline])
    done, _ = run(program, own)
    stored = storages(done.graph("target"))[name].value.encoding.bits
    return Fraction(int(stored.p), int(stored.q))


GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False, "sym": True}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True, "version": "gemm",
       "modules_to_not_convert": ["visual"]}  # fmt: skip
NF4 = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4",
       "bnb_4bit_use_double_quant": True, "llm_int8_skip_modules": ["lm_head"]}  # fmt: skip
LLM_INT8 = {"quant_method": "bitsandbytes", "load_in_8bit": True, "llm_int8_threshold": 6.0}
PACKED = {"quant_method": "compressed-tensors", "format": "pack-quantized", "ignore": ["lm_head"],
          "config_groups": {"group_0": {"targets": ["Linear"], "weights": INT4}}}  # fmt: skip
W8A8: dict[str, Any] = {
    "quant_method": "compressed-tensors", "format": "int-quantized", "ignore": ["lm_head"],
    "config_groups": {"group_0": {
        "targets": ["Linear"],
        "weights": {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": True},
        "input_activations": {"num_bits": 8, "type": "int", "strategy": "token", "dynamic": True},
    }},
}  # fmt: skip
FP8_DYNAMIC: dict[str, Any] = {
    "quant_method": "compressed-tensors", "format": "float-quantized", "ignore": ["lm_head"],
    "config_groups": {"group_0": {
        "targets": ["Linear"],
        "weights": {"num_bits": 8, "type": "float", "strategy": "channel", "symmetric": True},
        "input_activations": {"num_bits": 8, "type": "float", "strategy": "token", "dynamic": True},
    }},
}  # fmt: skip
NVFP4_PACK: dict[str, Any] = {
    "quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized", "ignore": ["lm_head"],
    "config_groups": {"group_0": {
        "targets": ["Linear"], "weights": FP4, "input_activations": {**FP4, "dynamic": "local"},
    }},
}  # fmt: skip
MODELOPT = {"quant_method": "modelopt", "quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8",
            "ignore": ["lm_head"]}  # fmt: skip


@pytest.mark.parametrize(
    ("block", "text"),
    [
        # TheBloke/Llama-2-7B-Chat-GPTQ, as intel/neural-compressor quotes it.
        (GPTQ, "quantize{weights=int4 group=128 zero-bits=4 skip=[lm_head]}"),
        # Qwen/Qwen2-VL-7B-Instruct-AWQ, vllm-project/vllm#9895.
        (AWQ, "quantize{weights=int4 group=128 zero-bits=4 skip=[lm_head]}"),
        # unsloth/Llama-3.2-11B-Vision-Instruct-bnb-4bit, vllm-project/vllm#9720.
        (NF4, "quantize{weights=int4 group=16384 scale-bits=2080 skip=[lm_head]}"),
        # huggingface/diffusers, tests/quantization/test_pipeline_level_quantization.py.
        (LLM_INT8,
         "quantize{weights=int8 activations=int8 per=channel scale-bits=32 skip=[lm_head]}"),
        # moonshotai/Kimi-K2-Thinking: routed experts int4 in groups of 32.
        (PACKED, "quantize{weights=int4 group=32 skip=[lm_head]}"),
        # RedHatAI/Llama-3.2-3B-Instruct-quantized.w8a8, vllm-project/llm-compressor#2078.
        (W8A8, "quantize{weights=int8 activations=int8 per=channel skip=[lm_head]}"),
        # RedHatAI/…-FP8-dynamic, the preset FP8_DYNAMIC of compressed-tensors.
        (FP8_DYNAMIC, "quantize{weights=fp8 activations=fp8 per=channel skip=[lm_head]}"),
        # A Qwen2.5-VL checkpoint in vllm-project/llm-compressor#1583.
        (NVFP4_PACK, "quantize{weights=nvfp4 activations=nvfp4 skip=[lm_head]}"),
        # nvidia/*-FP4, NVIDIA/Model-Optimizer, torch/export.
        (MODELOPT,
         "quantize{weights=nvfp4 activations=nvfp4 skip=[lm_head]},quantize{kv=fp8}"),
    ],
)  # fmt: skip
def test_a_published_block_becomes_a_pipeline(block: dict[str, Any], text: str) -> None:
    assert declared(DENSE, block) == text


@pytest.mark.parametrize(
    ("block", "gate", "down"),
    [
        (GPTQ, Fraction(4) + Fraction(16 + 4, 128), Fraction(4) + Fraction(16 + 4, 128)),
        ({**GPTQ, "bits": 3, "group_size": 64}, 3 + Fraction(19, 64), 3 + Fraction(19, 64)),
        # One group a row: as many elements as the matrix has inputs.
        ({**GPTQ, "group_size": -1}, 4 + Fraction(20, 256), 4 + Fraction(20, 512)),
        (AWQ, Fraction(4) + Fraction(16 + 4, 128), Fraction(4) + Fraction(16 + 4, 128)),
        # An 8-bit absmax for 64, an fp32 for 256 of those: 4.127 (QLoRA, arXiv:2305.14314, §3).
        (NF4, 4 + Fraction(8, 64) + Fraction(32, 64 * 256), 4 + Fraction(2080, 16384)),
        ({**NF4, "bnb_4bit_use_double_quant": False}, Fraction(9, 2), Fraction(9, 2)),
        (LLM_INT8, 8 + Fraction(32, 256), 8 + Fraction(32, 512)),
        (PACKED, Fraction(9, 2), Fraction(9, 2)),
        (W8A8, 8 + Fraction(16, 256), 8 + Fraction(16, 512)),
        (FP8_DYNAMIC, 8 + Fraction(16, 256), 8 + Fraction(16, 512)),
        (NVFP4_PACK, Fraction(9, 2), Fraction(9, 2)),
        (MODELOPT, Fraction(9, 2), Fraction(9, 2)),
    ],
)
def test_bits_a_weight_are_exact(block: dict[str, Any], gate: Fraction, down: Fraction) -> None:
    assert bits(block, GATE) == gate
    assert bits(block, DOWN) == down
    assert bits(block, "lm_head.weight") == 16
    assert bits(block, "model.embed_tokens.weight") == 16


def test_asymmetric_groups_store_a_zero_point() -> None:
    group = {"targets": ["Linear"], "weights": {**INT4, "symmetric": False}}
    block = {**PACKED, "config_groups": {"group_0": group}}
    assert bits(block, GATE) == 4 + Fraction(16 + 4, 32)


def test_an_expression_becomes_the_modules_it_matches() -> None:
    """The ignore list of Kimi-K2-Thinking: everything but the routed experts."""
    ignore = ["lm_head", "re:.*self_attn.*", "re:.*mlp\\.gate$"]
    attention = " ".join(f"model.layers.*.self_attn.{p}_proj" for p in "qkvo")
    skip = f"lm_head {attention} model.layers.*.mlp.gate"
    assert declared(MOE, {**PACKED, "ignore": ignore}) == (
        f"quantize{{weights=int4 group=32 skip=[{skip}]}}"
    )


def test_a_pattern_with_a_layers_number_is_expanded_for_that_layer_alone() -> None:
    block = {**MODELOPT, "kv_cache_quant_algo": None, "ignore": ["lm_head", "model.layers.1*"]}
    text = declared({**DENSE, "num_hidden_layers": 3}, block)
    assert "model.layers.1.self_attn.q_proj" in text
    assert "layers.0" not in text
    assert "layers.*" not in text


def test_modules_in_two_groups_become_two_passes_that_skip_each_others() -> None:
    groups = {
        "dense": FP8_DYNAMIC["config_groups"]["group_0"],
        "experts": {"targets": ["re:.*experts.*"], "weights": FP4},
    }
    block = {**PACKED, "ignore": ["lm_head", "re:.*gate$"], "config_groups": groups}
    assert bits(block, "model.layers.0.mlp.experts.down_proj", MOE) == Fraction(9, 2)
    assert bits(block, "model.layers.0.self_attn.o_proj.weight", MOE) == 8 + Fraction(16, 256)
    assert bits(block, "model.layers.0.mlp.gate.weight", MOE) == 16


def test_an_algorithm_for_each_module_is_followed() -> None:
    layers = {"model.layers.0.mlp.experts": {"quant_algo": "NVFP4", "group_size": 16},
              "model.layers.0.self_attn.o_proj": {"quant_algo": "FP8"}}  # fmt: skip
    block = {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION",
             "quantized_layers": layers}  # fmt: skip
    assert bits(block, "model.layers.0.mlp.experts.gate_up_proj", MOE) == Fraction(9, 2)
    assert bits(block, "model.layers.0.self_attn.o_proj.weight", MOE) == 8
    assert bits(block, "model.layers.0.self_attn.q_proj.weight", MOE) == 16


def test_gptqmodels_rules_leave_modules_or_change_their_bits() -> None:
    rules = {"-:.*q_proj": {}, "+:.*down_proj": {"bits": 8, "group_size": 32}}
    block = {**GPTQ, "dynamic": rules}
    assert bits(block, "model.layers.0.self_attn.q_proj.weight") == 16
    assert bits(block, DOWN) == 8 + Fraction(16 + 8, 32)
    assert bits(block, GATE) == 4 + Fraction(16 + 4, 128)


def test_the_file_nvidias_exporter_writes_beside_the_config_counts(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(DENSE))
    block = {"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8",
                              "exclude_modules": ["lm_head"]}}  # fmt: skip
    (tmp_path / "hf_quant_config.json").write_text(json.dumps(block))
    text = "quantize{weights=fp8 activations=fp8 skip=[lm_head]},quantize{kv=fp8}"
    assert load(tmp_path).origin.pipeline == text


def test_what_is_not_counted_is_said() -> None:
    sparse = {**PACKED, "sparsity_config": {"format": "sparse-24-bitmask"}}
    assert "M052" in notes(DENSE, LLM_INT8)
    assert "M052" not in notes(DENSE, {**LLM_INT8, "llm_int8_threshold": 0.0})
    assert "M052" in notes(DENSE, {**GPTQ, "desc_act": True})
    assert "M052" in notes(DENSE, sparse)
    assert notes(DENSE, GPTQ) == []


@pytest.mark.parametrize("method", ["hqq", "aqlm", "quanto", "torchao", "eetq"])
def test_another_method_is_named_and_nothing_is_declared(method: str) -> None:
    assert declared(DENSE, {"quant_method": method, "bits": 4}) == ""
    assert notes(DENSE, {"quant_method": method}) == ["M003"]


def test_text_of_a_file_cannot_write_another_pipeline() -> None:
    block = {**AWQ, "modules_to_not_convert": ["x] weights=int2 y=[", "model.layers.*.mlp"]}
    text = declared(DENSE, block)
    assert text == (
        "quantize{weights=int4 group=128 zero-bits=4 skip=[model.layers.*.mlp lm_head]}"
    )


@pytest.mark.parametrize("pattern", ["re:(a+)+$", "re:(", "re:" + "x" * 600])
def test_an_expression_that_is_none_or_never_ends_is_refused(pattern: str) -> None:
    with pytest.raises(SpecError) as caught:
        named("model.layers.0.mlp.gate_proj", (pattern,))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"quant_method": "compressed-tensors", "config_groups": None}, "config_groups is null"),
        ({"quant_method": "compressed-tensors"}, "config_groups is missing"),
        ({"quant_method": "compressed-tensors", "config_groups": {}}, "config_groups is empty"),
        ({"quant_method": "bitsandbytes"}, "neither load_in_4bit nor load_in_8bit is true"),
    ],
)
def test_a_block_that_says_nothing_of_weights_is_named_as_such(
    block: dict[str, Any], said: str
) -> None:
    (note,) = read_architecture({**DENSE, "quantization_config": block}).notes
    assert note.code == "M003"
    assert said in note.message
    assert "not known" not in note.message


def test_a_null_among_the_modules_is_named_with_its_place() -> None:
    block = {"quant_method": "fp8", "modules_to_not_convert": ["lm_head", None]}
    with pytest.raises(SpecError, match="modules_to_not_convert holds null at 1"):
        declared(DENSE, block)


def test_four_and_eight_bits_at_once_are_refused() -> None:
    block = {"quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": True}
    with pytest.raises(SpecError, match="load_in_4bit and load_in_8bit are both true"):
        declared(DENSE, block)


def test_torchs_spelling_of_the_format_is_read() -> None:
    """As MiniMaxAI/MiniMax-M2.5 has it."""
    block = {"quant_method": "fp8", "fmt": "float8_e4m3fn", "weight_block_size": [128, 128]}
    assert declared(DENSE, block) == declared(DENSE, {**block, "fmt": "e4m3"})


@pytest.mark.parametrize("size", [0, -2, 10**8, 128.0, True, "128"])
@pytest.mark.parametrize(("method", "key"), [("gptq", "group_size"), ("awq", "q_group_size")])
def test_a_group_of_no_size_is_refused_and_the_sizes_it_may_have_are_named(
    method: str, key: str, size: object
) -> None:
    with pytest.raises(SpecError, match=f"{key} is ") as caught:
        declared(DENSE, {"quant_method": method, "bits": 4, key: size})
    wanted = "write a whole number" if type(size) is not int else str(2**20)
    assert wanted in str(caught.value.hint)


def test_minus_one_is_a_scale_a_channel() -> None:
    assert "per=channel" in declared(DENSE, {"quant_method": "gptq", "bits": 4, "group_size": -1})


@pytest.mark.parametrize(("size", "text"), [(-1, "per=channel"), (64, "group=64")])
def test_groups_without_a_strategy_are_read_by_their_size(size: int, text: str) -> None:
    """compressed-tensors 0.12, quantization/quant_args.py: ``strategy``."""
    weights = {"num_bits": 4, "type": "int", "group_size": size}
    groups = {"a": {"targets": ["Linear"], "weights": weights}}
    block = {"quant_method": "compressed-tensors", "config_groups": groups}
    assert text in declared(DENSE, block)


def test_a_group_of_none_has_no_place_in_any_strategy() -> None:
    weights = {"num_bits": 4, "type": "int", "group_size": 0}
    groups = {"a": {"targets": ["Linear"], "weights": weights}}
    block = {"quant_method": "compressed-tensors", "config_groups": groups}
    with pytest.raises(SpecError, match="group_size is 0"):
        declared(DENSE, block)
