"""Cards: which one a config gets, inheritance, schedules, quantization blocks."""

from __future__ import annotations

import tomllib

import pytest

from mansard.core.errors import SpecError, UnknownNameError
from mansard.frontends.hf.architecture import Architecture
from mansard.frontends.hf.card_file import builtin_cards, card_for, parse_cards
from mansard.frontends.hf.card_text import Lazy, own_text, tables
from mansard.frontends.hf.feed_forward import Dense, Moe
from mansard.frontends.hf.quantization import Quantization, Scheme
from mansard.frontends.hf.quantization_methods import read_quantization
from mansard.frontends.hf.resolve import read_architecture
from mansard.frontends.hf.schedule import by_rule
from mansard.frontends.hf.spans import expand_spans


def windows(arch: Architecture) -> list[int | None]:
    return [layer.attention.window for layer in arch.layers]


def test_an_unknown_model_type_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="llamma") as caught:
        card_for({"model_type": "llamma"})
    assert "'llama'" in (caught.value.hint or "")


def test_an_unknown_model_type_is_never_read_through_its_architecture() -> None:
    with pytest.raises(UnknownNameError):
        card_for({"model_type": "my_own", "architectures": ["LlamaForCausalLM"]})


def test_without_a_model_type_the_first_architecture_decides() -> None:
    assert card_for({"architectures": ["Qwen2ForCausalLM"]}).model_type == "qwen2"
    with pytest.raises(UnknownNameError):
        card_for({"architectures": ["Qwen9ForCausalLM"]})


@pytest.mark.parametrize(
    "config", [{}, {"architectures": []}, {"model_type": 3}, {"architectures": 1}]
)
def test_a_config_that_names_no_family_is_refused(config: dict[str, object]) -> None:
    with pytest.raises(SpecError) as caught:
        card_for(config)
    assert caught.value.hint


def test_every_card_resolves_its_own_class_defaults() -> None:
    for name, card in builtin_cards().items():
        if card.part_of:
            continue  # read with the model it is a part of
        given = {"num_experts_per_tok": 6} if name == "deepseek_v2" else {}  # its class has none
        kind = card.class_of or name
        named = {"model_type": kind, "architectures": list(card.architectures)}
        assert read_architecture({**named, **given}).family == kind


def test_a_card_inherits_and_overrides_part_by_part() -> None:
    cards = parse_cards(
        """
        [card.parent]
        architectures = ["A"]
        norm = "rms"
        topology = "pre"
        ffn = { gated = true, up_bias = "mlp_bias" }
        attention = { local = { list = "layer_types", rule = "from", start = 3 } }
        [card.child]
        base = "parent"
        names = "parent"
        ffn = { gated = false }
        attention = { local = { rule = "always" } }
        [names.parent]
        layer = "h.*"
        embed = "wte"
        q_proj = "q"
        """,
        "test",
    )
    child = cards["child"]
    assert (child.ffn.gated, child.ffn.up_bias, child.norm) == (False, "mlp_bias", "rms")
    assert child.attention.local.list is None  # a schedule with its own rule replaces the whole
    assert (child.names.path("q_proj"), child.names.path("embed")) == ("h.*.q", "wte")


@pytest.mark.parametrize(
    "text",
    [
        "[card.a",
        '[card.a]\nbase = "b"',
        '[card.a]\nbase = "a"',
        '[card.a]\nbase = "b"\n[card.b]\nbase = "a"',
        '[card.a]\nnorms = "rms"\n[names.a]\nlayer = "h"',
        '[card.a]\nnames = "none"',
        '[card.a]\nffn = { gate = true }\n[names.a]\nlayer = "h"',
        '[card.a]\nattention = { local = { rule = "odd" } }\n[names.a]\nlayer = "h"',
        '[card.a]\nnorm = "rms"\n[names.a]\nlayer = "h"',
    ],
)
def test_a_wrong_card_file_is_refused(text: str) -> None:
    with pytest.raises((SpecError, UnknownNameError)):
        parse_cards(text, "cards")


