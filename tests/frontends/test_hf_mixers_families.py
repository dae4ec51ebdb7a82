"""Families with other mixers and layers: by hand, and what a wrong config of theirs gets."""

from __future__ import annotations

from typing import Any

import pytest

from mansard.core.errors import SpecError, UnknownNameError
from mansard.core.symbols import P
from mansard.frontends.hf.architecture import Architecture, Attention
from mansard.frontends.hf.bundled import load_bundled
from mansard.frontends.hf.card_file import builtin_cards, builtin_wrappers
from mansard.frontends.hf.feed_forward import Dense, Moe
from mansard.frontends.hf.fields import combine
from mansard.frontends.hf.latent_mixers import Mla
from mansard.frontends.hf.lower.decoder import decoder_graph
from mansard.frontends.hf.lower.stored import stored_tensors
from mansard.frontends.hf.mixers import GatedDelta, Mamba1, Mamba2, RgLru, make_mixer
from mansard.frontends.hf.overrides import apply_overrides
from mansard.frontends.hf.resolve import read_architecture, resolve
from mansard.frontends.hf.tensors import (
    active_parameters,
    kv_elements_per_token,
    parameter_tensors,
    parameters,
    state_elements,
)
from mansard.ir.cost import MATRIX
from mansard.ir.graph import Graph
from mansard.ir.program import binding
from mansard.ir.region import Repeat


def bundled(name: str) -> Architecture:
    return resolve(load_bundled(name).config)


def kinds(arch: Architecture) -> list[type | None]:
    return [None if layer.mixer is None else type(layer.mixer) for layer in arch.layers]


def matrix(graph: Graph, new: int, past: int) -> int:
    bind = binding(1, new, past)
    work = (f for (unit, *_), f in graph.cost.flops.items() if unit == MATRIX)
    return sum(int(f.xreplace(bind)) for f in work)


class TestLatentAttention:
    def test_deepseek_v3_has_its_published_counts(self) -> None:
        """37.6e9 of 671.0e9 active; 70,272 bytes a token [DeepSeek-AI 2024 V3, §2.1]."""
        arch = bundled("deepseek-v3")
        assert parameters(arch) == 671_026_404_352
        assert active_parameters(arch) == 37_552_282_624
        assert kv_elements_per_token(arch) * 2 == 61 * (512 + 64) * 2 == 70_272
        assert [isinstance(x.ffn, Dense) for x in arch.layers] == [True] * 3 + [False] * 58

    def test_the_cached_latents_are_expanded_again_every_step(self) -> None:
        """A step costs 2·rank·heads·(nope+value) more a cached token and layer, and its scores."""
        m = bundled("deepseek-v2-lite").layers[0].mixer
        assert isinstance(m, Mla)
        graph = decoder_graph(bundled("deepseek-v2-lite"))
        expand = 2 * m.rank * m.heads * (m.nope + m.value)
        attend = 2 * m.heads * (m.nope + m.rope + m.value)
        assert matrix(graph, 1, 101) - matrix(graph, 1, 100) == 27 * (expand + attend)

    def test_an_explicit_null_is_no_default(self) -> None:
        """V2-Lite projects its queries directly; the default rank of 1536 adds weights."""
        lite = dict(load_bundled("deepseek-v2-lite").config.values)
        missing = {k: v for k, v in lite.items() if k != "q_lora_rank"}
        assert lite["q_lora_rank"] is None
        low_rank = 1536 * (2048 + 1 + 16 * 192) - 16 * 192 * 2048
        more = parameters(read_architecture(missing)) - parameters(read_architecture(lite))
        assert more == 27 * low_rank == 42_508_800

    def test_an_indexer_adds_a_key_cache_and_lets_each_query_pick(self) -> None:
        arch = bundled("deepseek-v3.2")
        assert kv_elements_per_token(arch) == 61 * (512 + 64 + 128)
        names = {op.name for op, _ in decoder_graph(arch).walk()}
        assert {"layers.index_scores", "layers.keep_chosen"} <= names


