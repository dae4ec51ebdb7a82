"""Decoder families by hand: totals of the issue's anchors, and structure that a total would hide.

The totals of class defaults are those of transformers 5.23.0 on meta tensors; ``make breadth``
compares every class tensor by tensor.
"""

from __future__ import annotations

from typing import Any

import pytest

from mansard.core.errors import SpecError
from mansard.frontends.hf.architecture import Attention
from mansard.frontends.hf.bundled import load_bundled
from mansard.frontends.hf.feed_forward import Dense, Moe
from mansard.frontends.hf.load import load
from mansard.frontends.hf.resolve import read_architecture, resolve
from mansard.frontends.hf.tensors import (
    active_parameters,
    kv_elements_per_token,
    parameter_tensors,
    parameters,
)
from mansard.ir.footprint import model_facts

DEFAULTS = {
    "afmoe": 19_232_600_000, "apertus": 6_979_596_352, "aria_text": 18_517_069_824,
    "axk1": 518_983_052_288, "bitnet": 2_741_155_840, "cohere2_moe": 190_004_928_512,
    "ctrl": 1_637_964_550, "flint": 39_785_287_456, "granitemoe_swa": 37_039_117_312,
    "hyperclovax": 6_738_677_760, "jamba": 51_570_323_328, "kimi_linear": 49_133_074_464,
    "kolibri1": 78_103_055_360, "laguna": 33_189_975_808, "lfm3": 1_728_801_536,
    "mimo_v2_flash": 308_778_768_832, "minimax_m3_vl_text": 447_186_441_216,
    "moshi": 6_839_083_008, "openai-gpt": 116_534_784, "xlm": 667_119_041,
}  # fmt: skip
# Total and active parameters of published models, as the sources state them.
ANCHORS = {
    "deepseek-v3": (671_026_404_352, 37_552_282_624),
    "kimi-k2-instruct": (1_026_408_209_408, 32_861_477_888),
    "gpt-oss-120b": (116_829_156_672, None),
    "qwen3-next-80b-a3b": (79_674_391_296, None),
    "jamba-1.5-mini": (51_570_323_328, None),
    "llama-3.1-405b": (405_853_388_800, None),
    "falcon-180b": (178_557_088_768, None),
    "mixtral-8x7b-v0.1": (46_702_792_704, 12_879_925_248),
}  # fmt: skip


def shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {t.name: t.shape for t in parameter_tensors(read_architecture(config))}


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_class_at_its_defaults_has_the_parameters_transformers_builds(name: str) -> None:
    assert parameters(read_architecture({"model_type": name})) == DEFAULTS[name]


@pytest.mark.parametrize("name", ANCHORS)
def test_a_published_model_has_its_anchors(name: str) -> None:
    arch = resolve(load_bundled(name).config)
    total, active = ANCHORS[name]
    assert parameters(arch) == total
    assert active is None or active_parameters(arch) == active


def test_deepseek_v3_caches_a_latent_and_a_rotated_key_a_layer() -> None:
    arch = resolve(load_bundled("deepseek-v3").config)
    assert kv_elements_per_token(arch) * 2 == 61 * (512 + 64) * 2 == 70_272


def test_bitnets_norms_stand_before_the_second_matrix_of_each_block() -> None:
    """Wang et al., BitNet (arXiv 2310.11453), §2: SubLN."""
    found = shapes({"model_type": "bitnet"})
    assert found["model.layers.*.self_attn.attn_sub_norm.weight"] == (2560,)
    assert found["model.layers.*.mlp.ffn_sub_norm.weight"] == (6912,)


def test_apertus_learns_two_numbers_of_its_activation_in_each_layer() -> None:
    arch = read_architecture({"model_type": "apertus"})
    learned = [t for t in parameter_tensors(arch) if ".act_fn." in t.name]
    assert [(t.shape, t.copies) for t in learned] == [((1,), 32)] * 2


