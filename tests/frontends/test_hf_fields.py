"""Fields: config value, else class default, else rule; bad values name file, key, value, action."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from mansard.core.errors import MansardError, SpecError, UnknownNameError
from mansard.core.notes import Note
from mansard.frontends.hf import keys
from mansard.frontends.hf.architecture import Architecture
from mansard.frontends.hf.feed_forward import Moe
from mansard.frontends.hf.overrides import apply_overrides
from mansard.frontends.hf.resolve import read_architecture
from mansard.frontends.hf.tensors import parameters

LLAMA: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
    "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 100, "dtype": "bfloat16",
}  # fmt: skip
MIXTRAL = {**LLAMA, "model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2}


def test_every_key_of_the_file_is_known_and_read_as_it_is_written() -> None:
    text = Path(keys.__file__).with_name("keys.toml").read_text(encoding="utf-8")
    written = tomllib.loads(text)["keys"]
    known = keys.canonical_keys()
    assert list(known) == list(written)
    assert {k: known[k].kind for k in known} == {k: row["kind"] for k, row in written.items()}
    assert {k: known[k].aliases for k in known if known[k].aliases} == {
        k: tuple(row["aliases"]) for k, row in written.items() if row.get("aliases")
    }


def source_of(arch: Architecture, key: str) -> str:
    return next(f.source for f in arch.provenance if f.key == key)


def test_every_field_says_where_it_came_from() -> None:
    arch = read_architecture(LLAMA)
    assert source_of(arch, "hidden_size") == "hidden_size in config"
    assert source_of(arch, "tie_word_embeddings") == "class default of transformers 5.23.0"
    assert source_of(arch, "head_dim") == "rule: hidden_size // num_attention_heads"


def test_a_key_is_found_under_the_spelling_its_family_uses() -> None:
    arch = read_architecture({"model_type": "bloom", "n_embed": 32, "num_attention_heads": 4})
    assert arch.hidden == 32  # not the class default 64 under the name hidden_size
    assert source_of(arch, "hidden_size") == "n_embed in config"
    assert source_of(arch, "num_hidden_layers") == "class default of transformers 5.23.0"


def test_a_class_default_comes_before_the_generic_rule() -> None:
    arch = read_architecture({**LLAMA, "model_type": "qwen3"})
    assert arch.layers[0].attention.head_dim == 128  # Qwen3Config's default; 64 // 8 is the rule


def test_null_is_not_missing() -> None:
    mistral = {**LLAMA, "model_type": "mistral"}
    missing = read_architecture(mistral)
    null = read_architecture({**mistral, "sliding_window": None})
    assert [a.layers[0].attention.window for a in (missing, null)] == [4096, None]
    assert source_of(null, "sliding_window") == "sliding_window is null in config"


def test_a_derived_default_is_never_taken_as_a_literal() -> None:
    """LlamaConfig() has head_dim 128, but only because 4096 // 32 is 128."""
    config = {key: value for key, value in LLAMA.items() if key != "num_key_value_heads"}
    attention = read_architecture(config).layers[0].attention
    assert (attention.head_dim, attention.kv_heads) == (8, 8)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hidden_size", 0), ("hidden_size", -64), ("hidden_size", 64.5), ("hidden_size", "64"),
        ("hidden_size", True), ("hidden_size", [64]), ("hidden_size", 10**100),
        ("hidden_size", 2**40),
        ("num_hidden_layers", 10**9), ("num_hidden_layers", 0), ("vocab_size", 2**31 + 1),
        ("num_attention_heads", 0), ("num_key_value_heads", 3), ("num_key_value_heads", 16),
        ("num_attention_heads", 6), ("head_dim", 0), ("tie_word_embeddings", 1),
        ("attention_bias", "no"),
        ("intermediate_size", None), ("partial_rotary_factor", 1.5), ("partial_rotary_factor", -1),
        ("partial_rotary_factor", float("inf")), ("hidden_act", 3), ("dtype", "int3"),
        ("max_position_embeddings", 0.5),
    ],
)  # fmt: skip
def test_an_impossible_value_is_refused_by_key_and_with_an_action(key: str, value: object) -> None:
    with pytest.raises(MansardError) as caught:
        read_architecture({**LLAMA, key: value})
    assert "config" in caught.value.message
    assert caught.value.hint
    assert len(caught.value.message) < 200


