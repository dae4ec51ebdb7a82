"""Families of one new block each: windows on latents, gates, matrix memories, codebooks.

Their tensors are those of ``tests/golden/hf_classes.json``; here stands what a count hides.
"""

from __future__ import annotations

from typing import Any

import pytest
import sympy as sp

from mansard.core.symbols import B, P, R, S, T
from mansard.frontends.hf.architecture import Architecture, Attention
from mansard.frontends.hf.latent_mixers import Mla
from mansard.frontends.hf.lower.decoder import decoder_graph
from mansard.frontends.hf.mixers import GatedDelta, Mlstm
from mansard.frontends.hf.resolve import read_architecture
from mansard.frontends.hf.tensors import kv_elements_per_token, state_elements
from mansard.ir.cost import MATRIX
from mansard.ir.graph import Graph
from mansard.ir.program import binding


def of(family: str, **keys: Any) -> Architecture:
    return read_architecture({"model_type": family, **keys})


def matrix_flops(graph: Graph, new: int, past: int = 0) -> int:
    found = (n for (unit, *_), n in graph.cost.flops.items() if unit == MATRIX)
    return int(sp.Add(*found).xreplace(binding(1, new, past)))


class TestLatents:
    def test_dots_has_two_latent_attentions_one_of_which_sees_a_window(self) -> None:
        arch = of("dots3_note_text")
        mixers = [layer.mixer for layer in arch.layers]
        assert all(isinstance(m, Mla) for m in mixers)
        assert [getattr(m, "window", None) for m in mixers[:6]] == [0, 0, 512, 512, 512, 0]
        assert kv_elements_per_token(arch) == 13 * (512 + 64 + 128) + 33 * (1024 + 64)

    def test_a_latent_that_left_the_window_is_neither_kept_nor_expanded(self) -> None:
        one = ["sliding_attention"]
        graph = decoder_graph(of("dots3_note_text", num_hidden_layers=1, layer_types=one))
        shapes = {op.name: op.out.shape for op, _ in graph.walk() if op.name.startswith("layers.")}
        kept = shapes["layers.latent_append"][2]
        assert kept.xreplace({P: sp.Integer(10_000), S: sp.S.One}) == 512
        assert kept.xreplace({P: sp.Integer(100), S: sp.S.One}) == 101
        assert matrix_flops(graph, 1, 10_000) == matrix_flops(graph, 1, 20_000)

    def test_bailing_alternates_five_delta_nets_and_one_gated_latent_attention(self) -> None:
        arch = of("bailing_hybrid")
        kinds = [type(layer.mixer) for layer in arch.layers[:12]]
        assert kinds == ([GatedDelta] * 5 + [Mla]) * 2
        assert kv_elements_per_token(arch) == 7 * (512 + 64)
        conv, delta = 3 * 4096 * 4, 32 * 128 * 128
        assert state_elements(arch) == 35 * (conv + delta)


class TestLayers:
    def test_olmo_hybrid_normalizes_before_a_delta_net_and_after_attention(self) -> None:
        arch = of("olmo_hybrid")
        assert [layer.topology for layer in arch.layers[:4]] == ["pre"] * 3 + ["branch"]
        assert isinstance(arch.layers[3].mixer, Attention)
        assert not arch.layers[3].attention.rotary_dim
        turned = of("olmo_hybrid", rope_parameters={"rope_theta": 5e5, "rope_type": "default"})
        assert turned.layers[3].attention.rotary_dim == 128

    def test_beam_sees_a_window_but_in_every_sixth_layer_and_the_last(self) -> None:
        windows = [layer.attention.window for layer in of("beam").layers]
        full = [at for at, window in enumerate(windows) if window is None]
        assert full == [5, 11, 17, 23, 29, 35, 41, 47, 51]

    def test_cpm_ant_learns_a_bias_for_pairs_of_segments_and_for_distances(self) -> None:
        assert of("cpmant").layers[0].attention.buckets == 32 * 32 + 512


class TestStates:
    def test_xlstm_keeps_a_matrix_and_a_normalizer_a_head_whatever_the_context(self) -> None:
        """32 layers, 8 heads, keys of 256, values of 512 [Beck 2024, eq. 19-20]."""
        arch = of("xlstm")
        assert state_elements(arch) == 32 * 8 * (512 + 1) * 256
        assert kv_elements_per_token(arch) == 0
        assert isinstance(arch.layers[0].mixer, Mlstm)

    def test_an_xlstm_step_is_its_linears_and_twice_its_memory(self) -> None:
        h, heads, dk, dv, wide = 4096, 8, 256, 512, 10944
        linears = h * (2 * heads * dk + 3 * heads * dv + 2 * heads) + 3 * h * wide
        memory = 2 * (heads * dk + heads * (dv + 1)) + 4 * heads * (dv + 1) * dk
        step = 32 * (2 * linears + memory) + 2 * h * 50304
        assert matrix_flops(decoder_graph(of("xlstm")), 1, 5_000) == step

    @pytest.mark.parametrize("past", [0, 999])
    def test_zambas_blocks_of_channels_project_for_themselves(self, past: int) -> None:
        """A Mamba layer: in 2·7424, x to 2·(232 + 32) of half the channels, Δ, out."""
        one = {"layers_block_type": ["linear_attention"], "num_hidden_layers": 1}
        graph = decoder_graph(of("zamba", **one))
        h, inner, each, rank = 3712, 7424, 3712, 232
        layer = h * 2 * inner + 2 * each * (rank + 2 * 16) + 2 * rank * each + inner * h
        assert matrix_flops(graph, 1, past) == 2 * (layer + h * 32000)


class TestCodebooks:
    def test_musicgen_reads_and_makes_four_tokens_a_step(self) -> None:
        graph = decoder_graph(of("musicgen_melody"))
        assert [v.name for v in graph.inputs if v.name.startswith("ids")] == [
            "ids", "ids_1", "ids_2", "ids_3",
        ]  # fmt: skip
        assert graph.outputs[0].shape == (R, 4 * 2048)
        assert graph.inputs[0].shape == (T,)

    def test_only_the_one_with_a_text_memory_attends_to_it(self) -> None:
        assert of("musicgen").layers[0].cross is not None
        assert of("musicgen_melody").layers[0].cross is None


def test_the_batch_multiplies_every_state() -> None:
    graph = decoder_graph(of("xlstm", num_hidden_layers=1))
    states = [leaf for leaf in graph.leaves if leaf.role == "state"]
    assert [s.shape for s in states] == [(B, 8, 513, 256)]
