"""The footprint of generation, against counts made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mansard.backends.chips import load as chip
from mansard.backends.estimate import Memory
from mansard.backends.roofline import estimate
from mansard.core.dtypes import Encoding
from mansard.frontends.hf.load import load
from mansard.ir.program import TARGET, Program
from mansard.ir.rewrite import retype
from mansard.ir.value import TensorType, Value

GIB = 2**30


def held(model: str, batch: int, prompt: int, output: int, on: str = "h100-sxm") -> Memory:
    scenario = {"batch": batch, "prompt": prompt, "output": output}
    return estimate(load(model), chip(on), scenario).memory


def test_weights_are_held_once_and_a_tied_head_adds_nothing() -> None:
    assert held("llama-2-7b", 4, 100, 10).weights == 6_738_415_616 * 2
    assert held("llama-3.2-1b", 1, 100, 10).weights == 1_235_814_400 * 2
    assert held("mixtral-8x7b-v0.1", 1, 8, 2).weights == 46_702_792_704 * 2  # all experts


@pytest.mark.parametrize(("prompt", "output"), [(100, 1), (100, 2), (100, 28), (1, 1)])
def test_the_cache_has_room_for_prompt_and_output(prompt: int, output: int) -> None:
    """Llama-3.1-8B: 32 layers, keys and values, 8 heads of 128, 2 bytes: 131,072 a token."""
    assert held("llama-3.1-8b", 3, prompt, output).kv_cache == 3 * (prompt + output) * 131_072


def test_a_window_bounds_the_cache_of_its_layers() -> None:
    """Gemma-2-2B: 13 of 26 layers keep 4095 tokens; 4 KV heads of 256, 2 bytes, K and V."""
    a_token = 2 * 4 * 256 * 2
    assert held("gemma-2-2b", 1, 1000, 24).kv_cache == 26 * 1024 * a_token
    assert held("gemma-2-2b", 1, 8000, 192).kv_cache == 13 * (8192 + 4095) * a_token


def test_a_narrower_cache_is_smaller_by_its_bits() -> None:
    program = load("llama-3.1-8b")

    def narrow(leaf: Value) -> TensorType:
        fp8 = Encoding("fp8", of="bf16")
        return replace(leaf.type, encoding=fp8) if leaf.role == "cache" else leaf.type

    graph = retype(program.graph(), narrow)
    changed = Program({TARGET: graph}, program.schedule, origin=program.origin)
    scenario = {"batch": 1, "prompt": 100, "output": 28}
    assert estimate(changed, chip("h100-sxm"), scenario).memory.kv_cache == 128 * 65_536


def test_activations_are_the_most_alive_at_one_kernel() -> None:
    """Unfused softmax: scores in, weights out - 32 heads of 2048 × 2048 - and the residual."""
    rectangle, residual = 32 * 2048 * 2048 * 2, 2048 * 4096 * 2
    assert held("llama-3.1-8b", 1, 2048, 2).activations == 2 * rectangle + residual


def test_the_total_is_the_sum_and_is_held_against_gibibytes() -> None:
    """An "80 GB" H100 has 80 GiB, so 70B in 16 bits does not fit and 8B does."""
    small, large = held("llama-3.1-8b", 1, 2048, 128), held("llama-3.1-70b", 1, 2048, 128)
    assert small.capacity == 80 * GIB
    assert small.total == small.weights + small.kv_cache + small.activations + small.overhead
    assert (small.fits, large.fits) == (True, False)


def test_a_reserve_is_counted_only_where_the_chip_states_one() -> None:
    assert held("gpt2", 1, 8, 2).overhead == chip("h100-sxm").reserve_bytes
    stated = replace(chip("h100-sxm"), reserve_bytes=GIB)
    scenario = {"batch": 1, "prompt": 8, "output": 2}
    assert estimate(load("gpt2"), stated, scenario).memory.overhead == GIB
