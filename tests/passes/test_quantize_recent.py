"""A window of recent tokens and the sinks stay wide: caches simulated token by token."""

from __future__ import annotations

from collections import Counter

import pytest
import sympy as sp
from tests.passes.rewriting import flops, known, model, moved, numbers, ops, plain, stored, through

from mansard.core.errors import MansardError
from mansard.core.symbols import B, P, S, least
from mansard.ir.footprint import model_facts
from mansard.ir.ops.recent import AppendRecent
from mansard.passes.pipeline import parse

LLAMA = "llama-3.1-8b"  # 32 layers, 8 KV heads of 128
ROW = 32 * 2 * 8 * 128  # elements of a token's keys and values in all layers
KIVI = "quantize{kv=int2 group=32 zero-bits=16 kv-window=128 kv-sinks=4}"  # 3 bits an element
NARROW, WIDE = sp.Rational(3 * ROW, 8), 2 * ROW  # bytes of a token


def simulated(past: int, new: int, window: int, sinks: int) -> Counter[str]:
    """Rows that lie wide, and rows that a step reads wide, writes wide and writes narrow."""
    first, recent = min(past, sinks), max(min(past - sinks, window), 0)
    cached, count = [True] * recent, Counter({"wide": 0})
    for _ in range(new):
        cached.append(False)  # True: stored by an earlier step
        if first < sinks:
            cached.pop()
            first += 1
            count["write_wide"] += 1
        elif len(cached) > window:
            count["read_wide"] += cached.pop(0)
            count["write_narrow"] += 1
    count["write_wide"] += cached.count(False)
    count["wide"] = first + len(cached)
    return count


CASES = [(0, 1), (0, 3), (0, 50), (2, 1), (4, 1), (5, 30), (11, 1), (12, 1), (12, 7), (40, 9)]


@pytest.mark.parametrize(("window", "sinks"), [(8, 4), (8, 0), (0, 4), (1, 1)])
@pytest.mark.parametrize(("past", "new"), CASES)
def test_rows_move_as_in_a_simulation(past: int, new: int, window: int, sinks: int) -> None:
    text = f"quantize{{kv=int4 kv-window={window} kv-sinks={sinks}}}"
    (op, _) = ops(through(LLAMA, text), AppendRecent)
    seen = simulated(past, new, window, sinks)
    at = {"B": 1, "S": new, "P": past}
    row = 8 * 128
    cost = op.cost()
    assert numbers(cost.reads[op.cache], **at) == seen["read_wide"] * row * 2
    assert numbers(cost.writes[op.outs[0]], **at) == seen["write_wide"] * row * 2
    assert numbers(cost.writes[op.outs[1]], **at) == seen["write_narrow"] * row / sp.Integer(2)
    assert numbers(cost.total_flops, **at) == 2 * seen["write_narrow"] * row
    assert numbers(op.cache.shape[2].xreplace({P: P + S}), **at) == seen["wide"]


@pytest.mark.parametrize(("past", "new"), [(0, 1), (0, 30), (10, 1), (19, 1), (19, 5), (60, 1)])
def test_a_bounded_cache_forgets_instead_of_quantizing(past: int, new: int) -> None:
    """A window of 20 tokens, of which 8 stay wide, simulated: 11 at most lie narrow."""
    text = "limit-kv{window=20 sinks=0},quantize{kv=int4 kv-window=8}"
    (op, _) = ops(through(LLAMA, text), AppendRecent)
    kept, narrow, stored_wide = min(past, 19), min(past, 19) - min(past, 8), min(past, 8)
    rows = [*(["narrow"] * narrow), *(["wide"] * stored_wide), *(["new"] * new)]
    rows = rows[-min(kept + new, 19) :]  # the cache evicts before it is stored
    leaves, stays = rows[:-8], rows[-8:]
    at = {"B": 1, "S": new, "P": past}
    cost, row = op.cost(), 8 * 128
    written = leaves.count("wide") + leaves.count("new")
    assert numbers(cost.writes[op.outs[1]], **at) == written * row / sp.Integer(2)
    assert numbers(cost.reads[op.cache], **at) == leaves.count("wide") * row * 2
    assert numbers(cost.writes[op.outs[0]], **at) == stays.count("new") * row * 2


@pytest.mark.parametrize("tokens", [1, 3, 4, 5, 100, 131, 132, 133, 5000])
def test_the_cache_is_wide_sinks_and_window_and_a_narrow_rest(tokens: int) -> None:
    wide = min(tokens, 4) + max(min(tokens - 4, 128), 0)
    size = numbers(stored(through(LLAMA, KIVI), "cache"), B=1, S=1, P=tokens - 1)
    assert size == WIDE * wide + NARROW * (tokens - wide)


def test_the_cache_in_closed_form() -> None:
    wide = least(P + S, 132)
    expected = B * (WIDE * wide + NARROW * (P + S - wide))
    assert plain(stored(through(LLAMA, KIVI), "cache") - expected) == 0
    one = model_facts(through(LLAMA, KIVI)).kv_bytes_per_token
    assert one == WIDE  # the first token of a sequence: all of it stays wide