def test_the_message_names_key_and_value() -> None:
    with pytest.raises(SpecError, match="config: num_hidden_layers is 1000000000") as caught:
        read_architecture({**LLAMA, "num_hidden_layers": 10**9})
    assert caught.value.hint == "num_hidden_layers must be at most 10000"


def test_a_window_of_zero_is_refused_unless_windows_are_off() -> None:
    with pytest.raises(SpecError, match="sliding_window is 0"):
        read_architecture({**LLAMA, "model_type": "mistral", "sliding_window": 0})
    off = read_architecture({**LLAMA, "model_type": "qwen2", "sliding_window": 0})
    assert {layer.attention.window for layer in off.layers} == {None}


def test_more_chosen_experts_than_experts_is_refused() -> None:
    with pytest.raises(SpecError, match="more than the 4 experts"):
        read_architecture({**MIXTRAL, "num_experts_per_tok": 5})


def test_no_experts_means_a_dense_block() -> None:
    arch = read_architecture({**MIXTRAL, "num_local_experts": 0})
    assert not any(isinstance(layer.ffn, Moe) for layer in arch.layers)


def test_a_missing_size_is_named() -> None:
    chatless = {"model_type": "gpt2", "n_embd": None}
    with pytest.raises(SpecError, match="hidden_size is null"):
        read_architecture(chatless)


def test_an_unread_key_that_looks_like_architecture_is_named() -> None:
    arch = read_architecture({**LLAMA, "kv_lora_rank": 512, "bos_token_id": 1, "qk_extra": False})
    (note,) = arch.notes
    assert note.code == "M001"
    assert "kv_lora_rank" in note.message
    assert "bos_token_id" not in note.message
    assert "qk_extra" not in note.message
    assert read_architecture(LLAMA).notes == ()


def test_two_spellings_that_disagree_are_named() -> None:
    arch = read_architecture({**LLAMA, "d_model": 128})
    assert arch.hidden == 64
    said = "hidden_size is 64 but d_model is 128; hidden_size counts"
    assert arch.notes == (Note("M005", said),)


def test_an_absent_dtype_is_assumed_aloud() -> None:
    arch = read_architecture({k: v for k, v in LLAMA.items() if k != "dtype"})
    assert arch.dtype == "bf16"
    assert arch.notes == (Note("M002", "the config states no dtype; bf16 is assumed"),)


class TestSizesTheConfigLeavesOut:
    def test_those_its_class_fills_in_are_named(self) -> None:
        cut = {k: v for k, v in LLAMA.items() if k not in ("vocab_size", "hidden_size")}
        (note,) = read_architecture(cut).notes
        said = "the class default of transformers 5.23.0 counts: hidden_size 4096, vocab_size 32000"
        assert note == Note("M002", f"not in the config, so {said}")

    def test_a_null_says_which_rule_counts_and_that_the_class_has_another_default(self) -> None:
        config = {**LLAMA, "model_type": "mistral", "num_key_value_heads": None,
                  "sliding_window": None}  # fmt: skip
        arch = read_architecture(config)
        assert arch.layers[0].attention.kv_heads == 8
        said = "num_key_value_heads is null, so num_attention_heads counts, 8"
        default = "the class default of transformers 5.23.0 is 8"
        assert arch.notes == ()  # Mistral's default is 8, too
        arch = read_architecture({**config, "num_attention_heads": 16, "head_dim": 4})
        assert arch.notes == (Note("M002", f"{said.replace(', 8', ', 16')}; {default}"),)

    def test_the_experts_of_a_class_are_not_asked_for_where_no_layer_has_any(self) -> None:
        config = {"model_type": "nemotron_h", "hybrid_override_pattern": "M-*", "vocab_size": 100}
        named = [n.message for n in read_architecture(config).notes if n.code == "M002"]
        assert not any("num_experts" in said for said in named)

    def test_an_encoders_sizes_are_named_in_the_same_note(self) -> None:
        notes = read_architecture({"model_type": "bart", "dtype": "float32"}).notes
        assert [n.code for n in notes] == ["M002"]
        assert "encoder_layers 12" in notes[0].message
        assert "decoder_layers 12" in notes[0].message