class TestStateSpaces:
    @pytest.mark.parametrize("name", ["mamba-2.8b", "mamba2-780m", "falcon-mamba-7b", "rwkv-4-7b"])
    def test_nothing_a_step_does_depends_on_the_context(self, name: str) -> None:
        cost = decoder_graph(bundled(name)).cost
        quantities = (*cost.flops.values(), *cost.reads.values(), *cost.writes.values())
        assert not any(q.has(P) for q in quantities)
        assert kv_elements_per_token(bundled(name)) == 0

    def test_mamba_2_keeps_its_convolution_and_its_heads(self) -> None:
        """48 layers: 4 taps of 3072 + 2·128 channels, and 48 heads of 64 × 128."""
        conv, heads = 4 * (3072 + 2 * 128), 48 * 64 * 128
        assert state_elements(bundled("mamba2-780m")) == 48 * (conv + heads) == 19_513_344

    def test_jamba_attends_every_eighth_layer_and_routes_every_second(self) -> None:
        arch = bundled("jamba-1.5-mini")
        assert parameters(arch) == 51_570_323_328
        assert [i for i, k in enumerate(kinds(arch)) if k is Attention] == [4, 12, 20, 28]
        assert [isinstance(x.ffn, Moe) for x in arch.layers] == [False, True] * 16
        assert kinds(arch)[0] is Mamba1

    def test_a_hybrid_grows_only_where_it_attends(self) -> None:
        """Granite 4: 4 of 40 layers attend, 8 heads of 128."""
        arch = bundled("granite-4.0-h-small")
        assert kinds(arch).count(Attention) == 4
        assert kinds(arch).count(Mamba2) == 36
        assert kv_elements_per_token(arch) == 4 * 2 * 8 * 128

    def test_qwen_3_next_has_three_delta_nets_for_each_gated_attention(self) -> None:
        arch = bundled("qwen3-next-80b-a3b")
        assert kinds(arch) == [GatedDelta, GatedDelta, GatedDelta, Attention] * 12
        assert arch.layers[3].attention.gated
        shapes = {t.name: t.shape for t in parameter_tensors(arch)}
        assert shapes["model.layers.*.self_attn.q_proj.weight"] == (2 * 16 * 256, 2048)

    def test_griffin_repeats_its_pattern(self) -> None:
        assert kinds(bundled("recurrentgemma-2b"))[:6] == [RgLru, RgLru, Attention] * 2

    def test_nemotron_h_gives_each_layer_one_block(self) -> None:
        config = {"model_type": "nemotron_h", "hybrid_override_pattern": "M-M*E"}
        arch = read_architecture({**config, "num_hidden_layers": 5})
        assert kinds(arch) == [Mamba2, None, Mamba2, Attention, None]
        assert [type(x.ffn).__name__ for x in arch.layers] == [
            "NoneType", "Dense", "NoneType", "NoneType", "Moe",
        ]  # fmt: skip