def test_a_decode_step_reads_each_token_once_and_moves_one() -> None:
    program = through(LLAMA, f"{KIVI},fuse-attention")
    step = {"B": 3, "S": 1, "P": 4000}
    read = WIDE * 132 + NARROW * (4000 - 132) + WIDE  # and the new token, appended before it
    moves = WIDE + WIDE + NARROW  # one row written wide, one read wide and written narrow
    assert numbers(moved(program, "cache"), **step) == 3 * (read + moves)


def test_short_contexts_are_as_if_nothing_were_quantized() -> None:
    program, before = (through(LLAMA, f"{k},fuse-attention") for k in (KIVI, "merge-qkv"))
    step = {"B": 2, "S": 1, "P": 50}
    for count in (moved, stored):
        assert numbers(count(program, "cache"), **step) == numbers(count(before, "cache"), **step)
    assert numbers(flops(program), **step) == numbers(flops(before), **step)


def test_no_flop_of_the_matrix_unit_changes() -> None:
    assert plain(flops(through(LLAMA, KIVI)) - flops(model(LLAMA))) == 0


def test_golden_text_of_a_cache_in_two_parts() -> None:
    lines = [line.strip() for line in str(through(LLAMA, KIVI).graph()).splitlines()]
    for line in (
        "cache %layers.{i}.k_cache.recent: bf16[B, 8, least(P, 132), 128]",
        "cache %layers.{i}.k_cache: int2g32s16z16(bf16)[B, 8, P - least(P, 132), 128]",
        "%layers.k_append.dequantize: bf16[B, 8, P - least(P, 132), 128] = "
        "dequantize(%layers.{i}.k_cache) #layers.scores",
        "%layers.k_append.joined: bf16[B, 8, P + S, 128] = join(%layers.k_append.dequantize, "
        "%layers.k_append.recent, axis=2) #layers.scores",
    ):
        assert line in lines
    (made, *_) = (line for line in lines if "append_recent" in line)
    assert made.endswith(
        "append_recent(%layers.{i}.k_cache.recent, %layers.k_rope, %layers.{i}.k_cache, "
        'window=128, sinks=4) "layers.k_append"'
    )


@pytest.mark.parametrize(
    "other",
    [
        "fuse-attention",
        "limit-kv{window=1020 sinks=4}",
        "split-decode-attention",
        "prune:heads=0.5",
        "parallel{tp=2}",
        "merge-qkv",
        "mixture-of-depths",
        "reuse-prefix{hit=100}",
    ],
)
def test_it_commutes_with_what_else_changes_caches(other: str) -> None:
    one, two = through(LLAMA, f"{KIVI},{other}"), through(LLAMA, f"{other},{KIVI}")
    for step in ({"B": 2, "S": 1, "P": 3000}, {"B": 1, "S": 900, "P": 100}):
        for role in ("weight", "cache", "activation"):
            assert numbers(moved(one, role) - moved(two, role), **step) == 0, role
            assert numbers(stored(one, role) - stored(two, role), **step) == 0, role
        assert numbers(flops(one) - flops(two), **step) == 0


def test_a_bound_shorter_than_what_stays_wide_leaves_nothing_narrow() -> None:
    one, two = (
        through(LLAMA, f"{KIVI},limit-kv:window=60"),
        through(LLAMA, f"limit-kv:window=60,{KIVI}"),
    )
    assert not ops(two, AppendRecent)
    step = {"B": 2, "S": 1, "P": 3000}
    for count in (moved, stored):
        assert numbers(count(one, "cache") - count(two, "cache"), **step) == 0


def test_windows_of_a_model_that_are_shorter_stay_as_they_are() -> None:
    """Gemma 2: every other layer sees 4096 tokens, which a window of 5000 keeps wide."""
    program = through("gemma-2-2b", "quantize{kv=int4 kv-window=5000}")
    assert len(ops(program, AppendRecent)) == 2  # keys and values of the full layers
    assert len(ops(through("gemma-2-2b", "quantize{kv=int4 kv-window=64}"), AppendRecent)) == 4


@pytest.mark.parametrize("name", ["deepseek-v2-lite", "deepseek-v3.2"])
def test_latent_caches_have_no_window_and_say_so(name: str) -> None:
    with pytest.raises(MansardError, match="no plain cache") as caught:
        through(name, KIVI)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("kv=int2 kv-window=-1", "below 0"),
        ("kv=int2 kv-sinks=-4", "below 0"),
        ("kv=int2 kv-window=1.5", "whole number"),
        ("weights=int4 kv-window=128", "without kv"),
        ("weights=int4 kv-sinks=4", "without kv"),
        ("kv=int2 window=128", "window"),
    ],
)
def test_windows_that_make_no_sense_are_refused_with_a_hint(options: str, words: str) -> None:
    with pytest.raises(MansardError, match=words) as caught:
        parse(f"quantize{{{options}}}", known())
    assert caught.value.hint
