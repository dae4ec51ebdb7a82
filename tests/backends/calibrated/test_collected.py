"""Tables whose collectors ran less than a row says; bounds where a run leaves bytes on chip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mansard.backends.calibrated import fitting, routing
from mansard.backends.calibrated.collected import experts, kept_of, recurrence
from mansard.backends.calibrated.facts import facts
from mansard.backends.calibrated.form import PLAIN
from mansard.backends.calibrated.measured import Measurement, read
from mansard.backends.calibrated.parameters import Key
from mansard.backends.calibrated.registry import form
from mansard.backends.chips import load

CHIP = load("h100-sxm")
GDN = {
    "src": "vllm-0.24.0", "kind": "gdn", "kernel": "gdn/causal_conv1d_fn", "phase": "context",
    "batch": "2", "tokens": "256", "d_model": "2048", "d_conv": "4", "k_heads": "16",
    "k_dim": "128", "v_heads": "32", "v_dim_or_state": "128", "model": "Qwen/Qwen3.5-35B-A3B",
}  # fmt: skip
MOE = {
    "src": "vllm-0.24.0", "kernel": "fused", "dtype": "bfloat16", "tokens": "64",
    "hidden": "7168", "inter": "2048", "topk": "8", "experts": "256", "moe_tp": "1",
    "moe_ep": "1", "dist": "balanced",
}  # fmt: skip


def _rounds(
    counts: np.ndarray, left: int, can: Callable[[np.ndarray], np.ndarray], step: int
) -> None:
    """Give ``left`` assignments out one at a time, a rank after another, as the collector does."""
    while left > 0:
        before = left
        for own in counts:
            free = np.nonzero(can(own))[0]
            if not len(free) or not left:
                continue
            pick = np.argmin(own[free]) if step > 0 else np.argmax(own[free])
            own[free[pick]] += step
            left -= 1
        if left == before:
            return


@pytest.mark.parametrize(
    ("tokens", "count", "top_k", "ranks", "alpha"),
    [
        (1, 512, 22, 16, 1.01),
        (2, 256, 8, 8, 1.2),
        (300, 256, 8, 32, 1.2),
        (512, 8, 2, 2, 1.01),
        (2000, 512, 22, 64, 1.2),
    ],
)
def test_a_draw_is_what_the_collector_deals_out_one_by_one(
    tokens: int, count: int, top_k: int, ranks: int, alpha: float
) -> None:
    found = routing._drawn(
        np.random.default_rng(3), tokens, count, top_k, ranks, alpha, routing.RANKS
    )
    total = tokens * top_k
    low, high = (1.0, 0.8 * tokens) if total > count else (0.01, 2.0)
    e = 1 - alpha
    share = ((high**e - low**e) * np.random.default_rng(3).random(count) + low**e) ** (1 / e)
    drawn = np.round(share / share.sum() * total).astype(np.int64)
    over = int(np.maximum(drawn - tokens, 0).sum())
    by_rank = np.minimum(drawn, tokens).reshape(ranks, -1)
    _rounds(by_rank, over, lambda own: own < tokens, 1)
    missing = total - int(by_rank.sum())
    _rounds(by_rank, missing, lambda own: own < tokens, 1)
    _rounds(by_rank, -missing, lambda own: own > 0, -1)
    assert found.sum() == by_rank.sum() == total
    assert found.max() <= tokens
    for mine, theirs in zip(found.reshape(ranks, -1), by_rank, strict=True):
        assert sorted(mine) == sorted(theirs)


def test_tokens_of_a_rank_are_those_with_an_expert_there() -> None:
    counts = routing._drawn(np.random.default_rng(5), 333, 128, 6, 4, 1.2, routing.RANKS)
    order = np.argsort(-counts, kind="stable")
    chosen = np.repeat(order, counts[order]).reshape(6, 333).T  # the collector's way to deal
    for rank in range(4):
        there = ((chosen >= rank * 32) & (chosen < (rank + 1) * 32)).any(axis=1)
        assert routing._reached(counts, rank, 32, 333) == there.sum()


@pytest.mark.parametrize("tokens", [1, 3, 31, 32, 200, 5000])
def test_balanced_tokens_take_turns(tokens: int) -> None:
    stride = 256 // 8
    counts = np.zeros(256, dtype=np.int64)
    for t in range(tokens):
        first = t if tokens >= stride else int(t * stride / tokens)
        for j in range(8):
            counts[(first + j * stride) % 256] += 1
    assert routing._balanced(tokens, 256, 8).tolist() == counts.tolist()


def test_one_token_leaves_the_busiest_of_many_ranks_little_more_than_its_share() -> None:
    dealt = routing.load(1, 512, 22, 16, 1.01)
    assert 22 / 16 <= dealt.active < 6
    assert routing.load(1, 512, 22, 16, 1.01, routing.LARGEST).active > 12


@pytest.mark.parametrize("to", [routing.RANKS, routing.SMALLEST, routing.LARGEST])
def test_every_way_of_dealing_deals_all_assignments(to: str) -> None:
    for tokens, count, top_k, ranks in ((1, 512, 22, 16), (700, 8, 2, 2), (64, 128, 1, 8)):
        drawn = np.random.default_rng(2)
        found = routing._drawn(drawn, tokens, count, top_k, ranks, 1.01, to)
        assert found.sum() == tokens * top_k
        assert found.min() >= 0
        assert to == routing.LARGEST or found.max() <= tokens


def test_a_convolution_of_packed_rows_filters_them_and_one_of_keys_the_keys() -> None:
    *_, packed = recurrence(GDN, CHIP)
    *_, keys = recurrence(GDN | {"src": "trtllm-1.3.0rc20"}, CHIP)
    # 2·16·128 + 32·128 channels, and 16·128; in and out, and three inputs kept a sequence
    assert packed["bytes"] == 8192 * (256 * 4 + 2 * 3 * 2)
    assert keys["bytes"] == 2048 * (256 * 4 + 2 * 3 * 2)
    assert keys["held"] == 2048 * (256 * 2 + 2 * 3 * 2)  # it writes over its input


def test_a_state_counts_as_it_was_kept() -> None:
    rule = GDN | {"kernel": "gdn/fused_recurrent_gated_delta_rule", "phase": "generation"}
    rule |= {"tokens": "2"}
    elements, streamed = 2 * 32 * 128 * 128, 2 * 2 * (2 * 16 + 2 * 32) * 128
    *_, fp32 = recurrence(rule, CHIP)
    *_, bf16 = recurrence(rule | {"src": "trtllm-1.3.0rc20"}, CHIP)
    *_, none = recurrence(rule | {"src": "trtllm-1.3.0rc20", "phase": "context"}, CHIP)
    assert fp32["bytes"] - streamed == 8 * elements  # read and written
    assert bf16["bytes"] - streamed == 6 * elements  # a bf16 one in, a new fp32 one out
    assert none["bytes"] == streamed
    assert fp32["flops"] == 6 * elements


def test_experts_without_a_gate_and_routers_of_groups_read_less() -> None:
    *_, grouped = experts(MOE, CHIP)
    *_, plain = experts(MOE | {"src": "trtllm-1.3.0rc20"}, CHIP)
    assert (plain["active"], grouped["active"]) == (256, 128 + 4)
    *_, bare = experts(MOE | {"hidden": "2048", "inter": "5120", "topk": "22"} |
                       {"experts": "512"}, CHIP)  # fmt: skip
    assert (plain["matrices"], bare["matrices"]) == (3, 2)


def test_a_cache_of_keys_alone_is_read_once_by_grouped_heads() -> None:
    row = {"src": "trtllm-1.0.0", "phase": "decode", "heads": "32", "kv_heads": "8"}
    assert kept_of(row, 256.0) == 128.0
    assert kept_of(row | {"kv_heads": "32"}, 256.0) == 256.0
    assert kept_of(row | {"src": "trtllm-1.3.0rc20"}, 256.0) == 256.0
    assert kept_of(row | {"phase": "prefill"}, 256.0) == 256.0


def test_what_a_run_leaves_on_chip_need_not_come_from_memory() -> None:
    chip = replace(facts(CHIP), cache_bytes=1e6, bytes_per_s=1e9, level_bytes_per_s=4e9)
    rows = [
        Measurement(Key("stream"), CHIP.id, {"rows": 1.0, "cols": 1.0, "flops": 0.0, "peak": 1.0,
                    "bytes": moved, "held": held}, (moved,), 1.0, f"{moved}", "made.csv")
        for moved, held in ((4e5, 4e5), (4e6, 4e6), (4e6, 2e6))
    ]  # fmt: skip
    level = fitting.columns(rows, chip)[0].level_bound()
    # all of it at the level's rate; a quarter stays; half stays, being written where it was read
    assert level == pytest.approx([1e-4, 3e-3, 2e-3])


def test_an_a100_states_what_its_level_on_chip_gives() -> None:
    assert facts(load("a100-sxm-80gb")).level_bytes_per_s == 5120 * 1.41e9 // 1e9 * 1e9
    # no more than 64 bytes a unit and clock, nor six times the memory's rate, where none is stated
    chip = load("b200-sxm")
    assert chip.unit_count is not None
    assert chip.clock_hz is not None
    assert facts(chip).level_bytes_per_s == 64 * chip.unit_count * chip.clock_hz
    ada = facts(load("rtx-pro-6000-server"))
    assert ada.level_bytes_per_s == 6 * ada.bytes_per_s


DATA = Path(__file__).parents[4] / "shared" / "data" / "measured" / "ops"


@pytest.mark.skipif(not DATA.is_dir(), reason="the measured tables are not beside the repository")
@pytest.mark.parametrize("table", ["linear_attn__*", "moe__rtx_pro_6000"])
def test_no_measured_recurrence_or_mixture_beats_its_bound(table: str) -> None:
    for path in DATA.glob(f"{table}.csv"):
        rows = list(read(path))
        for columns in fitting.columns(rows, facts(load(rows[0].chip))):
            kept = columns.level_bound() <= 1.05 * columns.seconds
            assert kept.mean() >= 0.99, (path.name, columns.key.text())


def test_units_pump_rows_until_the_link_is_full() -> None:
    law = form("dispatch")
    values = tuple({"e_link": 1.0, "unit": 1e10, "sharp": 10.0}.get(p.name, p.low)
                   for p in law.parameters)  # fmt: skip
    z = {"tokens": 65536.0, "hidden": 7168.0, "top_k": 8.0, "experts": 256.0, "ranks": 8.0,
         "nodes": 1.0, "x_bytes": 2.0, "peak": 1.0}  # fmt: skip
    few, more, most, all_of = (
        law.seconds(values, z | {"units": float(n)}, facts(CHIP), PLAIN) for n in (4, 8, 64, 128)
    )
    assert few == pytest.approx(2 * more, rel=0.01)
    assert most == pytest.approx(all_of, rel=0.01)


def test_a_time_below_any_launch_is_no_kernels() -> None:
    sizes = {"rows": 1.0, "cols": 32.0, "flops": 0.0, "peak": 1.0, "bytes": 64.0}
    rows = [
        Measurement(Key("stream"), CHIP.id, sizes, (n,), n, f"{n}", "made.csv")
        for n in (1e-8, 1e-6)
    ]
    assert fitting.is_trusted(fitting.columns(rows, facts(CHIP))[0]).tolist() == [False, True]
