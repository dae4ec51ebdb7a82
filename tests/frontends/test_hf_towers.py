"""Models that see through a tower of their own: what each stores, calls and multiplies."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

import pytest
import sympy as sp

from mansard.core.errors import MansardError
from mansard.core.symbols import P, S, batch, prompt
from mansard.frontends.hf.load import load
from mansard.frontends.hf.lower.whole import model_parameters, model_tensors
from mansard.frontends.hf.resolve import read_architecture
from mansard.ir.cost import MATRIX
from mansard.ir.footprint import model_facts
from mansard.ir.ops import Scores
from mansard.ir.program import Call, Program, binding

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "hf_towers.json"
ROWS: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
H, WIDE, FF = 64, 128, 96
TEXT = {
    "hidden_size": WIDE, "num_hidden_layers": 1, "num_attention_heads": 4,
    "num_key_value_heads": 4, "intermediate_size": 64, "vocab_size": 100,
}  # fmt: skip
TOWER = {
    "hidden_size": H, "num_attention_heads": 4, "intermediate_size": FF, "num_hidden_layers": 2
}  # fmt: skip


def seeing(kind: str, text: str, tower: dict[str, Any] | None = None, **more: Any) -> Any:
    inner = {"model_type": text, **TEXT}
    return {"model_type": kind, "text_config": inner, "vision_config": {**TOWER, **(tower or {})},
            **more}  # fmt: skip


def seen(program: Program) -> tuple[Any, Any, Any]:
    """Patches of the tower, sequences it reads, and the prompt's length."""
    vision, prefill = program.schedule[:2]
    assert isinstance(vision, Call)
    assert isinstance(prefill, Call)
    return (
        vision.bind[S],
        vision.bind[next(s for s in vision.bind if s.name == "B")],
        prefill.bind[S],
    )


def features(config: Any, patches: int) -> int:
    """Matrix FLOP of what makes the features of one image."""
    graph = load(config).graph("vision").wanting(("image_embeds",))
    found = (n for (unit, *_), n in graph.cost.flops.items() if unit == MATRIX)
    return int(sp.Add(*found).xreplace(binding(1, patches, 0)))


@pytest.mark.parametrize("name", ROWS)
def test_every_tensor_is_the_one_transformers_5_23_builds(name: str) -> None:
    row = ROWS[name]
    arch = read_architecture(row["config"])
    expected = {(tensor, tuple(shape)): copies for tensor, shape, copies in row["tensors"]}
    assert {(t.name, t.shape): t.copies for t in model_tensors(arch)} == expected
    assert model_parameters(arch) == row["parameters"]
    assert not {note.code for note in arch.notes} & {"M001", "M006", "M007"}