def test_another_class_than_the_causal_one_is_said() -> None:
    arch = read_architecture({**LLAMA, "architectures": ["LlamaForSequenceClassification"]})
    (note,) = arch.notes
    assert note.code == "M006"
    assert "LlamaForSequenceClassification" in note.message


class TestOverrides:
    def test_text_is_typed_by_the_key(self) -> None:
        changed = apply_overrides(
            LLAMA,
            {
                "num_hidden_layers": "40",
                "tie_word_embeddings": "true",
                "max_position_embeddings": "8k",
            },
        )
        assert changed["num_hidden_layers"] == 40
        assert changed["tie_word_embeddings"] is True
        assert changed["max_position_embeddings"] == 8192
        assert LLAMA["num_hidden_layers"] == 3

    def test_any_spelling_of_a_key_replaces_the_others(self) -> None:
        gpt2 = {"model_type": "gpt2", "n_layer": 2}
        for spelled in ("n_layer", "num_hidden_layers"):
            assert len(read_architecture(apply_overrides(gpt2, {spelled: "5"})).layers) == 5

    def test_more_layers_repeat_the_per_layer_lists(self) -> None:
        gemma = {
            "model_type": "gemma3_text", "num_hidden_layers": 2,
            "layer_types": ["sliding_attention", "full_attention"],
        }  # fmt: skip
        arch = read_architecture(apply_overrides(gemma, {"num_hidden_layers": "5"}))
        assert [layer.attention.window is None for layer in arch.layers] == [
            False, True, False, True, False,
        ]  # fmt: skip

    def test_more_layers_repeat_the_spans_of_gpt_neo(self) -> None:
        neo = apply_overrides({"model_type": "gpt_neo"}, {"num_hidden_layers": "3"})
        assert [x.attention.window for x in read_architecture(neo).layers] == [None, 256, None]

    def test_a_new_dtype_undoes_the_quantization(self) -> None:
        fp8 = {**LLAMA, "quantization_config": {"quant_method": "fp8"}}
        assert read_architecture(fp8).quantization is not None
        plain = read_architecture(apply_overrides(fp8, {"dtype": "bf16"}))
        assert plain.quantization is None
        assert plain.dtype == "bf16"

    def test_a_key_the_card_does_not_read_is_refused(self) -> None:
        with pytest.raises(UnknownNameError, match="num_layer_hidden") as caught:
            apply_overrides(LLAMA, {"num_layer_hidden": "3"})
        assert "num_hidden_layers" in (caught.value.hint or "")
        with pytest.raises(UnknownNameError):
            apply_overrides(LLAMA, {"num_experts": "8"})

    @pytest.mark.parametrize("text", ["", "x", "0", "-3", "1.5", "1e9", "true", "9" * 5000])
    def test_text_of_the_wrong_kind_is_refused(self, text: str) -> None:
        with pytest.raises(SpecError, match="hidden_size") as caught:
            apply_overrides(LLAMA, {"hidden_size": text})
        assert caught.value.hint

    def test_twice_the_layers_add_exactly_the_layers(self) -> None:
        one, two, three = (
            parameters(read_architecture(apply_overrides(LLAMA, {"num_hidden_layers": str(n)})))
            for n in (1, 2, 3)
        )
        assert three - two == two - one == 64 * (64 + 16 + 16 + 64) + 3 * 64 * 96 + 2 * 64


JAMBA = {"model_type": "jamba", "dtype": "bfloat16"}
MAMBA2 = {"model_type": "mamba2", "expand": 2, "num_heads": 8, "head_dim": 64, "hidden_size": 256}


