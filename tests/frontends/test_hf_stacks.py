"""Models of several stacks: what each stores, calls, and costs, against counts made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sympy as sp

from mansard.core.errors import MansardError, SpecError
from mansard.core.symbols import B, M, P, S, T, batch, output, prompt
from mansard.frontends.hf.load import load
from mansard.frontends.hf.lower.images import image_of
from mansard.frontends.hf.lower.whole import model_parameters, model_tensors
from mansard.frontends.hf.resolve import read_architecture
from mansard.frontends.hf.towers import Patches
from mansard.ir.cost import MATRIX
from mansard.ir.footprint import model_facts, storages
from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.ops import RelativeBias, Scores, Store
from mansard.ir.program import Call, Loop, Program, binding, calls

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "hf_stacks.json"
ROWS: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))


def matrix_flops(graph: Graph, new: int, past: int = 0, memory: int = 0) -> int:
    bind = {**binding(1, new, past), M: memory}
    found = (n for (unit, *_), n in graph.cost.flops.items() if unit == MATRIX)
    return int(sp.Add(*found).xreplace(bind))


def matrix_of(op: Op) -> int:
    found = (n for (unit, *_), n in op.cost().flops.items() if unit == MATRIX)
    return int(sp.Add(*found).xreplace(binding(1, 256, 0)))


def called(program: Program) -> list[tuple[str, str]]:
    return [(call.graph, call.phase) for call in calls(program.schedule)]


def notes(program: Program, code: str) -> list[str]:
    return [note.message for note in program.origin.notes if note.code == code]


@pytest.mark.parametrize("name", ROWS)
def test_every_tensor_is_the_one_transformers_5_23_builds(name: str) -> None:
    row = ROWS[name]
    arch = read_architecture(row["config"])
    expected: dict[tuple[str, tuple[int, ...]], int] = {}
    for tensor, shape, copies in row["tensors"]:
        expected[tensor, tuple(shape)] = expected.get((tensor, tuple(shape)), 0) + copies
    assert {(t.name, t.shape): t.copies for t in model_tensors(arch)} == expected
    assert model_parameters(arch) == row["parameters"]


class TestEncoders:
    def test_a_text_encoder_is_called_once_and_keeps_no_cache(self) -> None:
        program = load("bert-base-uncased")
        assert called(program) == [("target", "encode")]
        assert not {s.value.role for s in storages(program.graph()).values()} - {"weight"}
        assert program.origin.lengths == (prompt,)

    def test_bert_multiplies_what_a_hand_count_says(self) -> None:
        """12 layers, h 768, 4h, 12 heads of 64, a pooler over one row [Devlin 2018, §3]."""
        h, n = 768, 384
        layer = 2 * n * (4 * h * h + 2 * h * 4 * h) + 2 * (2 * h) * n * n
        assert matrix_flops(load("bert-base-uncased").graph(), n) == 12 * layer + 2 * h * h

    def test_albert_stores_one_layer_and_runs_twelve(self) -> None:
        graph = load("albert-base-v2").graph()
        h, n = 768, 384
        layer = 2 * n * (4 * h * h + 2 * h * 4 * h) + 2 * (2 * h) * n * n
        ends = 2 * n * 128 * h + 2 * h * h
        assert matrix_flops(graph, n) == 12 * layer + ends
        stored = {s.value.storage: s.copies for s in storages(graph).values()}
        queries = "encoder.albert_layer_groups.0.albert_layers.0.attention.query.weight"
        assert stored[queries] == 1

    def test_modernberts_local_layers_see_64_keys_on_each_side(self) -> None:
        graph = load("modernbert-base").graph()
        masks = [op.mask for op, _ in graph.walk() if isinstance(op, Scores)]
        assert [m.kind for m in masks[:4]] == ["full", "band", "band", "full"]
        pairs = sp.S(masks[1].skipping().pairs(S, P, S)).xreplace({S: sp.Integer(300)})
        assert pairs == sum(abs(i - j) <= 64 for i in range(300) for j in range(300))

    def test_modernberts_first_layer_has_no_norm_of_its_own(self) -> None:
        copies = {
            t.name: t.copies for t in model_tensors(read_architecture({"model_type": "modernbert"}))
        }
        assert (copies["layers.*.attn_norm.weight"], copies["layers.*.mlp_norm.weight"]) == (21, 22)


class TestEncoderDecoders:
    def test_whisper_encodes_then_prefills_its_start_tokens_then_decodes(self) -> None:
        program = load("whisper-large-v3")
        assert called(program) == [
            ("encoder", "encode"), ("target", "prefill"), ("target", "decode")
        ]  # fmt: skip
        encode, prefill, loop = program.schedule
        assert isinstance(encode, Call)
        assert isinstance(prefill, Call)
        assert isinstance(loop, Loop)
        assert (encode.bind[S], prefill.bind[S], prefill.bind[M]) == (1500, 4, 1500)
        assert loop.times == output - 1
        assert model_facts(program).params == 1_543_490_560

    def test_the_encoder_stores_once_what_every_step_of_the_decoder_reads(self) -> None:
        """32 layers, K and V of 20 heads of 64, 1500 frames."""
        program = load("whisper-large-v3")
        encoder, target = program.graph("encoder"), program.graph()
        written = [op for op, _ in encoder.walk() if isinstance(op, Store)]
        assert len(written) == 2
        size = 2 * 32 * 1500 * 1280
        kept = [s for s in storages(target).values() if "cross" in s.value.storage]
        assert sum(int(s.numel.xreplace({B: sp.S.One, M: sp.Integer(1500)})) for s in kept) == size
        assert {s.value.storage for s in kept} == {op.cache.storage for op in written}
        reads: sp.Expr = sum(
            (n for v, n in target.cost.reads.items() if "cross" in v.storage), sp.S.Zero
        )
        assert reads.xreplace({**binding(1, 1, 9), M: sp.Integer(1500)}) == 2 * size
        grows = model_facts(program).kv_bytes_per_token
        assert grows == 2 * 2 * 32 * 1280

    def test_whispers_encoder_multiplies_what_a_hand_count_says(self) -> None:
        """Two convolutions of 3 taps, 32 layers of 1280, and K and V for 32 decoder layers."""
        h, n, mel = 1280, 1500, 128
        stem = 2 * (2 * n) * h * mel * 3 + 2 * n * h * h * 3
        layer = 2 * n * (4 * h * h + 2 * h * 4 * h) + 2 * (2 * h) * n * n
        memory = 32 * 2 * n * 2 * h * h
        graph = load("whisper-large-v3").graph("encoder")
        assert matrix_flops(graph, n) == stem + 32 * layer + memory

    def test_t5_has_one_table_of_biases_a_stack_and_ties_or_not_as_the_config_says(self) -> None:
        for name, tied in (("t5-small", True), ("flan-t5-xl", False)):
            program = load(name)
            for graph in program.graphs.values():
                tables = {op.w.storage for op, _ in graph.walk() if isinstance(op, RelativeBias)}
                assert len(tables) == 1
            assert ("lm_head.weight" in storages(program.graph())) is not tied

    def test_a_config_of_the_bare_class_names_its_tensors_without_a_prefix(self) -> None:
        arch = read_architecture({"model_type": "bart", "architectures": ["BartModel"]})
        assert {t.name.split(".")[0] for t in model_tensors(arch)} == {
            "shared",
            "encoder",
            "decoder",
        }


class TestImages:
    @pytest.mark.parametrize(
        ("name", "size", "patches", "tokens"),
        [
            ("llava-1.5-7b", "", 577, 576),  # a class token, left out
            ("gemma-3-4b-it", "", 4096, 256),
            ("qwen2.5-vl-7b-instruct", "", 64 * 64, 32 * 32),  # 896 pixels
            ("qwen2.5-vl-7b-instruct", "720x1280", 52 * 92, 26 * 46),  # nearest multiples of 28
            ("qwen3-vl-8b-instruct", "1024", 64 * 64, 32 * 32),
        ],
    )
    def test_an_image_is_so_many_patches_and_tokens(
        self, name: str, size: str, patches: int, tokens: int
    ) -> None:
        given = {"images": "3", **({"image_size": size} if size else {})}
        program = load(name, inputs=given)
        made = {call.graph: call for call in calls(program.schedule) if call.phase != "decode"}
        vision, prefill = made["vision"], made["target"]
        assert (vision.bind[S], vision.bind[B]) == (patches, 3 * batch)
        assert prefill.bind[S] == prompt + 3 * tokens
        assert called(program)[-1] == ("target", "decode")
        assert program.origin.lengths == (prompt + 3 * tokens + output,)

    def test_without_images_the_vision_graph_is_not_called_and_a_note_says_so(self) -> None:
        program = load("llava-1.5-7b")
        assert called(program) == [("target", "prefill"), ("target", "decode")]
        (said,) = notes(program, "M008")
        assert said.startswith("no images")
        assert "576 in the prompt" in said
        assert model_facts(program).params == 7_063_427_072

    def test_llava_reads_the_last_layer_but_one_so_the_last_is_not_run(self) -> None:
        h, n = 1024, 577
        layer = 2 * n * (4 * h * h + 2 * h * 4 * h) + 2 * (2 * h) * n * n
        ends = 2 * 576 * h * 3 * 14 * 14 + 2 * 576 * (h * 4096 + 4096 * 4096)
        graph = load("llava-1.5-7b").graph("vision").wanting(("image_embeds",))
        assert matrix_flops(graph, n) == 23 * layer + ends

    def test_qwens_windows_are_blocks_of_64_patches_in_28_of_32_layers(self) -> None:
        graph = load("qwen2.5-vl-7b-instruct").graph("vision")
        found = [(op.mask.kind, n) for op, n in graph.walk() if isinstance(op, Scores)]
        assert sum(n for kind, n in found if kind == "blocks") == 28
        assert sum(n for kind, n in found if kind == "full") == 4
        masks = [op.mask for op, _ in graph.walk() if isinstance(op, Scores)]
        block = next(mask for mask in masks if mask.size is not None)
        assert block.skipping().pairs(S, P, S) == 64 * S

    def test_llama_4s_tower_multiplies_what_the_library_counts(self) -> None:
        """34 layers of 1408, 577 tokens; squares of 4 patches through 4096 twice, to 5120.

        transformers 5.23.0 on meta tensors, torch.utils.flop_counter.
        """
        h, n, squares = 1408, 577, 144
        layer = 2 * n * (4 * h * h + 2 * h * 5632) + 2 * (2 * h) * n * n
        ends = 2 * 576 * h * 3 * 14 * 14 + 2 * squares * (4 * h * 4096 + 4096**2 + 4096 * 5120)
        graph = load("llama-4-scout-17b-16e-instruct").graph("vision")
        assert matrix_flops(graph, n) == 34 * layer + ends == 1_015_628_557_312

    @pytest.mark.parametrize(
        ("size", "crops"),
        [("336", 1), ("200x300", 1), ("336x672", 3), ("1344", 17), ("2000x3000", 16)],
    )
    def test_llama_4_reads_a_large_image_in_crops_beside_an_overview(
        self, size: str, crops: int
    ) -> None:
        name = "llama-4-scout-17b-16e-instruct"
        program = load(name, inputs={"images": "2", "image_size": size})
        vision, prefill = program.schedule[:2]
        assert isinstance(vision, Call)
        assert isinstance(prefill, Call)
        assert (vision.bind[B], vision.bind[S]) == (2 * crops * batch, 577)
        assert prefill.bind[S] == prompt + 2 * crops * 144
        assert model_facts(program).params == 108_641_793_536

    def test_gemma_4s_tower_multiplies_what_the_library_counts(self) -> None:
        """27 gated layers of 1152, 48 by 48 patches, their means by 9 projected to 2816.

        transformers 5.23.0 on meta tensors, torch.utils.flop_counter; it writes the means as one
        more product, which is not counted here.
        """
        h, n = 1152, 2304
        layer = 2 * n * (4 * h * h + 3 * h * 4304) + 2 * (2 * h) * n * n
        ends = 2 * n * h * 3 * 16 * 16 + 2 * (n // 9) * h * 2816
        graph = load("gemma-4-26b-a4b").graph("vision")
        assert matrix_flops(graph, n) == 27 * layer + ends == 3_177_282_797_568

    @pytest.mark.parametrize(
        ("size", "patches"),
        [("", 48 * 48), ("64", 48 * 48), ("720x1280", 36 * 66), ("1x5000", 3 * 840)],
    )
    def test_gemma_4_scales_an_image_to_280_squares_of_nine_patches(
        self, size: str, patches: int
    ) -> None:
        given = {"images": "1", **({"image_size": size} if size else {})}
        vision, prefill = load("gemma-4-26b-a4b", inputs=given).schedule[:2]
        assert isinstance(vision, Call)
        assert isinstance(prefill, Call)
        assert vision.bind[S] == patches <= 280 * 9
        assert prefill.bind[S] == prompt + patches // 9

    def test_gemma_3ns_eyes_are_a_convolutional_network_of_timm(self) -> None:
        """timm 1.0.27 on meta tensors, torch.utils.flop_counter, and the projection of 256 rows."""
        program = load("gemma-3n-e4b", inputs={"images": "2"})
        vision, prefill = program.schedule[:2]
        assert isinstance(vision, Call)
        assert isinstance(prefill, Call)
        assert (vision.bind[B], prefill.bind[S]) == (2 * batch, prompt + 2 * 256)
        timm = 775_676_657_664 + 95_806_291_968  # convolutions, and products of attention
        assert matrix_flops(program.graph("vision"), 256) == timm + 2 * 256 * 2048 * 2048
        queries = {op.queries for op, _ in program.graph("vision").walk() if isinstance(op, Scores)}
        assert queries == {48 * 48, 24 * 24}

    def test_mobilenets_first_blocks_multiply_what_a_hand_count_says(self) -> None:
        """3 to 64 channels, 64 to 256 to 128 by 3x3 taps: places of 384, then 192 a side."""
        first, *edges = (
            matrix_of(op)
            for op, _ in load("gemma-3n-e4b").graph("vision").walk()
            if op.name in ("conv_stem.conv", "stages.0.conv_exp")
        )
        assert first == 2 * 384**2 * 64 * 3 * 9
        assert edges == [2 * 192**2 * 256 * 64 * 9, 2 * 192**2 * 512 * 128 * 9]

    def test_gemma_3n_hears_a_window_in_blocks_of_twelve_tokens(self) -> None:
        """transformers 5.23.0 on meta tensors: 3000 frames, 750 tokens, 188 in the prompt.

        12 layers: 63 blocks of 12 queries meet 24 keys and 13 distances, in 8 heads of 192.
        """
        program = load("gemma-3n-e4b", inputs={"sounds": "3"})
        audio, prefill = program.schedule[:2]
        assert isinstance(audio, Call)
        assert isinstance(prefill, Call)
        assert (audio.graph, audio.bind[B], audio.bind[S]) == ("audio", 3 * batch, 750)
        assert prefill.bind[S] == prompt + 3 * 188
        d, n, rows = 1536, 750, 63 * 12
        attention = 8 * 2 * 192 * rows * (24 + 24 + 13) + 2 * 13 * d * d
        layer = attention + 2 * n * (16 * d * d + 4 * d * d + 3 * d * d + 5 * d)
        stem = 2 * 9 * (2 * n * 64 * 128 + n * 32 * 32 * 128) + 2 * n * 1024 * d
        whole = 12 * layer + stem + 2 * 188 * d * 2048
        assert matrix_flops(program.graph("audio"), n) == whole == 984_855_650_304

    def test_without_sounds_the_audio_graph_is_not_called_and_a_note_says_so(self) -> None:
        program = load("gemma-3n-e4b", inputs={"images": "1", "sounds": "0"})
        assert "audio" not in {name for name, _ in called(program)}
        assert "188 in the prompt" in notes(program, "M101")[0]

    def test_a_convolutional_tower_of_another_name_is_refused_with_those_known(self) -> None:
        config = {**ROWS["gemma3n"]["config"], "vision_config": {"architecture": "resnet50"}}
        with pytest.raises(MansardError, match="resnet50") as caught:
            load(config)
        assert "mobilenetv5_300m_enc" in (caught.value.hint or "")

    def test_phi_3_5_vision_is_as_large_as_its_published_weights(self) -> None:
        """4,146,621,440: CLIP-L/14-336, two linears of 4096 and 3072, two separators."""
        tower, h = 303_507_456, 3072  # CLIPVisionModel of transformers 5.23.0, ViT-L/14-336
        extra = 4096 * h + h + h * h + h + 2 * 4096
        program = load("phi-3.5-vision")
        assert model_facts(program).params == 3_821_079_552 + tower + extra == 4_146_621_440
        assert not notes(program, "M007")

    @pytest.mark.parametrize(
        ("given", "crops", "tokens"),
        [
            ({}, 17, 2509),  # 4 by 4 crops of 144 tokens, 5 lines of 12, an overview
            ({"crops": "4"}, 5, 757),
            ({"image_size": "336x672"}, 16, 2353),  # 3 by 5
            ({"image_size": "2000x1000"}, 16, 2377),  # 5 by 3
        ],
    )
    def test_phi_3_5_vision_enlarges_every_image_to_its_crops(
        self, given: dict[str, str], crops: int, tokens: int
    ) -> None:
        """2,509 and 757 tokens of a square image are those its users meet."""
        vision, prefill = load("phi-3.5-vision", inputs={"images": "1", **given}).schedule[:2]
        assert isinstance(vision, Call)
        assert isinstance(prefill, Call)
        assert (vision.bind[B], vision.bind[S]) == (crops * batch, 577)
        assert prefill.bind[S] == prompt + tokens

    def test_phi_3_5_visions_tower_multiplies_what_a_hand_count_says(self) -> None:
        """23 of 24 layers of 1024; squares of 4 patches, 144 of them, through 3072 twice."""
        h, n, wide = 1024, 577, 3072
        layer = 2 * n * (4 * h * h + 2 * h * 4 * h) + 2 * (2 * h) * n * n
        ends = 2 * 576 * h * 3 * 14 * 14 + 2 * 144 * (4 * h * wide + wide * wide)
        graph = load("phi-3.5-vision").graph("vision").wanting(("image_embeds",))
        assert matrix_flops(graph, n) == 23 * layer + ends

    @pytest.mark.parametrize(
        ("size", "crops", "tokens"),
        [
            ("448", 2, 545),
            ("448x896", 3, 801),
            ("336x1000", 4, 1057),
            ("500x700", 5, 1032),  # of a canvas of 2 by 2, what only pads it is left out
            ("1344", 10, 2625),
            ("6000x4000", 25, 6513),  # more than 36 crops: the closest shape
        ],
    )
    def test_phi_4_multimodal_cuts_images_as_its_processor_does(
        self, size: str, crops: int, tokens: int
    ) -> None:
        """transformers 5.23.0: what Phi4MultimodalImageProcessor says of images of these sizes."""
        given = {"images": "1", "image_size": size}
        vision, prefill = load("phi-4-multimodal-instruct", inputs=given).schedule[:2]
        assert isinstance(vision, Call)
        assert isinstance(prefill, Call)
        assert (vision.bind[B], vision.bind[S]) == (crops * batch, 1024)
        assert prefill.bind[S] == prompt + tokens

    def test_phi_4_multimodals_towers_multiply_what_the_library_counts(self) -> None:
        """transformers 5.23.0 on meta tensors: a crop of 448, a window of 3000 frames.

        The library filters two rows more than it keeps in each of 24 layers: 3 taps of 1024
        channels, and the linear after them.
        """
        program = load("phi-4-multimodal-instruct", inputs={"images": "1", "sounds": "1"})
        vision = program.graph("vision").wanting(("image_embeds",))
        assert matrix_flops(vision, 1024) == 944_350_691_328
        audio = program.graph("audio").wanting(("image_embeds",))
        padded = 24 * 2 * 2 * (3 * 1024 + 1024**2)
        assert matrix_flops(audio, 375) + padded == 392_919_134_208
        assert model_facts(program).params == 5_308_268_992

    def test_deepstack_makes_features_after_three_layers(self) -> None:
        names = [v.name for v in load("qwen3-vl-8b-instruct").graph("vision").outputs]
        assert names[0] == "image_embeds"
        assert len(names) == 4

    def test_deepstacks_mergers_and_sums_are_counted_where_there_is_an_image(self) -> None:
        """1024 tokens of 4096; 27 layers of 1152 over 4096 patches, a merger and three more.

        Products: transformers 5.23.0 on meta tensors, torch.utils.flop_counter. Sums: an add an
        element, of hidden states and features, once a layer that has them.
        """
        given = {"images": "2", "image_size": "1024"}
        program = load("qwen3-vl-8b-instruct", inputs=given)
        vision, sums, prefill = program.schedule[:3]
        assert isinstance(vision, Call)
        assert isinstance(sums, Call)
        assert isinstance(prefill, Call)
        graph = program.graph("vision").wanting(vision.wants)
        assert matrix_flops(graph, 4096) == 5_797_903_859_712
        assert (sums.graph, sums.phase, sums.bind[T]) == ("deepstack", "prefill", 2048 * batch)
        added, size = program.graph("deepstack").cost, 3 * 4096 * T
        assert (added.total_flops, sp.Add(*added.reads.values())) == (size, 2 * 2 * size)
        assert sp.Add(*added.writes.values()) == 2 * size
        assert ("deepstack", "prefill") not in called(load("qwen3-vl-8b-instruct"))

    def test_clip_encodes_both_and_compares_every_pair(self) -> None:
        program = load("clip-vit-base-patch32")
        assert called(program) == [("vision", "encode"), ("target", "encode")]
        assert program.graph().output("logits").shape == (B, B)

    def test_a_vision_model_alone_is_called_once_an_image(self) -> None:
        program = load("vit-base-patch16-224-in21k", inputs={"images": "2"})
        (call,) = program.schedule
        assert isinstance(call, Call)
        assert call.bind[T] == 2 * 197 * batch
        assert "prompt and output count for nothing" in notes(program, "M009")[0]

    def test_a_flexible_image_is_at_least_one_token(self) -> None:
        stem = Patches(3, 14, 896, merge=2, flexible=True)
        assert image_of(stem, None, (1, 5)).patches == 4


class TestCrossAttentionOverImages:
    def test_llama_3_2_vision_stores_its_tiles_once_and_reads_them_every_step(self) -> None:
        """4 tiles of (560/14)² patches and a class token; K and V of 8 heads of 128, 8 layers."""
        program = load("llama-3.2-11b-vision", inputs={"images": "2"})
        vision, prefill = program.schedule[:2]
        assert isinstance(vision, Call)
        assert isinstance(prefill, Call)
        assert (vision.bind[B], vision.bind[S]) == (2 * batch, 4 * (40**2 + 1))
        assert (prefill.bind[S], prefill.bind[M]) == (prompt, 2 * 6404)
        assert model_facts(program).params == 10_670_220_835
        stored = storages(program.graph()).values()
        kept = [s for s in stored if s.value.role == "cache" and "cross" in s.value.storage]
        assert sum(s.numel for s in kept) == 8 * 2 * 8 * 128 * M * B

    def test_its_vision_multiplies_what_a_hand_count_says(self) -> None:
        """32 local and 8 global layers of 1280, features of six layers side by side, K and V."""
        h, n = 1280, 6404
        layer = 2 * n * (4 * h * h + 2 * h * 4 * h) + 2 * (2 * h) * n * n
        ends = 2 * 6400 * h * 3 * 14 * 14 + 2 * n * 6 * h * 4096 + 8 * 2 * n * 2 * 4096 * 1024
        assert matrix_flops(load("llama-3.2-11b-vision").graph("vision"), n) == 40 * layer + ends

    def test_without_images_it_is_another_model(self) -> None:
        with pytest.raises(SpecError, match="left out where there is no image"):
            load("llama-3.2-11b-vision", inputs={"images": "0"})
        assert notes(load("llama-3.2-11b-vision"), "M008")[0].startswith("an image in 4 tiles")


class TestBadInput:
    @pytest.mark.parametrize(
        ("model", "inputs", "said"),
        [
            ("llava-1.5-7b", {"images": "-1"}, "input.images is '-1'"),
            ("llava-1.5-7b", {"images": "two"}, "input.images is 'two'"),
            ("llava-1.5-7b", {"images": "1000000"}, "input.images"),
            ("llava-1.5-7b", {"images": "1", "image_size": "0"}, "input.image_size is '0'"),
            ("llava-1.5-7b", {"images": "1", "image_size": "-336"}, "input.image_size"),
            ("llava-1.5-7b", {"images": "1", "image_size": "10x"}, "input.image_size"),
            (
                "llava-1.5-7b",
                {"images": "1", "image_size": "448"},
                "resizes every image",
            ),
            ("llava-1.5-7b", {"image": "1"}, "image"),
            ("llava-1.5-7b", {"image_size": "336"}, "no images are"),
            ("llava-1.5-7b", {"images": "0", "image_size": "336"}, "no images are"),
            ("llava-1.5-7b", {"sounds": "1"}, "takes no sounds"),
            ("llava-1.5-7b", {"images": "1", "crops": "4"}, "cuts no images"),
            ("phi-3.5-vision", {"crops": "4"}, "no images are"),
            ("phi-3.5-vision", {"images": "1", "crops": "0"}, "input.crops is 0"),
            ("gemma-3n-e4b", {"sounds": "-1"}, "input.sounds is '-1'"),
            (
                "gemma-3n-e4b",
                {"images": "1", "image_size": "512"},
                "resizes every image to 768x768",
            ),
            ("gemma-3n-e4b", {"memory": "9"}, "reads no memory"),
            ("llama-3.1-8b", {"images": "1"}, "takes no images"),
            ("llama-3.1-8b", {"image_size": "336"}, "takes no images"),
            ("vit-base-patch16-224-in21k", {"sounds": "1"}, "takes no sounds"),
            ("bert-base-uncased", {"image_size": "224"}, "takes no images"),
            ("whisper-tiny", {"images": "1"}, "takes no images"),
            ("vit-base-patch16-224-in21k", {"images": "0"}, "needs images"),
            ("clip-vit-base-patch32", {"images": "2"}, "one to one"),
        ],
    )
    def test_inputs_a_model_cannot_take_are_refused(
        self, model: str, inputs: dict[str, str], said: str
    ) -> None:
        with pytest.raises(MansardError, match=said) as caught:
            load(model, inputs=inputs)
        assert caught.value.hint

    def test_a_vision_config_alone_is_a_vision_model_or_refused_by_name(self) -> None:
        assert read_architecture({"model_type": "clip_vision_model"}).family == "clip_vision_model"
        with pytest.raises(SpecError, match="qwen2_5_vl_vision is a part of qwen2_5_vl"):
            read_architecture({"model_type": "qwen2_5_vl_vision", "depth": 32})

    @pytest.mark.parametrize(
        ("config", "said"),
        [
            ({"model_type": "vit", "image_size": 0}, "image_size is 0"),
            ({"model_type": "vit", "image_size": -224}, "image_size is -224"),
            ({"model_type": "vit", "image_size": 8, "patch_size": 16}, "less than one patch"),
            ({"model_type": "vit", "patch_size": None}, "patch_size is missing"),
            ({"model_type": "albert", "num_hidden_groups": 2}, "num_hidden_groups is 2"),
            ({"model_type": "bert", "is_decoder": True}, "is_decoder is True"),
            ({"model_type": "t5", "feed_forward_proj": "gated-relu"}, "feed_forward_proj"),
            ({"model_type": "whisper", "num_mel_bins": None}, "num_mel_bins is missing"),
            ({"model_type": "bart", "decoder_attention_heads": 7}, "7"),
            ({"model_type": "llava", "text_config": {}, "vision_config": 3}, "vision_config is 3"),
            (
                {"model_type": "llava", "text_config": {}, "vision_config": {},
                 "vision_feature_layer": -99},
                "features of layer -99",
            ),
            ({"model_type": "modernbert", "layer_types": ["odd"] * 22}, "'odd' at layer 0"),
        ],
    )  # fmt: skip
    def test_keys_that_contradict_or_are_null_are_named(
        self, config: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(MansardError, match=said) as caught:
            load(config)
        assert caught.value.hint

    def test_a_tower_of_another_kind_is_left_out_and_named(self) -> None:
        config = {
            "model_type": "llava",
            "text_config": {},
            "vision_config": {"model_type": "dinov3_vit"},
        }
        arch = read_architecture(config)
        assert arch.vision is None
        assert [n.code for n in arch.notes if n.code == "M007"] == ["M007"]

    def test_a_whole_model_whose_config_leaves_out_its_vision_says_so(self) -> None:
        arch = read_architecture({"model_type": "llava", "text_config": {}})
        said = [n.message for n in arch.notes if n.code == "M007"]
        assert said == ["vision_config is not stated: only the language model is lowered"]

    @pytest.mark.parametrize(
        ("row", "part", "change", "said"),
        [
            ("llama4", "vision_config", {"pixel_shuffle_ratio": 0}, "divided by 0"),
            ("llama4", "vision_config", {"pixel_shuffle_ratio": 3}, "squares of 0 patches"),
            ("llama4", "vision_config", {"pixel_shuffle_ratio": 1e-9}, "squares of"),
            ("gemma3n", "audio_config", {"sscp_conv_channel_size": []}, "convolutions of"),
            ("gemma3n", "audio_config", {"sscp_conv_channel_size": ["a"]}, "convolutions of"),
            ("gemma3n", "audio_config", {"sscp_conv_channel_size": [0, 8]}, "convolutions of"),
            ("gemma3n", "vision_config", {"hidden_size": 64}, "the network makes 2048"),
        ],
    )
    def test_sizes_no_tower_can_have_are_refused(
        self, row: str, part: str, change: dict[str, Any], said: str
    ) -> None:
        config = ROWS[row]["config"]
        config = {**config, part: {**config.get(part, {}), **change}}
        with pytest.raises(MansardError, match=said) as caught:
            load(config)
        assert caught.value.hint

    def test_llama_4s_class_defaults_contradict_each_other_so_no_image_is_encoded(self) -> None:
        """They are stored as the class makes them; 4 patches of 768 are no 5632."""
        config = ROWS["llama4-no-vision-config"]["config"]
        (said,) = notes(load(config), "M100")
        assert "3,072 wide, and their adapter reads 5,632" in said
        with pytest.raises(SpecError, match="3,072 wide") as caught:
            load(config, inputs={"images": "1"})
        assert "vision_config" in (caught.value.hint or "")