class TestLayers:
    def test_gpt_oss_has_sinks_biases_and_a_window_in_every_second_layer(self) -> None:
        arch = bundled("gpt-oss-20b")
        assert [x.attention.window for x in arch.layers[:4]] == [128, None, 128, None]
        shapes = {t.name: t.shape for t in parameter_tensors(arch)}
        assert shapes["model.layers.*.self_attn.sinks"] == (64,)
        assert shapes["model.layers.*.mlp.experts.gate_up_proj"] == (32, 2880, 5760)
        assert arch.quantization is not None
        assert arch.quantization.schemes[0].weights == "mxfp4"

    def test_llama_4_attends_in_chunks_but_for_every_fourth_layer(self) -> None:
        arch = bundled("llama-4-scout-17b-16e-instruct")
        assert [x.attention.chunked for x in arch.layers[:4]] == [True, True, True, False]
        assert [bool(x.attention.rotary_dim) for x in arch.layers[:4]] == [True, True, True, False]

    def test_olmo_2_normalizes_what_a_block_returns(self) -> None:
        arch = read_architecture({"model_type": "olmo2", "num_hidden_layers": 1})
        ops = [op.name for op, _ in decoder_graph(arch).walk() if op.name.startswith("layers.")]
        assert (
            ops.index("layers.o_proj")
            < ops.index("layers.attn_norm")
            < ops.index("layers.attn_add")
        )

    def test_gemma_3n_reads_the_caches_of_earlier_layers_in_its_last_15(self) -> None:
        """20 of 35 layers keep 2 heads of 256, keys and values."""
        arch = bundled("gemma-3n-e4b")
        assert kv_elements_per_token(arch) == 20 * 2 * 2 * 256 == 20_480
        graph = decoder_graph(arch)
        taken = [op.ins for op in graph.ops if isinstance(op, Repeat) and len(op.ins) > 2]
        assert [v.role for v in taken[-1]] == ["activation", "activation"] + ["cache"] * 4

    def test_falcon_reads_its_key_value_heads_only_in_the_new_architecture(self) -> None:
        old = read_architecture({"model_type": "falcon", "num_kv_heads": 71})
        assert (old.layers[0].attention.kv_heads, old.layers[0].topology) == (1, "parallel")
        new = bundled("falcon-180b")
        assert (new.layers[0].attention.kv_heads, new.layers[0].topology) == (8, "parallel2")
        assert parameters(new) == 178_557_088_768

    def test_nested_configs_are_read_by_their_path(self) -> None:
        arch = bundled("dbrx")
        assert arch.layers[0].attention.kv_heads == 8
        assert isinstance(arch.layers[0].ffn, Moe)
        assert (arch.layers[0].ffn.experts, arch.layers[0].ffn.width) == (16, 10752)
        assert bundled("mpt-7b").layers[0].attention.alibi


