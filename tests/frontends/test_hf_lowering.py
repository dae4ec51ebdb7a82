"""Lowering: what bundled models store and multiply, against counts made by hand."""

from __future__ import annotations

from functools import cache

import pytest
import sympy as sp

from mansard.core.symbols import PARAMETERS, B, P, R, S, T
from mansard.frontends.hf.bundled import load_bundled, names
from mansard.frontends.hf.diffusion.config import is_diffusion
from mansard.frontends.hf.load import load
from mansard.frontends.hf.lower.layer import LOWERINGS, lowering_of
from mansard.frontends.hf.lower.runs import Run, runs
from mansard.frontends.hf.lower.stored import stored_tensors
from mansard.frontends.hf.mixers import MIXERS
from mansard.frontends.hf.resolve import resolve
from mansard.frontends.hf.tensors import parameter_tensors
from mansard.ir.cost import MATRIX
from mansard.ir.footprint import model_facts, storages
from mansard.ir.graph import Graph
from mansard.ir.program import binding
from mansard.ir.region import Repeat


@cache
def graph(name: str) -> Graph:
    return load(name).graph()


def matrix_flops(of: Graph) -> sp.Expr:
    products = (n for (unit, *_), n in of.cost.flops.items() if unit == MATRIX)
    return sp.expand(sp.Add(*products))


def bodies(name: str) -> list[tuple[int, int]]:
    """Return (trips, attention blocks in the body) of each repeat."""
    repeats = [op for op in graph(name).ops if isinstance(op, Repeat)]
    return [(int(r.trips), sum(op.name.endswith("scores") for op in r.body.ops)) for r in repeats]


def op_names(of: Graph) -> list[str]:
    return [op.name for op, _ in of.walk() if not op.is_view and not op.bodies]


@pytest.mark.parametrize("name", names())
def test_a_bundled_models_graph_stores_exactly_its_stated_parameters(name: str) -> None:
    model = load_bundled(name)
    assert model_facts(load(name)).params == model.parameters
    if is_diffusion(model.config.values):
        return  # compared tensor by tensor where its own lowering is tested
    arch = resolve(model.config)
    if arch.head is None and arch.encoder is None:  # a decoder: counted layer by layer as well
        assert set(stored_tensors(graph(name), arch.names)) == set(parameter_tensors(arch))


def test_llama_3_1_8b_multiplies_what_a_hand_count_says() -> None:
    """32 layers, h 4096, f 14336, 32 heads and 8 KV heads of 128, V 128256 [Dubey 2024, table 3].

    A matrix i → o costs 2·i·o a token; scores and values 2·32·128 a pair, over S·(P+S) pairs.
    """
    h, f, kv, pairs = 4096, 14336, 8 * 128, B * S * (P + S)
    linears = 2 * T * (2 * h * h + 2 * h * kv + 3 * h * f)
    attention = 2 * (2 * 32 * 128) * pairs
    head = 2 * R * h * 128256
    expected = 32 * (linears + attention) + head
    assert sp.expand(matrix_flops(graph("llama-3.1-8b")) - expected) == 0


def test_gpt_2_multiplies_what_a_hand_count_says() -> None:
    """12 layers, h 768, plain 4h feed-forward, 12 heads of 64, V 50257 [Radford 2019, table 2]."""
    h, pairs = 768, B * S * (P + S)
    linears = 2 * T * (3 * h * h + h * h + 2 * h * 4 * h)
    expected = 12 * (linears + 2 * (2 * h) * pairs) + 2 * R * h * 50257
    assert sp.expand(matrix_flops(graph("gpt2")) - expected) == 0


def test_mixtral_multiplies_two_of_eight_experts_and_reads_those_that_are_hit() -> None:
    """[Jiang 2024, table 1]: each token meets 2 experts of 3 matrices 4096 × 14336 and a router.

    A given expert is missed by one token with probability 6/8, by T with (6/8)**T.
    """
    h, f, kv, pairs = 4096, 14336, 8 * 128, B * S * (P + S)
    linears = 2 * T * (2 * h * h + 2 * h * kv + h * 8) + 2 * (2 * T) * (3 * h * f)
    expected = 32 * (linears + 2 * (2 * h) * pairs) + 2 * R * h * 32000
    mixtral = graph("mixtral-8x7b-v0.1")
    assert sp.expand(matrix_flops(mixtral) - expected) == 0
    experts = [
        size
        for op, _ in mixtral.walk()
        if not op.bodies
        for v, size in op.cost().reads.items()
        if v.role == "weight" and "experts" in v.storage
    ]
    assert len(experts) == 2
    distinct = 8 * (1 - sp.Rational(6, 8) ** T)
    assert sp.expand(sum(experts) - distinct * 3 * h * f * 2) == 0