def test_a_card_is_only_used_for_what_it_is_right_for() -> None:
    with pytest.raises(SpecError, match="rmsnorm is False"):
        read_architecture({"model_type": "chatglm", "rmsnorm": False})
    with pytest.raises(SpecError, match="add_cross_attention is True"):
        read_architecture({"model_type": "gpt2", "add_cross_attention": True})


class TestSchedules:
    def test_rules_pick_the_layers_they_say(self) -> None:
        assert by_rule("never", 2) == (False, False)
        assert by_rule("every", 4, step=2, skip=frozenset({3})) == (False, True, False, False)
        assert by_rule("except_every", 4, step=2, before=2) == (True, False, False, False)

    def test_gemma_2_alternates_and_gemma_3_is_global_every_sixth(self) -> None:
        two = read_architecture(
            {"model_type": "gemma2", "num_hidden_layers": 4, "sliding_window": 8}
        )
        assert windows(two) == [8, None, 8, None]
        three = read_architecture({"model_type": "gemma3_text", "num_hidden_layers": 7})
        assert windows(three) == [4096] * 5 + [None, 4096]
        stated = {"model_type": "gemma3_text", "num_hidden_layers": 4, "sliding_window_pattern": 2}
        assert windows(read_architecture(stated)) == [4096, None, 4096, None]

    def test_qwen_2_windows_only_the_upper_layers_and_only_when_asked(self) -> None:
        config = {"model_type": "qwen2", "num_hidden_layers": 4, "max_window_layers": 3}
        assert windows(read_architecture(config)) == [None] * 4
        on = {**config, "use_sliding_window": True}
        assert windows(read_architecture(on)) == [None, None, None, 4096]
        moe = {**on, "model_type": "qwen2_moe"}
        assert windows(read_architecture(moe)) == [4096, None, 4096, None]

    def test_a_per_layer_list_wins_and_must_fit(self) -> None:
        kinds = ["full_attention", "sliding_attention"]
        config = {"model_type": "gemma2", "num_hidden_layers": 2, "layer_types": kinds}
        assert windows(read_architecture(config)) == [None, 4096]
        with pytest.raises(SpecError, match="lists 2 layers, but the model has 3"):
            read_architecture({**config, "num_hidden_layers": 3})

    def test_a_layer_kind_without_a_block_is_refused(self) -> None:
        kinds = ["full_attention", "linear_attention"]
        with pytest.raises(SpecError, match="linear_attention"):
            read_architecture(
                {"model_type": "gemma2", "num_hidden_layers": 2, "layer_types": kinds}
            )

    def test_sparse_layers_follow_step_and_list(self) -> None:
        config = {
            "model_type": "qwen3_moe", "num_hidden_layers": 6, "decoder_sparse_step": 2,
            "mlp_only_layers": [3],
        }  # fmt: skip
        kinds = [type(layer.ffn) for layer in read_architecture(config).layers]
        assert kinds == [Dense, Moe, Dense, Dense, Dense, Moe]
        with pytest.raises(SpecError, match="mlp_only_layers holds 'x'"):
            read_architecture({**config, "mlp_only_layers": ["x"]})

    def test_smollm_3_turns_off_rotation_in_every_fourth_layer(self) -> None:
        arch = read_architecture({"model_type": "smollm3", "num_hidden_layers": 5})
        assert [layer.attention.rotary_dim for layer in arch.layers] == [128, 128, 128, 0, 128]

    def test_spans_expand_and_bad_spans_are_refused(self) -> None:
        assert expand_spans("f", "k", [[["global", "local"], 2]]) == ("global", "local") * 2
        for bad in (3, [3], [[["global"], "x"]], [[["global"], 10**9]], [[[1], 2]]):
            with pytest.raises(SpecError):
                expand_spans("f", "k", bad)


def test_equal_layers_are_equal_by_value_and_one_object() -> None:
    layers = read_architecture({"model_type": "gemma2", "num_hidden_layers": 4}).layers
    assert layers[0] == layers[2] != layers[1]
    assert layers[0] is layers[2]


