"""Caches shared by layers: what is gone, what is still read, and of whom."""

from __future__ import annotations

from typing import Any

import pytest
import sympy as sp

import mansard as ms
from mansard.core.symbols import B, P, S, T
from mansard.ir.footprint import storages
from mansard.ir.ops import Append
from mansard.testing import reads_back, removes_flops, rewritten

MODEL = "llama-3.1-8b"
LAYERS, WIDTH, KV = 32, 4096, 1024


def stored(program: ms.Program, role: str) -> sp.Expr:
    """Elements of a role, every layer counted."""
    return sp.Add(*(s.numel for s in storages(program.graph()).values() if s.value.role == role))


@pytest.mark.parametrize(("every", "own"), [(2, 16), (3, 11), (16, 2), (32, 1), (64, 1)])
def test_one_cache_and_its_projections_are_left_of_each_period(every: int, own: int) -> None:
    before, after = rewritten(MODEL, ()), rewritten(MODEL, f"share-kv{{every={every}}}")
    assert stored(after, "cache") == own * 2 * B * P * KV
    gone = (LAYERS - own) * 2 * WIDTH * KV
    assert stored(before, "weight") - stored(after, "weight") == gone
    flops = before.graph().cost.total_flops - after.graph().cost.total_flops
    turned = sp.Add(*(op.cost().total_flops * n for op, n in before.graph().walk()
                      if op.name == "layers.k_rope")) / LAYERS  # fmt: skip
    assert sp.expand(flops - 2 * T * gone - (LAYERS - own) * turned) == 0
    reads_back(after)


def test_every_layer_still_reads_the_cache_it_attends_to() -> None:
    asked: Any = {"on": "h100-sxm", "context": 32767, "batch": 8}
    plain = ms.analyze(MODEL, **asked)
    shared = ms.analyze(MODEL, **asked, techniques=["share-kv:every=2"])
    rows = (LAYERS // 2) * 2 * KV * 8 * 2  # what sixteen layers no longer write
    assert plain.decode.kv_bytes - shared.decode.kv_bytes == rows
    assert shared.memory.kv_cache == plain.memory.kv_cache / 2


def test_of_latent_caches_the_latents_are_shared() -> None:
    program = rewritten("deepseek-v2-lite", "share-kv{every=2}")
    assert stored(program, "cache") == 14 * B * P * 576  # the dense layer's, and 13 of 26


def test_layers_of_one_kind_share_with_each_other() -> None:
    program = rewritten("gemma-2-9b", "share-kv{every=3}")
    fills = sp.Add(*(n for op, n in program.graph().walk() if isinstance(op, Append)))
    assert fills == 84 // 3
    masks = [op.mask.kind for op, _ in program.graph().walk() if op.kind == "scores"]
    assert masks == ["window", "causal"] * 3


def test_a_phase_cannot_share_alone() -> None:
    with pytest.raises(ms.MansardError, match="share-kv") as caught:
        rewritten(MODEL, "share-kv{every=2 phase=decode}")
    assert caught.value.hint
    removes_flops("share-kv{every=2}", MODEL)
    assert S not in stored(rewritten(MODEL, "share-kv{every=2}"), "cache").free_symbols