def test_mimos_local_layers_have_twice_the_heads_narrower_values_and_sinks() -> None:
    layers = read_architecture({"model_type": "mimo_v2_flash"}).layers
    mixers = [layer.mixer for layer in layers if isinstance(layer.mixer, Attention)]
    far, near = mixers[0], mixers[1]
    assert (far.kv_heads, far.window, far.sinks) == (4, None, False)
    assert (near.kv_heads, near.window, near.sinks) == (8, 129, True)
    assert (far.head_dim, far.value_width) == (192, 128)
    arch = read_architecture({"model_type": "mimo_v2_flash"})
    assert kv_elements_per_token(arch) == 9 * 4 * (192 + 128) + 39 * 8 * (192 + 128)


def test_a_gate_of_its_own_is_a_number_a_head_or_an_element() -> None:
    heads = shapes({"model_type": "laguna"})
    every = shapes({"model_type": "afmoe"})
    assert heads["model.layers.*.self_attn.g_proj.weight"] == (48, 2048)
    assert every["model.layers.*.self_attn.gate_proj.weight"] == (2048, 2048)


def test_a_norm_may_follow_the_experts_and_rows_may_exceed_the_vocabulary() -> None:
    arch = read_architecture({"model_type": "axk1"})
    sparse = [layer.ffn for layer in arch.layers if isinstance(layer.ffn, Moe)]
    assert (len(sparse), all(m.norm for m in sparse)) == (60, True)
    assert isinstance(arch.layers[0].ffn, Dense)
    assert shapes({"model_type": "moshi"})["model.embed_tokens.weight"] == (32001, 4096)


def test_the_class_of_the_language_model_alone_is_read_without_its_wrapper() -> None:
    whole = shapes({"model_type": "qwen3_5"})
    alone = shapes({"model_type": "qwen3_5", "architectures": ["Qwen3_5ForCausalLM"]})
    assert "model.language_model.embed_tokens.weight" in whole
    assert "model.embed_tokens.weight" in alone
    assert sorted(whole.values()) == sorted(alone.values())


def test_differential_attention_keeps_pairs_of_values_and_four_vectors_a_layer() -> None:
    arch = read_architecture({"model_type": "diffllama"})
    assert kv_elements_per_token(arch) == 16 * 2 * 32 * 64
    learned = [t for t in parameter_tensors(arch) if ".lambda_" in t.name]
    assert [(t.shape, t.copies) for t in learned] == [((64,), 16)] * 4


def test_jetmoes_tokens_use_two_of_eight_projections_of_queries() -> None:
    arch = read_architecture({"model_type": "jetmoe"})
    found = {t.name: t.shape for t in parameter_tensors(arch)}
    assert found["model.layers.*.self_attention.experts.input_linear.weight"] == (8, 2048, 2048)
    assert kv_elements_per_token(arch) == 12 * 2 * 16 * 128
    facts = model_facts(load({"model_type": "jetmoe"}))
    idle = 12 * 6 * (2 * 2048 * 2048 + 3 * 2048 * 5632)  # six of eight experts of both kinds
    assert facts.active_params == facts.params - idle


@pytest.mark.parametrize(
    ("name", "wide", "narrow"),
    [
        # What sums over many steps is fp32, the convolution's last inputs are in the model's dtype:
        # transformers 5.23.0, modeling_qwen3_next.py (torch_recurrent_gated_delta_rule),
        # modeling_mamba2.py and modeling_recurrent_gemma.py.
        ("qwen3-next-80b-a3b", 36 * 32 * 128 * 128, 36 * 8192 * 4),
        ("mamba2-780m", 48 * 48 * 64 * 128, 48 * (3072 + 2 * 128) * 4),
        ("recurrentgemma-2b", 18 * 2560, 18 * 2560 * 4),
    ],
)
def test_recurrent_states_are_kept_in_fp32(name: str, wide: int, narrow: int) -> None:
    width = 4 if load(name).graph().leaves[0].encoding.dtype == "fp32" else 2
    assert model_facts(load(name)).state_bytes == 4 * wide + width * narrow