class TestWrapped:
    def test_the_language_model_is_lowered_and_a_tower_without_a_card_is_named(self) -> None:
        text = {"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4}
        eyes = {"model_type": "dinov3_vit", "hidden_size": 8}
        config = {"model_type": "llava", "text_config": text, "vision_config": eyes}
        arch = read_architecture(config)
        assert (arch.family, arch.hidden, len(arch.layers)) == ("llava", 64, 2)
        assert [n.message for n in arch.notes if n.code == "M007"] == [
            "vision_config: only the language model is lowered"
        ]
        assert arch.names.path("q_proj") == "model.language_model.layers.*.self_attn.q_proj"

    def test_a_language_model_of_another_family_is_its_own_card(self) -> None:
        config = {"model_type": "llava", "text_config": {"model_type": "qwen2"}}
        assert read_architecture(config).layers[0].attention.q_bias

    def test_a_text_config_that_is_no_object_is_refused(self) -> None:
        with pytest.raises(SpecError, match="text_config is 3"):
            read_architecture({"model_type": "llava", "text_config": 3})

    def test_every_wrapper_has_a_language_model_with_a_card(self) -> None:
        """InternVL's remote code takes any, and its config always says which."""
        inner = {name: w.inner for name, w in builtin_wrappers().items()}
        assert [name for name in inner if not inner[name]] == ["internvl_chat"]
        named = {kind for w in builtin_wrappers().values() for kind in (w.inner, w.absent) if kind}
        assert named <= set(builtin_cards())
        assert not set(builtin_wrappers()) & set(builtin_cards())


class TestSharedBlocks:
    def test_zamba_2_stores_its_blocks_once_and_an_adapter_for_each_use(self) -> None:
        """Layers 6 and 12 store the two blocks; layer 18 uses the first again."""
        arch = read_architecture({"model_type": "zamba2", "num_mem_blocks": 2})
        users = [at for at, x in enumerate(arch.layers) if x.shared]
        firsts = [x.shared.first for x in arch.layers if x.shared]
        assert users == [6, 12, 18, 24, 30, 36, 42, 47, 51]
        assert firsts == [6, 12, 6, 12, 6, 12, 6, 12, 6]
        copies = {t.name.removeprefix("model.layers.*."): t.copies for t in parameter_tensors(arch)}
        assert copies["shared_transformer.self_attn.q_proj.weight"] == 2
        assert copies["linear.weight"] == 9
        assert kv_elements_per_token(arch) == 9 * 2 * 2 * 2560

    def test_the_graph_stores_what_the_layers_do(self) -> None:
        arch = read_architecture({"model_type": "zamba2", "num_mem_blocks": 2})
        graph = decoder_graph(arch)
        assert sorted(stored_tensors(graph, arch.names)) == sorted(parameter_tensors(arch))

    def test_falcon_h1_mixes_twice_and_adds(self) -> None:
        arch = read_architecture({"model_type": "falcon_h1", "num_hidden_layers": 1})
        assert isinstance(arch.layers[0].also, Mamba2)
        assert isinstance(arch.layers[0].mixer, Attention)
        assert "layers.mixers_add" in {op.name for op, _ in decoder_graph(arch).walk()}


class TestOverrides:
    def test_keys_of_a_mixer_can_be_set(self) -> None:
        config = load_bundled("mamba2-780m").config.values
        arch = read_architecture(apply_overrides(config, {"mamba_d_state": "64"}))
        assert arch.layers[0].mixer == Mamba2(48, 64, 64, 1, 4, chunk=256)

    def test_keys_of_a_wrapped_language_model_can_be_set(self) -> None:
        config = load_bundled("gemma-3-4b-it").config.values
        changed = apply_overrides(config, {"num_hidden_layers": "3", "dtype": "fp16"})
        arch = read_architecture(changed)
        assert (arch.family, len(arch.layers), arch.dtype) == ("gemma3", 3, "fp16")

    def test_a_hybrid_keeps_its_pattern_under_another_depth(self) -> None:
        config = load_bundled("granite-4.0-h-small").config.values
        arch = read_architecture(apply_overrides(config, {"num_hidden_layers": "12"}))
        assert [i for i, k in enumerate(kinds(arch)) if k is Attention] == [5]


class TestBadInput:
    def test_an_unknown_layer_kind_is_named_with_its_place(self) -> None:
        kinds = ["linear_attention", "full_attention", "magic"]
        config = {"model_type": "qwen3_next", "num_hidden_layers": 3, "layer_types": kinds}
        with pytest.raises(SpecError, match="'magic' at layer 2"):
            read_architecture(config)

    def test_an_unknown_letter_of_a_pattern_is_refused(self) -> None:
        config = {
            "model_type": "nemotron_h",
            "hybrid_override_pattern": "MX",
            "num_hidden_layers": 2,
        }
        with pytest.raises(SpecError, match="'X' at layer 1"):
            read_architecture(config)

    @pytest.mark.parametrize(
        "wrong",
        [{"kv_lora_rank": 0}, {"kv_lora_rank": "512"}, {"kv_lora_rank": None}, {"v_head_dim": 1.5},
         {"attention_bias": 1}, {"moe_layer_freq": 2}],
    )  # fmt: skip
    def test_sizes_of_a_mixer_are_checked(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(SpecError) as caught:
            read_architecture({"model_type": "deepseek_v3", **wrong})
        assert caught.value.hint

    def test_per_layer_widths_must_fit(self) -> None:
        config = {"model_type": "llama", "num_hidden_layers": 3, "intermediate_size": [8, 16]}
        with pytest.raises(SpecError, match="lists 2 layers, but the model has 3"):
            read_architecture(config)

    def test_more_shared_caches_than_layers_that_have_one_are_refused(self) -> None:
        config = {"model_type": "gemma4_text", "num_hidden_layers": 6, "num_kv_shared_layers": 5}
        with pytest.raises(SpecError, match="full attention"):
            read_architecture(config)

    def test_a_mixer_knows_its_kinds_and_fields(self) -> None:
        with pytest.raises(UnknownNameError):
            make_mixer("mambo", {}, "f")
        with pytest.raises(UnknownNameError):
            make_mixer("short_conv", {"tap": 3}, "f")
        with pytest.raises(SpecError, match="lacks taps"):
            make_mixer("short_conv", {}, "f")
        with pytest.raises(SpecError, match="bias"):
            make_mixer("short_conv", {"taps": 3, "bias": 1}, "f")
        with pytest.raises(UnknownNameError):
            combine("minus", [1, 2])
