"""Bounded caches against caches simulated token by token."""

from __future__ import annotations

import pytest
import sympy as sp
from tests.passes.rewriting import (
    applied,
    flops,
    model,
    moved,
    numbers,
    ops,
    plain,
    stored,
    through,
)

from mansard.backends.chips import load as chip
from mansard.backends.roofline import estimate
from mansard.core.errors import MansardError, SpecError
from mansard.core.symbols import P, S
from mansard.ir.mask import Mask
from mansard.ir.ops import Scores
from mansard.ir.ops.eviction import AccumulateScores
from mansard.ir.program import calls
from mansard.passes.limit_kv import LimitKv

LLAMA, GEMMA = "llama-3.1-8b", "gemma-2-2b"


def simulated(size: int, past: int, new: int, *, whole_prompt: bool) -> tuple[int, int]:
    """Pairs, and keys that are left, when each query adds itself and a cache keeps ``size``."""
    kept, pairs = min(past, size - 1), 0
    for _ in range(new):
        kept += 1
        pairs += kept if whole_prompt else min(kept, size)
    return pairs, min(kept, size - 1)


@pytest.mark.parametrize("size", [1, 5, 64])
@pytest.mark.parametrize("past", [0, 4, 63, 200])
@pytest.mark.parametrize("new", [1, 7, 80])
def test_masks_count_what_a_simulation_counts(size: int, past: int, new: int) -> None:
    at = {S: sp.Integer(new), P: sp.Integer(past)}
    for kind in ("window", "evict"):
        mask = Mask(kind, sp.Integer(size), skip=True)
        pairs, left = simulated(size, past, new, whole_prompt=kind == "evict")
        assert mask.pairs(S, P, P + S).xreplace(at) == pairs
        assert mask.kept(P + S).xreplace(at) == left


def test_a_window_with_sinks_bounds_keys_cache_and_work() -> None:
    program = through(LLAMA, "fuse-attention,limit-kv{window=1020 sinks=4}")
    long, longer = ({"B": 1, "S": 1, "P": p} for p in (5000, 90000))
    for count in (moved(program, "cache"), flops(program), stored(program, "cache")):
        assert numbers(count, **long) == numbers(count, **longer)
    short = {"B": 1, "S": 1, "P": 500}
    fused = through(LLAMA, "fuse-attention")
    assert numbers(flops(program), **short) == numbers(flops(fused), **short)


def test_layers_with_a_shorter_window_stay() -> None:
    sizes = [op.mask.size for op in ops(through(GEMMA, "limit-kv{window=8000 sinks=0}"), Scores)]
    assert sizes == [4096, 8000]
    assert applied(GEMMA, "limit-kv{window=100}")[1][0].changed == "26 attentions"


def test_heavy_hitters_attend_a_prompt_whole_and_add_their_sums() -> None:
    text = "limit-kv{policy=heavy-hitters budget=512}"
    before, after = through(LLAMA, "fuse-attention"), through(LLAMA, f"fuse-attention,{text}")
    prompt = {"B": 1, "S": 3000, "P": 0}
    assert numbers(flops(after), **prompt) == numbers(flops(before), **prompt)
    (sums,) = ops(after, AccumulateScores)
    kept = 511 * 32 * 4
    step = {"B": 1, "S": 1, "P": 9000}
    assert numbers(sums.sums.bytes, **step) == kept
    adds = flops(after, "vector") - 5 * 32 * sums.p.computed
    assert numbers(plain(sums.cost().total_flops), **step) == 32 * 512
    assert adds != 0


def test_fused_attention_does_not_store_probabilities_unless_they_are_summed() -> None:
    """So heavy hitters cost a decode step the probabilities' bytes, written and read."""
    window = through(LLAMA, "fuse-attention,limit-kv{window=512 sinks=0}")
    heavy = through(LLAMA, "fuse-attention,limit-kv{policy=heavy-hitters budget=512}")
    step = {"B": 1, "S": 1, "P": 9000}
    more = numbers(moved(heavy, "activation") - moved(window, "activation"), **step)
    assert more == 2 * 32 * 32 * 512 * 2


def test_a_compressed_prompt_shortens_every_later_step() -> None:
    text = "limit-kv{policy=compress-prompt budget=256 window=16}"
    program = through(LLAMA, text)
    prefill, decode = calls(program.schedule)
    assert (str(prefill.bind[P]), str(decode.bind[P])) == ("0", "step + least(256, prompt)") or (
        str(decode.bind[P]) == "step + least(prompt, 256)"
    )
    scenario = {"batch": 1, "prompt": 4000, "output": 9}
    short = estimate(program, chip("h100-sxm"), scenario)
    whole = estimate(model(LLAMA), chip("h100-sxm"), {**scenario, "prompt": 256})
    assert short.phases["decode"].kv_bytes == whole.phases["decode"].kv_bytes
    step = {"B": 1, "S": 1, "P": 256}
    assert numbers(flops(program), **step) == numbers(flops(model(LLAMA)), **step)


def test_golden_text_of_a_bounded_cache() -> None:
    lines = [
        s.strip() for s in str(through(LLAMA, "limit-kv{window=60 sinks=4}").graph()).split("\n")
    ]
    assert "cache %layers.{i}.k_cache: bf16[B, 8, least(P, 63), 128]" in lines
    assert any(line.endswith("heads=32, mask=mask<window size=64>)") for line in lines)


@pytest.mark.parametrize(
    "options",
    [{}, {"policy": "heavy-hitters"}, {"policy": "window", "window": 4, "budget": 4},
     {"policy": "lru", "window": 3}, {"window": -1}],
)  # fmt: skip
def test_options_that_say_too_little_or_too_much_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(SpecError) as error:
        LimitKv(**options)  # type: ignore[arg-type]
    assert error.value.hint


def test_a_model_that_picks_keys_itself_is_refused() -> None:
    with pytest.raises(MansardError, match="picks keys itself"):
        through("deepseek-v3.2", "limit-kv:window=100")