class TestBadInput:
    """What published and copied configs get wrong."""

    TINY: dict[str, Any] = {  # noqa: RUF012 - read only
        "model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "vocab_size": 100,
        "num_hidden_layers": 2, "num_attention_heads": 8, "dtype": "bfloat16",
    }  # fmt: skip

    def test_a_copied_key_that_the_family_ignores_is_noise(self) -> None:
        falcon = {"model_type": "falcon", "multi_query": True, "new_decoder_architecture": False}
        noisy = read_architecture({**falcon, "num_kv_heads": 71})
        assert noisy.layers == read_architecture(falcon).layers
        assert noisy.layers[0].attention.kv_heads == 1

    def test_an_integer_where_a_number_is_demanded_is_one(self) -> None:
        config = {**self.TINY, "model_type": "stablelm", "num_key_value_heads": 8}
        whole = {**config, "partial_rotary_factor": 1}
        assert read_architecture(whole).layers[0].attention.rotary_dim == 8

    def test_null_is_a_statement_and_missing_is_the_class_default(self) -> None:
        stated = read_architecture({"model_type": "deepseek_v3", "q_lora_rank": None})
        absent = read_architecture({"model_type": "deepseek_v3"})
        assert "model.layers.*.self_attn.q_proj.weight" in {
            t.name for t in parameter_tensors(stated)
        }
        assert parameters(stated) != parameters(absent)


def searched(mixers: list[tuple[int | None, float]], **more: Any) -> dict[str, Any]:
    """A config whose layers have so many queries a key, or no attention, and so wide a block."""
    blocks = [
        {
            "attention": {
                "n_heads_in_group": group, "no_op": group is None, "replace_with_linear": False
            },
            "ffn": {"ffn_mult": mult, "no_op": not mult, "replace_with_linear": False},
        }
        for group, mult in mixers
    ]  # fmt: skip
    return {
        "model_type": "nemotron-nas", "num_hidden_layers": len(mixers), "hidden_size": 1024,
        "num_attention_heads": 16, "vocab_size": 512, "tie_word_embeddings": False,
        "intermediate_size": None, "num_key_value_heads": None, "block_configs": blocks, **more,
    }  # fmt: skip


class TestSearchedLayers:
    def test_each_layer_of_nemotron_super_has_heads_and_a_width_of_its_own(self) -> None:
        """Widths are two thirds of so many times 1024, rounded up to 256; some blocks are left out.

        nvidia/Llama-3_3-Nemotron-Super-49B-v1 comes to its published 49,867,145,216 so.
        """
        arch = read_architecture(searched([(8, 5.25), (None, 0.5), (16, 2.625), (4, 0)]))
        first, second, third, fourth = arch.layers
        assert (first.attention.kv_heads, third.attention.kv_heads) == (2, 1)
        assert (second.mixer, fourth.ffn) == (None, None)
        widths = [layer.ffn.width for layer in arch.layers[:3] if isinstance(layer.ffn, Dense)]
        assert widths == [3584, 512, 1792]
        copies = {t.name: t.copies for t in parameter_tensors(arch)}
        norms = ("input_layernorm", "post_attention_layernorm")
        assert [copies[f"model.layers.*.{norm}.weight"] for norm in norms] == [3, 3]

    @pytest.mark.parametrize(
        ("config", "said"),
        [
            (searched([(8, 1.0)], num_hidden_layers=2), "lists 1 layers, but the model has 2"),
            (searched([(8, 1.0)], block_configs=3), "block_configs is 3"),
            (searched([(8, 1.0)], block_configs=[{"attention": {}}]), "block_configs is"),
            (searched([(7, 1.0), (8, 1.0)]) | {"num_attention_heads": 15, "head_dim": 64}, "share"),
        ],
    )
    def test_lists_that_do_not_fit_the_layers_are_refused(
        self, config: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(SpecError, match=said) as caught:
            read_architecture(config)
        assert caught.value.hint

    def test_attention_that_became_a_linear_is_refused_by_name(self) -> None:
        config = searched([(8, 1.0), (8, 1.0)])
        config["block_configs"][1]["attention"]["replace_with_linear"] = True
        with pytest.raises(SpecError, match="replace_with_linear is True"):
            read_architecture(config)