class TestSizesThatContradictEachOther:
    """Each as its class has it, transformers 5.23.0: ``validate_architecture``, or a crash."""

    @pytest.mark.parametrize(
        ("config", "said"),
        [
            (
                {**JAMBA, "attn_layer_offset": 9, "attn_layer_period": 8},
                "attn_layer_offset 9 is no layer of a period: attn_layer_period 8",
            ),
            (
                {**JAMBA, "expert_layer_offset": 2, "expert_layer_period": 2},
                "expert_layer_offset 2 is no layer of a period: expert_layer_period 2",
            ),
            (
                {**MAMBA2, "hidden_size": 100, "num_heads": 7},
                "expand 2 · hidden_size 100 is 200, but num_heads 7 · head_dim 64 is 448",
            ),
            (
                {"model_type": "bamba", "mamba_n_heads": 96},
                "mamba_expand 2 · hidden_size 4096 is 8192, but",
            ),
            (
                {"model_type": "falcon_h1", "mamba_d_ssm": 1000, "mamba_n_heads": 8,
                 "mamba_d_head": 64},
                "mamba_d_ssm 1000, but mamba_n_heads 8 · mamba_d_head 64 is 512",
            ),
            (
                {"model_type": "zamba2", "n_mamba_heads": 7},
                "n_mamba_heads 7 does not divide mamba_expand 2 · hidden_size 2560 is 5120",
            ),
            (
                {"model_type": "deepseek_v3", "n_routed_experts": 255, "n_group": 8},
                "n_group 8 does not divide n_routed_experts 255",
            ),
            (
                {"model_type": "deepseek_v2", "n_routed_experts": 63, "n_group": 8,
                 "topk_method": "group_limited_greedy"},
                "n_group 8 does not divide n_routed_experts 63",
            ),
            (
                {"model_type": "glm4_moe", "n_routed_experts": 128, "n_group": 3},
                "n_group 3 does not divide n_routed_experts 128",
            ),
        ],
    )  # fmt: skip
    def test_they_are_refused_with_the_keys_of_both_sides(
        self, config: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(SpecError) as caught:
            read_architecture(config)
        assert said in caught.value.message
        assert caught.value.hint

    @pytest.mark.parametrize(
        "config",
        [
            MAMBA2,
            {**JAMBA, "attn_layer_offset": 7, "attn_layer_period": 8},
            {"model_type": "bamba"},
            {"model_type": "falcon_h1", "mamba_d_ssm": 512, "mamba_n_heads": 8, "mamba_d_head": 64},
            {"model_type": "deepseek_v3", "n_routed_experts": 256, "n_group": 8},
            {"model_type": "deepseek_v2", "n_routed_experts": 63, "n_group": 8,
             "topk_method": "greedy", "num_experts_per_tok": 6},
        ],
    )  # fmt: skip
    def test_those_that_fit_are_read_and_what_was_compared_alone_is_no_fact(
        self, config: dict[str, Any]
    ) -> None:
        arch = read_architecture(config)
        assert not {"n_group", "topk_method"} & {field.key for field in arch.provenance}

    @pytest.mark.parametrize(
        ("kind", "key"),
        [("mpt", "attn_config"), ("dbrx", "ffn_config"), ("kimi_linear", "linear_attn_config")],
    )
    @pytest.mark.parametrize("value", ["x", 3, ["a"], True])
    def test_a_config_inside_another_is_an_object(self, kind: str, key: str, value: object) -> None:
        with pytest.raises(SpecError, match=f"{key} is ") as caught:
            read_architecture({"model_type": kind, key: value})
        assert caught.value.hint == "write an object of its keys"


class TestAConfigNestedInALanguageModels:
    """No class reads it; remote code that nests its own kind is read by what is nested."""

    def test_what_it_hides_is_named(self) -> None:
        nested = {"model_type": "qwen3", "hidden_size": 10}
        arch = read_architecture({**LLAMA, "text_config": nested})
        assert arch.hidden == 10
        (said,) = [note.message for note in arch.notes if note.code == "M005"]
        assert said == (
            "model_type is llama, but text_config is a 'qwen3' and counts, and what stands beside"
            " it does not: hidden_size, num_hidden_layers, num_attention_heads,"
            " num_key_value_heads, intermediate_size, vocab_size"
        )

    def test_sizes_of_its_own_kind_that_differ_are_named(self) -> None:
        arch = read_architecture({**LLAMA, "text_config": {**LLAMA, "hidden_size": 128}})
        (said,) = [note.message for note in arch.notes if note.code == "M005"]
        assert said == "text_config counts, and what stands beside it does not: hidden_size"

    def test_the_same_said_twice_is_no_note(self) -> None:
        assert read_architecture({**LLAMA, "text_config": LLAMA}).notes == ()