@pytest.mark.parametrize("name", ["gpt2", "gemma-2-2b", "mixtral-8x7b-v0.1", "bloom-7b1"])
def test_a_graph_is_symbolic_in_the_parameters_of_a_call_alone(name: str) -> None:
    cost = graph(name).cost
    symbols = cost.total_flops.free_symbols | cost.bytes.free_symbols
    assert symbols <= set(PARAMETERS.values())
    assert {B, S, P, T, R} <= symbols | {S}


def test_equal_layers_are_one_body_and_alternating_ones_a_period() -> None:
    assert bodies("llama-3.1-8b") == [(32, 1)]
    assert bodies("gemma-2-2b") == [(13, 2)]  # local, global, local, …
    assert bodies("gemma-3-1b") == [(4, 6), (2, 1)]  # five local and a global, then two local
    assert bodies("mistral-7b-v0.1") == [(32, 1)]


def test_runs_cover_every_item_in_order() -> None:
    for text in ("a", "ab", "aab", "abab", "daaab", "aabaabaab", "abcabcab"):
        cut = list(runs(text))
        assert "".join(text[r.first : r.first + r.period] * r.trips for r in cut) == text
    assert Run(3, 2, 4).index(1) == "{2i+4}"
    assert Run(3, 1, 1).index(0) == "3"


def test_ops_are_called_like_the_checkpoints_modules() -> None:
    found = op_names(graph("llama-3.1-8b"))
    for name in ("layers.q_proj", "layers.scores", "layers.softmax", "layers.values",
                 "layers.gate_proj", "layers.down_proj", "lm_head"):  # fmt: skip
        assert name in found
    assert "layers.sliding_scores" in op_names(graph("gemma-2-2b"))
    assert "layers.qkv_proj" in op_names(graph("gpt2"))


def test_a_tied_head_reads_the_table_and_adds_no_storage() -> None:
    for name, matrices in (("llama-3.2-1b", 1), ("llama-3.1-8b", 2)):
        vocabulary = [s for s in storages(graph(name)).values() if s.value.shape[0] == 128256]
        assert len(vocabulary) == matrices
        head = next(op for op, _ in graph(name).walk() if op.name == "lm_head")
        assert sum(size for v, size in head.cost().reads.items() if v.role == "weight") == (
            128256 * (2048 if matrices == 1 else 4096) * 2
        )


def test_a_call_that_wants_no_logits_has_no_head() -> None:
    assert "lm_head" not in op_names(graph("llama-3.1-8b").wanting(("hidden",)))


def test_a_window_bounds_the_cache_and_what_is_read_but_not_the_rectangle() -> None:
    """Mistral-7B v0.1: window 4096 [Jiang 2023, §2]; later queries see at most 4095 old keys."""
    windowed, full = graph("mistral-7b-v0.1"), graph("mistral-7b-v0.2")

    def cached(of: Graph, past: int) -> sp.Expr:
        bind = binding(1, 1, past)
        return sum(
            s.value.bytes.xreplace(bind) * s.copies
            for s in storages(of).values()
            if s.value.role == "cache"
        )

    assert cached(windowed, 1000) == cached(full, 1000) == 1000 * 32 * 2 * 1024 * 2
    assert cached(windowed, 100_000) == 4095 * 32 * 2 * 1024 * 2
    short = binding(2, 128, 0)
    assert matrix_flops(windowed).xreplace(short) == matrix_flops(full).xreplace(short)


def test_every_kind_of_block_is_lowered_by_some_bundled_model() -> None:
    kinds = {op.kind for name in names() for op, _ in graph(name).walk()}
    assert {
        "embedding", "linear", "rms_norm", "layer_norm", "rope", "append", "scores", "softmax",
        "values", "alibi", "soft_cap", "activation", "gated_activation", "add", "scale", "top_k",
        "dispatch", "grouped_linear", "combine", "multiply", "last_rows", "slice", "repeat",
    } <= kinds  # fmt: skip


def test_every_mixer_has_a_function_that_lowers_it() -> None:
    for mixer in LOWERINGS:
        assert lowering_of(mixer).__module__.startswith("mansard.frontends.hf.lower.")
    assert set(MIXERS.values()) <= set(LOWERINGS)