class TestPixtral:
    def test_a_tower_and_mistrals_merger_multiply_what_the_library_counts(self) -> None:
        """2 gated layers, 16 by 24 patches, squares of 4 narrowed to 64, two linears of 128.

        transformers 5.23.0, torch.utils.flop_counter.
        """
        n, squares = 16 * 24, 96
        layer = 2 * n * (4 * H * H + 3 * H * FF) + 2 * (2 * H) * n * n
        ends = 2 * n * H * 3 * 14 * 14
        ends += 2 * squares * (4 * H * H + H * WIDE + WIDE * WIDE)
        config = seeing("mistral3", "mistral", {"model_type": "pixtral", "patch_size": 14})
        assert features(config, n) == 2 * layer + ends == 165_740_544

    @pytest.mark.parametrize(
        ("size", "patches"),
        [
            ("896", 64 * 64),
            ("1540", 110 * 110),
            ("225x336", 18 * 24),  # what is left of a square is padded
            ("2000x3000", 74 * 110),  # scaled down to 1026 by 1540
            ("1x9000", 2 * 110),
        ],
    )
    def test_an_image_is_scaled_down_to_the_longest_side_and_padded(
        self, size: str, patches: int
    ) -> None:
        """PixtralImageProcessor of transformers 5.23.0, patches of 28 pixels."""
        program = load("ministral-3-3b-2512", inputs={"images": "2", "image_size": size})
        assert seen(program) == (patches, 2 * batch, prompt + 2 * patches // 4)

    def test_ministral_3_is_as_large_as_its_published_weights(self) -> None:
        """3.4 billion of text and 0.4 of vision; its model_type is that of the text alone."""
        assert model_facts(load("ministral-3-3b-2512")).params == 3_849_090_048

    def test_llavas_adapter_takes_every_patch(self) -> None:
        config = seeing("llava", "mistral", {"model_type": "pixtral"}, vision_feature_layer=-1,
                        vision_feature_select_strategy="full")  # fmt: skip
        program = load(config, inputs={"images": "1", "image_size": "320x640"})
        assert seen(program) == (20 * 40, batch, prompt + 20 * 40)


class TestInternVl:
    def test_a_tower_and_its_adapter_multiply_what_the_library_counts(self) -> None:
        """2 layers, 32 by 32 patches and one token, squares of 4 through 256 to 128 twice.

        transformers 5.23.0, torch.utils.flop_counter.
        """
        n, squares = 1025, 256
        layer = 2 * n * (4 * H * H + 2 * H * FF) + 2 * (2 * H) * n * n
        ends = 2 * 1024 * H * 3 * 14 * 14 + 2 * squares * (4 * H * WIDE + WIDE * WIDE)
        config = seeing("internvl", "qwen2")
        assert features(config, n) == 2 * layer + ends == 757_711_360

    @pytest.mark.parametrize(
        ("size", "crops"),
        [("448", 1), ("700x900", 13), ("448x896", 3), ("1000", 10), ("4000x1000", 5),
         ("896x1344", 7)],
    )  # fmt: skip
    def test_an_image_is_cut_in_crops_shaped_like_it_beside_an_overview(
        self, size: str, crops: int
    ) -> None:
        """get_optimal_tiled_canvas of transformers 5.23.0, at most 12 crops."""
        program = load(seeing("internvl", "qwen2"), inputs={"images": "1", "image_size": size})
        assert seen(program) == (1025, crops * batch, prompt + crops * 256)

    def test_the_remote_code_stores_the_same_sizes_under_its_own_names(self) -> None:
        """InternViT-300M of InternVL 2 to 3.5: 304,012,288, and an adapter to 896."""
        vision = {
            "model_type": "intern_vit_6b", "hidden_size": 1024, "image_size": 448,
            "intermediate_size": 4096, "norm_type": "layer_norm", "num_attention_heads": 16,
            "num_hidden_layers": 24, "qk_normalization": False, "qkv_bias": True,
            "patch_size": 14, "num_channels": 3, "hidden_act": "gelu",
        }  # fmt: skip
        config = {"model_type": "internvl_chat", "architectures": ["InternVLChatModel"],
                  "vision_config": vision, "llm_config": {"model_type": "qwen2", **TEXT},
                  "downsample_ratio": 0.5, "force_image_size": 448, "select_layer": -1}  # fmt: skip
        own = model_tensors(read_architecture(config))

        def stored(module: str) -> int:
            return sum(prod(t.shape) * t.copies for t in own if t.name.startswith(module))

        tower, adapter = stored("vision_model."), stored("mlp1.")
        assert tower == 304_012_288
        assert adapter == 2 * 4096 + 4096 * WIDE + WIDE + WIDE * WIDE + WIDE
        assert "language_model.model.embed_tokens.weight" in {t.name for t in own}
        other = {**config, "force_image_size": 224}
        with pytest.raises(MansardError, match="force_image_size 224"):
            read_architecture(other)


class TestKimi:
    def test_a_tower_and_its_merger_multiply_what_the_library_counts(self) -> None:
        """2 layers, 16 by 24 patches, squares of 4 through 256 to 128.

        transformers 5.23.0, torch.utils.flop_counter.
        """
        n, squares = 16 * 24, 96
        layer = 2 * n * (4 * H * H + 2 * H * FF) + 2 * (2 * H) * n * n
        ends = 2 * n * H * 3 * 14 * 14 + 2 * squares * ((4 * H) ** 2 + 4 * H * WIDE)
        config = seeing("kimi_k25", "deepseek_v3", first_k_dense_replace=1)
        config["text_config"]["first_k_dense_replace"] = 1
        assert features(config, n) == 2 * layer + ends == 167_313_408

    @pytest.mark.parametrize(
        ("size", "patches"),
        [("896", 64 * 64), ("300x500", 22 * 36), ("4000", 130 * 130), ("10x9000", 2 * 512)],
    )
    def test_an_image_is_scaled_down_to_so_many_patches_and_padded(
        self, size: str, patches: int
    ) -> None:
        """navit_resize of transformers 5.23.0: 16,384 patches before padding, 512 of a side."""
        config = seeing("kimi_k25", "deepseek_v3")
        config["text_config"]["first_k_dense_replace"] = 1
        program = load(config, inputs={"images": "1", "image_size": size})
        assert seen(program) == (patches, batch, prompt + patches // 4)

    def test_the_published_spelling_of_a_tower_is_read_and_held_to_its_text(self) -> None:
        vision = {"vt_hidden_size": H, "vt_intermediate_size": FF, "vt_num_attention_heads": 4,
                  "vt_num_hidden_layers": 2, "init_pos_emb_height": 64, "init_pos_emb_width": 64,
                  "merge_kernel_size": [2, 2], "mm_hidden_size": H, "text_hidden_size": WIDE,
                  "patch_size": 14}  # fmt: skip
        text = {"model_type": "kimi_k2", **TEXT, "first_k_dense_replace": 1}
        config = {"model_type": "kimi_k25", "text_config": text, "vision_config": vision}
        own, theirs = read_architecture(config).vision, seeing("kimi_k25", "deepseek_v3")
        theirs["text_config"]["first_k_dense_replace"] = 1
        assert own == read_architecture(theirs).vision
        with pytest.raises(MansardError, match="text_hidden_size 7168"):
            read_architecture({**config, "vision_config": {**vision, "text_hidden_size": 7168}})

    def test_kimi_vl_stores_queries_keys_and_values_as_one(self) -> None:
        """MoonViT-SO-400M: 27 layers of 1152, 413 million, and the projector to 2048."""
        text = {"model_type": "deepseek_v3", **TEXT, "first_k_dense_replace": 1}
        arch = read_architecture({"model_type": "kimi_vl", "text_config": text,
                                  "vision_config": {"model_type": "moonvit"}})  # fmt: skip
        own = {t.name: (t.shape, t.copies) for t in model_tensors(arch)}
        assert own["vision_tower.encoder.blocks.*.wqkv.weight"] == ((3456, 1152), 27)
        assert own["vision_tower.patch_embed.pos_emb.weight"] == ((64, 64, 1152), 1)
        assert own["multi_modal_projector.linear_2.weight"] == ((WIDE, 4608), 1)
        assert "language_model.lm_head.weight" in own


class TestLlavaNext:
    """CLIP's tower of 336 pixels, and SigLIP's of 384, on the canvases their configs list."""

    @pytest.mark.parametrize(
        ("size", "crops", "tokens"),
        [
            ("336", 3, 24 * 25 + 576),  # of 336x672, what only pads it is left out
            ("672", 5, 48 * 49 + 576),
            ("480x640", 5, 36 * 49 + 576),
            ("2000x300", 4, 72 * 11 + 576),
        ],
    )
    def test_an_image_is_laid_on_the_canvas_that_keeps_most_of_it(
        self, size: str, crops: int, tokens: int
    ) -> None:
        """select_best_resolution and unpad_image of transformers 5.23.0; a token ends each line."""
        config = seeing("llava_next", "llama")
        del config["vision_config"]
        program = load(config, inputs={"images": "1", "image_size": size})
        assert seen(program) == (577, crops * batch, prompt + tokens)

    @pytest.mark.parametrize(
        ("size", "crops", "tokens"),
        [("384", 2, 27 * 28 + 729), ("768x1152", 7, 54 * 82 + 729), ("4000", 37, 81 * 82 + 729)],
    )
    def test_onevision_averages_a_large_canvas_down_to_nine_crops(
        self, size: str, crops: int, tokens: int
    ) -> None:
        """pack_image_features of transformers 5.23.0."""
        config = seeing("llava_onevision", "qwen2")
        del config["vision_config"]
        program = load(config, inputs={"images": "1", "image_size": size})
        assert seen(program) == (729, crops * batch, prompt + tokens)


class TestSmolVlm:
    @pytest.mark.parametrize(
        ("size", "crops"), [("512", 17), ("100x400", 5), ("1080x1920", 13), ("2000x10", 5)]
    )
    def test_every_image_is_enlarged_to_four_crops_of_its_longer_side(
        self, size: str, crops: int
    ) -> None:
        """64 tokens a crop of 512 pixels: squares of 16 patches; transformers 5.23.0."""
        config = seeing("smolvlm", "llama", {"image_size": 512, "patch_size": 16}, scale_factor=4)
        program = load(config, inputs={"images": "1", "image_size": size})
        assert seen(program) == (1024, crops * batch, prompt + 64 * crops)

    def test_a_tower_and_its_linear_multiply_what_the_library_counts(self) -> None:
        """2 layers, 16 patches, squares of 4 to 128: transformers 5.23.0's Idefics3."""
        layer = 2 * 16 * (4 * H * H + 2 * H * FF) + 2 * (2 * H) * 16 * 16
        ends = 2 * 16 * H * 3 * 14 * 14 + 2 * 4 * 4 * H * WIDE
        config = seeing("idefics3", "llama", {"image_size": 56, "patch_size": 14}, scale_factor=2)
        assert features(config, 16) == 2 * layer + ends == 3_432_448


class TestPaliGemma:
    def test_the_prompt_sees_all_of_itself(self) -> None:
        config = seeing("paligemma", "gemma", {"image_size": 56, "patch_size": 14})
        config["text_config"]["head_dim"] = 32
        program = load(config, inputs={"images": "1"})
        assert seen(program) == (16, batch, prompt + 16)
        (scores,) = {op.mask for op, _ in program.graph().walk() if isinstance(op, Scores)}
        pairs = sp.S(scores.pairs(S, P, P + S)).subs({S: 5, P: 3})
        assert (scores.kind, pairs) == ("full", 5 * 8)


class TestGlm:
    def test_a_tower_and_its_merger_multiply_what_the_library_counts(self) -> None:
        """2 gated layers of 128, 16 by 24 patches, squares of 4 to 128, a gated block of 96.

        transformers 5.23.0, torch.utils.flop_counter.
        """
        n, squares = 16 * 24, 96
        layer = 2 * n * (4 * H * H + 3 * H * WIDE) + 2 * (2 * H) * n * n
        ends = 2 * n * H * 3 * 2 * 14 * 14
        ends += 2 * squares * (4 * H * WIDE + WIDE * WIDE + 3 * WIDE * FF)
        tower = {"depth": 2, "num_heads": 4, "out_hidden_size": WIDE, "patch_size": 14}
        config = seeing("glm4v", "glm4v_text", {**tower, "image_size": 56})
        for key in ("num_hidden_layers", "num_attention_heads"):
            del config["vision_config"][key]
        assert features(config, n) == 2 * layer + ends == 212_729_856


M3: dict[str, Any] = {
    "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "head_dim": 16,
    "num_key_value_heads": 2, "dense_intermediate_size": 96, "vocab_size": 128,
    "rotary_dim": 8,
}  # fmt: skip
INDEX: dict[str, Any] = {
    "index_n_heads": 2, "index_head_dim": 16, "index_block_size": 8, "index_topk_blocks": 2,
    "layer_types": ["full_attention", "minimax_m3_sparse", "minimax_m3_sparse"],
    "mlp_layer_types": ["dense"] * 3,
}  # fmt: skip


class TestMiniMaxM3:
    def test_the_text_multiplies_what_the_library_counts_indexers_included(self) -> None:
        """3 layers, 40 tokens: transformers 5.23.0 computes every pair; 2 of them index blocks."""
        graph = load({"model_type": "minimax_m3_vl_text", **M3, **INDEX}).graph()
        found = (n for (unit, *_), n in graph.cost.flops.items() if unit == MATRIX)
        layer = 2 * 40 * (64 * 64 + 2 * 64 * 32 + 64 * 64 + 3 * 64 * 96) + 2 * 2 * 64 * 40 * 40
        index = 2 * 40 * 64 * (2 * 16 + 16) + 2 * 2 * 16 * 40 * 40
        total = int(sp.Add(*found).xreplace(binding(1, 40, 0, rows=40)))
        assert total == 3 * layer + 2 * index + 2 * 40 * 64 * 128 == 9_953_280

    def test_a_query_sees_the_blocks_its_indexer_picks(self) -> None:
        """16 blocks of 128 keys; the published spelling says the same."""
        own = read_architecture({"model_type": "minimax_m3_vl_text", **M3, **INDEX})
        sparse = {
            "sparse_num_index_heads": 2, "sparse_index_dim": 16, "sparse_block_size": 8,
            "sparse_topk_blocks": 2, "sparse_attention_freq": [0, 1, 1],
        }  # fmt: skip
        given = {"moe_layer_freq": [0, 0, 0], "hidden_act": "swigluoai"}
        published = {"model_type": "minimax_m3", **M3, **given,
                     "sparse_attention_config": sparse}  # fmt: skip
        assert read_architecture(published).layers == own.layers
        graph = load(published).graph()
        masks = [op.mask for op, _ in graph.walk() if isinstance(op, Scores)]
        assert [m.kind for m in masks] == ["causal", "causal", "budget"]
        assert masks[2].reach(sp.Integer(1), sp.Integer(1000)) == 16

    def test_the_adapter_multiplies_what_the_library_counts(self) -> None:
        """2 layers of 48, 16 by 24 patches, 80 and 64 wide, squares of 4: transformers 5.23.0."""
        h, n, squares = 48, 16 * 24, 96
        layer = 2 * n * (4 * h * h + 2 * h * 80) + 2 * (2 * h) * n * n
        ends = 2 * n * h * 3 * 2 * 14 * 14 + 2 * n * (h * 80 + 80 * 64)
        ends += 2 * squares * (4 * 64 * 80 + 80 * 64)
        config = {"model_type": "minimax_m3_vl", "projector_hidden_size": 80,
                  "text_config": {**M3, **INDEX},
                  "vision_config": {"hidden_size": h, "num_hidden_layers": 2,
                                    "num_attention_heads": 4, "intermediate_size": 80}}  # fmt: skip
        assert features(config, n) == 2 * layer + ends == 137_723_904


class TestMiMo:
    def test_published_keys_of_mimo_v2_are_those_of_its_class(self) -> None:
        """Kinds of layers are 0 and 1, and heads of a window stand beside the others."""
        sizes = {"num_hidden_layers": 6, "num_key_value_heads": 4, "head_dim": 192}
        own = read_architecture({"model_type": "mimo_v2_flash", **sizes})
        published = {
            "model_type": "mimo_v2_flash", **sizes, "hybrid_layer_pattern": [0, 1, 1, 1, 1, 0],
            "moe_layer_freq": [0, 1, 1, 1, 1, 1], "swa_num_key_value_heads": 8,
            "swa_num_attention_heads": 64, "swa_head_dim": 192, "swa_v_head_dim": 128,
        }  # fmt: skip
        arch = read_architecture(published)
        assert arch.layers == own.layers
        assert "M001" not in {note.code for note in arch.notes}
        with pytest.raises(MansardError, match="swa_head_dim 64"):
            read_architecture({**published, "swa_head_dim": 64})

    def test_mimo_7b_is_qwen_2_beside_a_layer_that_is_not_served(self) -> None:
        config = {
            "model_type": "mimo", "num_hidden_layers": 36, "hidden_size": 4096, "head_dim": 128,
            "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 11008,
            "vocab_size": 151680, "attention_bias": True, "tie_word_embeddings": False,
            "num_nextn_predict_layers": 1,
        }  # fmt: skip
        arch = read_architecture(config)
        layer = 4096 * (4096 + 2 * 1024) + 4096 + 2 * 1024 + 4096**2 + 3 * 4096 * 11008 + 2 * 4096
        assert model_parameters(arch) == 36 * layer + 2 * 151680 * 4096 + 4096
        assert arch.mtp_layers == 1


class TestBadInput:
    @pytest.mark.parametrize(
        ("config", "said"),
        [
            (
                seeing("internvl", "qwen2", {"image_size": [448, 336]}),
                r"image_size is \[448, 336\]",
            ),
            (seeing("internvl", "qwen2", {"use_mean_pooling": False}), "use_mean_pooling is False"),
            (seeing("internvl", "qwen2", downsample_ratio=0), "divided by 0"),
            (seeing("llava_next", "llama", image_grid_pinpoints=[[336, 500]]), r"\[336, 500\]"),
            (seeing("paligemma", "gemma", projection_dim=99), "projection_dim 99"),
            (seeing("mistral3", "mistral", spatial_merge_size=0), "spatial_merge_size is 0"),
            (seeing("mistral3", "mistral", vision_feature_layer=-9), "features of layer -9"),
            (seeing("mistral3", "mistral", vision_feature_layer=[-1, -2]), "vision_feature_layer"),
        ],
    )
    def test_sizes_no_tower_can_have_are_refused(self, config: Any, said: str) -> None:
        with pytest.raises(MansardError, match=said) as caught:
            load(config)
        assert caught.value.hint

    @pytest.mark.parametrize("kind", ["deepseek_v3", "glm4_moe", "kimi_k2", "nemotron_h"])
    def test_more_groups_than_there_are_cannot_be_chosen(self, kind: str) -> None:
        config = {"model_type": kind, "n_routed_experts": 256, "n_group": 2, "topk_group": 3}
        with pytest.raises(MansardError, match="topk_group 3 is more than n_group 2") as caught:
            read_architecture(config)
        assert caught.value.hint == "make the first 1 to 2"