def test_partial_rotation_is_read_from_each_place_it_is_written() -> None:
    def rotary(config: dict[str, object]) -> int:
        return read_architecture(config).layers[0].attention.rotary_dim

    assert rotary({"model_type": "phi"}) == 32  # class default 0.5 of 64
    assert rotary({"model_type": "phi", "partial_rotary_factor": 0.25}) == 16
    assert rotary({"model_type": "phi", "rope_parameters": {"partial_rotary_factor": 1.0}}) == 64
    assert rotary({"model_type": "gptj"}) == 64
    assert rotary({"model_type": "chatglm"}) == 64


def test_the_13b_baichuan_has_alibi_and_the_7b_rotary_positions() -> None:
    small = read_architecture({"model_type": "baichuan"})
    large = read_architecture(
        {"model_type": "baichuan", "hidden_size": 5120, "num_attention_heads": 40}
    )
    assert (small.positions.kind, large.positions.kind) == ("rope", "alibi")
    assert large.layers[0].attention.alibi


class TestQuantization:
    def test_fp8_gives_its_blocks_and_what_it_leaves(self) -> None:
        block = {
            "quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128],
            "activation_scheme": "dynamic",
            "modules_to_not_convert": ["lm_head", "model.layers.0.mlp.gate"],
        }  # fmt: skip
        found, notes = read_quantization(block, "f")
        skip = ("lm_head", "model.layers.0.mlp.gate")
        assert found is not None
        assert found.schemes == (Scheme("fp8", 128 * 128, 32, 0, "fp8"),)
        assert found.skip == skip
        assert notes == ()
        assert found.skips("model.layers.0.mlp.gate")
        assert found.skips("lm_head")
        assert not found.skips("model.layers.0.mlp.gate_proj")
        assert not found.skips("model.layers.1.mlp.gate")

    def test_mxfp4_has_blocks_of_32(self) -> None:
        found, _ = read_quantization({"quant_method": "mxfp4"}, "f")
        assert found is not None
        assert found.schemes == (Scheme("mxfp4"),)

    def test_another_method_is_a_warning_that_names_it(self) -> None:
        found, notes = read_quantization({"quant_method": "hqq", "nbits": 4}, "f")
        assert found == Quantization("hqq")
        assert notes[0].code == "M003"
        assert "'hqq'" in notes[0].message

    @pytest.mark.parametrize(
        "block",
        [
            3, {}, {"quant_method": 3}, {"quant_method": "fp8", "weight_block_size": [0, 128]},
            {"quant_method": "fp8", "weight_block_size": "128"},
            {"quant_method": "fp8", "fmt": "e9"}, {"quant_method": "fp8", "ignored_layers": [3]},
            {"quant_method": "fp8", "ignore": "lm_head"}, {"quant_method": "awq", "bits": 7},
            {"quant_method": "gptq", "group_size": "128"},
            {"quant_method": "compressed-tensors", "config_groups": {"g": ["Linear"]}},
            {"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {
                "num_bits": 8, "type": "float", "strategy": "block"}}}},
        ],
    )  # fmt: skip
    def test_a_malformed_block_is_refused(self, block: object) -> None:
        with pytest.raises(SpecError) as caught:
            read_quantization(block, "f")
        assert caught.value.hint


def test_a_class_of_two_families_is_the_ones_that_names_it_first() -> None:
    for name, family in (("LlamaForCausalLM", "llama"), ("GPT2LMHeadModel", "gpt2")):
        assert card_for({"architectures": [name]}).model_type == family


def test_a_table_read_alone_is_the_one_of_the_whole_text() -> None:
    whole = tomllib.loads(own_text())
    alone = tables(own_text(), "cards")
    assert {kind: dict(found) for kind, found in alone.items()} == whole


def test_a_table_is_read_when_it_is_asked_for_and_once() -> None:
    read: list[str] = []

    def make(name: str) -> str:
        read.append(name)
        return name * 2

    found = Lazy({"a": 1, "b": 2}, make)
    assert (found["b"], found["b"], "a" in found, list(found), len(found)) == (
        "bb", "bb", True, ["a", "b"], 2,
    )  # fmt: skip
    assert read == ["b"]
    with pytest.raises(KeyError):
        found["c"]


def test_no_class_has_two_cards_of_one_model_type() -> None:
    for card in builtin_cards().values():
        if card.class_of:
            assert not set(card.architectures) & set(builtin_cards()[card.class_of].architectures)
