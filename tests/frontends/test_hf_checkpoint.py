"""What a checkpoint's own quantization declares, as pipeline text."""

from __future__ import annotations

from typing import Any

from mansard.frontends.hf.architecture import Architecture
from mansard.frontends.hf.checkpoint import checkpoint_pipeline
from mansard.frontends.hf.load import load
from mansard.frontends.hf.lower.decoder import decoder_graph
from mansard.frontends.hf.resolve import read_architecture

DENSE: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
    "num_attention_heads": 8, "vocab_size": 100, "dtype": "bfloat16",
}  # fmt: skip
MOE = {**DENSE, "model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2}
BLOCKS = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}


def declared(config: dict[str, Any], block: dict[str, Any]) -> str:
    return checkpoint_pipeline(quantized(config, block))


def quantized(config: dict[str, Any], block: dict[str, Any]) -> Architecture:
    return read_architecture({**config, "quantization_config": block})


def test_an_fp8_block_is_one_fp32_scale_for_128_by_128_elements() -> None:
    """Liu et al., DeepSeek-V3 (arXiv 2412.19437), §3.3.2: tile- and block-wise scaling."""
    text = "quantize{weights=fp8 activations=fp8 group=16384 scale-bits=32 skip=[lm_head]}"
    assert declared(DENSE, BLOCKS) == text


def test_one_scale_a_tensor_counts_no_group_and_weights_alone_leave_activations() -> None:
    assert declared(DENSE, {"quant_method": "fp8"}) == "quantize{weights=fp8 skip=[lm_head]}"
    static = {"quant_method": "fp8", "activation_scheme": "static"}
    assert declared(DENSE, static) == "quantize{weights=fp8 activations=fp8 skip=[lm_head]}"


def test_the_router_is_left_even_where_the_block_does_not_list_it() -> None:
    block = {"quant_method": "fp8"}
    assert declared(MOE, block) == "quantize{weights=fp8 skip=[lm_head model.layers.*.mlp.gate]}"


def test_a_tied_head_keeps_the_embedding_it_shares() -> None:
    text = declared({**DENSE, "tie_word_embeddings": True}, {"quant_method": "fp8"})
    assert text == "quantize{weights=fp8 skip=[model.embed_tokens]}"


def test_the_blocks_own_list_comes_first_and_is_not_repeated() -> None:
    block = {"quant_method": "fp8", "modules_to_not_convert": ["model.layers.*.mlp", "lm_head"]}
    assert declared(MOE, block) == "quantize{weights=fp8 skip=[model.layers.*.mlp lm_head]}"


def test_a_module_listed_for_every_layer_becomes_one_pattern() -> None:
    every = [f"model.layers.{i}.mlp.down_proj" for i in range(2)]
    one = ["model.layers.1.self_attn"]
    block = {"quant_method": "fp8", "ignored_layers": [*every, *one]}
    skip = "model.layers.*.mlp.down_proj model.layers.1.self_attn lm_head"
    assert declared(DENSE, block) == f"quantize{{weights=fp8 skip=[{skip}]}}"


def test_a_router_listed_in_every_sparse_layer_is_one_pattern_though_dense_layers_have_none() -> (
    None
):
    config = {
        **MOE, "model_type": "qwen3_moe", "num_hidden_layers": 4, "num_experts": 4,
        "moe_intermediate_size": 32, "mlp_only_layers": [0],
    }  # fmt: skip
    gates = [f"model.layers.{i}.mlp.gate" for i in (1, 2, 3)]
    block = {"quant_method": "fp8", "modules_to_not_convert": gates}
    assert declared(config, block) == "quantize{weights=fp8 skip=[model.layers.*.mlp.gate lm_head]}"


def test_a_layer_left_alone_is_lowered_alone_so_that_its_name_can_be_matched() -> None:
    block = {"quant_method": "fp8", "ignored_layers": ["model.layers.2.mlp", "model.layers.9.mlp"]}
    arch = quantized({**DENSE, "num_hidden_layers": 10}, block)
    names = {leaf.storage for leaf in decoder_graph(arch).leaves}
    stored = {name for name in names if name.endswith("up_proj.weight")}
    assert stored == {f"model.layers.{i}.mlp.up_proj.weight" for i in ("{i}", "2", "{i+3}", "9")}


def test_mxfp4_is_for_experts_and_leaves_every_other_matrix() -> None:
    """OCP Microscaling Formats v1.0, table 1, as gpt-oss stores its experts."""
    block = {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn"]}
    skip = "model.layers.*.self_attn lm_head model.layers.*.mlp.gate"
    assert declared(MOE, block) == f"quantize{{weights=mxfp4 skip=[{skip}]}}"


def test_no_block_an_unknown_method_and_a_new_dtype_declare_nothing() -> None:
    assert checkpoint_pipeline(read_architecture(DENSE)) == ""
    assert declared(DENSE, {"quant_method": "hqq", "nbits": 4}) == ""
    assert load("qwen3-32b-fp8").origin.pipeline.startswith("quantize{weights=fp8")
    assert load("qwen3-32b-fp8", {"dtype": "bf16"}).origin.pipeline == ""


def test_the_bundled_fp8_mixture_declares_what_its_config_says() -> None:
    skip = (
        "lm_head model.layers.*.input_layernorm model.layers.*.mlp.gate "
        "model.layers.*.post_attention_layernorm"
    )
    text = f"quantize{{weights=fp8 activations=fp8 group=16384 scale-bits=32 skip=[{skip}]}}"
    assert load("qwen3-30b-a3b-fp8").origin.pipeline == text
