"""DeepSeek-V4 and LongCat-Flash: what they store, keep of a context, read of it, and refuse."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import sympy as sp

from mansard.core.errors import SpecError
from mansard.core.symbols import B, P, S
from mansard.frontends.hf.bundled import load_bundled
from mansard.frontends.hf.feed_forward import Moe
from mansard.frontends.hf.latent_mixers import Compressed, Mla
from mansard.frontends.hf.load import load
from mansard.frontends.hf.mtp import mtp_parameters
from mansard.frontends.hf.resolve import read_architecture, resolve
from mansard.frontends.hf.tensors import active_parameters, parameters
from mansard.ir.footprint import kv_growth, model_facts
from mansard.ir.ops import BlockLinear, Dispatch, GroupedLinear, Scores
from mansard.ir.ops.summaries import AppendSummaries
from mansard.query.model_sheet import model_sheet

TINY: dict[str, Any] = {
    "model_type": "deepseek_v4", "torch_dtype": "bfloat16", "hidden_size": 64, "vocab_size": 100,
    "num_hidden_layers": 3, "num_attention_heads": 4, "head_dim": 32, "qk_rope_head_dim": 8,
    "q_lora_rank": 16, "o_groups": 2, "o_lora_rank": 8, "sliding_window": 16, "index_n_heads": 2,
    "index_head_dim": 8, "index_topk": 6, "n_routed_experts": 4, "num_experts_per_tok": 2,
    "n_shared_experts": 1, "moe_intermediate_size": 24, "hc_mult": 2, "hc_sinkhorn_iters": 3,
    "compress_ratios": [0, 4, 128], "max_position_embeddings": 4096, "num_nextn_predict_layers": 0,
}  # fmt: skip


class TestDeepseekV4:
    def test_the_kinds_of_layers_follow_the_ratios(self) -> None:
        layers = resolve(load_bundled("deepseek-v4-flash").config).layers
        mixers = [spec.mixer for spec in layers if isinstance(spec.mixer, Compressed)]
        assert [m.stride for m in mixers[:4]] == [0, 0, 4, 128]
        assert [m.index_heads for m in mixers[:4]] == [0, 0, 64, 0]
        assert len(mixers) == 43  # the file lists 44: the last is of a layer that is not served

    def test_a_ratio_without_a_block_is_refused_with_its_place(self) -> None:
        with pytest.raises(SpecError, match="holds 5 at layer 1"):
            read_architecture({**TINY, "compress_ratios": [0, 5, 128]})

    def test_attention_by_hand(self) -> None:
        """What a layer of each kind stores besides what every layer has."""
        config = {**TINY, "num_hidden_layers": 1}
        near, sparse, heavy = (
            parameters(read_architecture({**config, "compress_ratios": [r]})) for r in (0, 4, 128)
        )
        assert heavy - near == 2 * 64 * 32 + 128 * 32 + 32
        summaries = 2 * 64 * 2 * 32 + 4 * 2 * 32 + 32
        index = 2 * 64 * 2 * 8 + 4 * 2 * 8 + 8 + 16 * 2 * 8 + 64 * 2
        assert sparse - near == summaries + index

    def test_what_a_token_adds_to_the_cache(self) -> None:
        """A window of one head that is key and value; 1/4 and 1/128 of a summary, and the index."""
        program = load("deepseek-v4-flash")
        far = 21 * (512 + 128) * 2 / 4 + 20 * 512 * 2 / 128
        assert kv_growth(program) == (43 * 512 * 2 + far, far) == (50_912, 6_880)
        assert model_facts(program).kv_bytes_per_token == 50_912

    def test_a_query_reads_its_window_and_the_summaries_it_picks(self) -> None:
        graph = load({**TINY}).graph("target")
        read = {
            op.mask.stride: op.mask.reach(S, P).xreplace({S: sp.S.One, P: sp.Integer(1023)})
            for op, _ in graph.walk()
            if isinstance(op, Scores) and op.heads == 4
        }
        assert read == {None: 16, 4: 6 + 16, 128: 1024 // 128 + 16}

    def test_a_cache_of_summaries_is_as_long_as_the_context_over_their_size(self) -> None:
        graph = load({**TINY}).graph("target")
        caches = {op.cache.shape for op, _ in graph.walk() if isinstance(op, AppendSummaries)}
        assert caches == {(B, 1, P / 4, 32), (B, 1, P / 4, 8), (B, 1, P / 128, 32)}

    def test_groups_of_heads_are_projected_apart(self) -> None:
        graph = load({**TINY}).graph("target")
        grouped = next(op for op, _ in graph.walk() if isinstance(op, BlockLinear))
        assert tuple(map(int, grouped.w.shape)) == (2, 4 * 32 // 2, 8)

    def test_the_checkpoint_stores_experts_in_4_bits_and_the_rest_in_8(self) -> None:
        sheet = model_sheet(load("deepseek-v4-flash"))
        experts = 43 * 256 * 3 * 4096 * 2048
        assert sheet.by_role["expert"] == experts
        assert sheet.by_encoding["fp4g32s8z0(bf16)"] == experts * 17 // 32
        assert set(sheet.by_encoding) == {"fp4g32s8z0(bf16)", "fp8g16384s8z0(bf16)", "bf16"}

    def test_the_layer_that_is_not_served_has_no_summaries(self) -> None:
        arch = read_architecture({**TINY, "num_nextn_predict_layers": 1})
        near = parameters(read_architecture({**TINY, "num_hidden_layers": 1}))
        outside = 2 * 100 * 64 + 64 + 2 * 2 * 64 + 2 + 1
        assert mtp_parameters(arch) == near - outside + 2 * 64**2 + 3 * 64 + 2 * 2 * 64 + 2 + 1


class TestSharedIndexers:
    """GLM-5.2: one layer in four has an indexer; the others read the keys it picked."""

    GLM: ClassVar[dict[str, Any]] = {
        "model_type": "glm_moe_dsa", "torch_dtype": "bfloat16", "num_hidden_layers": 8,
        "first_k_dense_replace": 1,
    }  # fmt: skip

    def test_the_list_says_which(self) -> None:
        kinds = ["full", *["shared"] * 3] * 2
        arch = read_architecture({**self.GLM, "indexer_types": kinds})
        mixers = [spec.mixer for spec in arch.layers if isinstance(spec.mixer, Mla)]
        assert [m.index_heads > 0 for m in mixers] == [kind == "full" for kind in kinds]
        assert {m.index_keys for m in mixers} == {2048}
        own = 32 * 128 * 2048 + 128 * 6144 + 2 * 128 + 32 * 6144
        every = read_architecture({**self.GLM, "indexer_types": ["full"] * 8})
        assert parameters(every) - parameters(arch) == 6 * own

    def test_without_a_list_the_step_and_where_it_starts_do(self) -> None:
        stepped = {**self.GLM, "index_topk_freq": 4, "index_skip_topk_offset": 3}
        arch = read_architecture(stepped)
        mixers = [spec.mixer for spec in arch.layers if isinstance(spec.mixer, Mla)]
        # transformers 5.23.0: full where max(i - offset + 1, 0) % freq is 0
        assert [m.index_heads > 0 for m in mixers] == [max(i - 3 + 1, 0) % 4 == 0 for i in range(8)]

    def test_a_kind_of_indexer_nobody_knows_is_named_with_its_place(self) -> None:
        with pytest.raises(SpecError, match="holds 'half' at layer 2"):
            read_architecture(
                {**self.GLM, "indexer_types": ["full", "full", "half"] + ["full"] * 5}
            )

    def test_every_layer_reads_no_more_keys_than_are_picked(self) -> None:
        graph = load({**self.GLM, "index_topk_freq": 4}).graph("target")
        sizes = {
            op.mask.size for op, _ in graph.walk() if isinstance(op, Scores) and op.heads == 64
        }
        assert sizes == {sp.Integer(2048)}


class TestLongcatFlash:
    def test_published_sizes(self) -> None:
        """560 B parameters, 27 B of them active on average [Meituan 2025, §2]."""
        arch = resolve(load_bundled("longcat-flash-chat").config)
        assert parameters(arch) == 560_664_958_976
        assert active_parameters(arch) == 27_954_796_544

    def test_each_layer_keeps_two_latents(self) -> None:
        facts = model_facts(load("longcat-flash-chat"))
        assert facts.kv_bytes_per_token == 28 * 2 * (512 + 64) * 2

    def test_experts_that_do_nothing_take_tokens_from_the_others(self) -> None:
        """12 of 768 are chosen, of which 8 of 512 compute: a token in 64 needs a given one."""
        graph = load("longcat-flash-chat").graph("target")
        ops = [op for op, _ in graph.walk()]
        dispatch = next(op for op in ops if isinstance(op, Dispatch))
        grouped = next(op for op in ops if isinstance(op, GroupedLinear))
        assert dispatch.out.shape[0] / dispatch.x.shape[0] == 8
        assert (grouped.hit, int(grouped.w.shape[0])) == (sp.Rational(1, 64), 512)
        block = resolve(load_bundled("longcat-flash-chat").config).layers[0].beside
        assert isinstance(block, Moe)
        assert (block.experts, block.zero) == (512, 256)

    def test_another_kind_of_idle_expert_is_refused(self) -> None:
        with pytest.raises(SpecError, match="zero_expert_type is 'copy'"):
            read_architecture({"model_type": "longcat_flash", "zero_expert_type": "copy"})

    def test_the_schedule_says_what_each_layer_has_twice(self) -> None:
        words = load("longcat-flash-chat").origin.facts["layers"][0]
        assert words.startswith("28 × (2 × mla rank 512, 2 × gated 12288, 12 of 512 experts")
