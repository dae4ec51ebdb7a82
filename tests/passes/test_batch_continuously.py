"""Continuous batching: the steady state, checked by simulating it."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from tests.passes.serving import FAMILIES, O1, applied, priced, step_s, through

from mansard.core.errors import MansardError
from mansard.passes.batch_continuously import static_utilization

BIG = "llama-3.1-8b"

DRAWS: dict[str, Callable[[random.Random, int], int]] = {
    "fixed": lambda _, mean: mean,
    "uniform": lambda r, mean: r.randint(1, 2 * mean - 1),
    "exponential": lambda r, mean: _geometric(r, mean),
}


def _geometric(r: random.Random, mean: int) -> int:
    n = 1
    while r.random() > 1 / mean:
        n += 1
    return n


@pytest.mark.parametrize("sequences", [1, 2, 8, 64])
@pytest.mark.parametrize("lengths", ["fixed", "uniform", "exponential"])
def test_a_static_batch_wastes_what_a_simulation_wastes(lengths: str, sequences: int) -> None:
    """Mean length over the mean of the longest, 4000 batches of mean 200."""
    r = random.Random(7)
    useful = slots = 0
    for _ in range(4000 // sequences + 200):
        batch = [DRAWS[lengths](r, 200) for _ in range(sequences)]
        useful += sum(batch)
        slots += sequences * max(batch)
    assert static_utilization(lengths, sequences) == pytest.approx(useful / slots, rel=0.05)


@pytest.mark.parametrize(
    ("lengths", "age"), [("fixed", 1 / 2), ("uniform", 2 / 3), ("exponential", 1)]
)
def test_the_mean_context_is_that_of_a_simulated_slot(lengths: str, age: float) -> None:
    """The age of the running sequence over every step, against ``a·(L-1)`` with L = 100."""
    r = random.Random(11)
    ages = [k for _ in range(4000) for k in range(DRAWS[lengths](r, 100))]
    assert sum(ages) / len(ages) == pytest.approx(age * 99, rel=0.04)
    program = through(BIG, f"batch-continuously{{lengths={lengths}}},{O1}")
    decode = priced(program, batch=1, prompt=1000, output=101).phases["decode"]
    read = next(r for r in decode.ops if r.name == "layers.attention")
    a_key = 2 * 8 * 128 * 2
    assert read.dims["kv_len"] == pytest.approx(1000 + age * 99 + 1, rel=1e-12)
    assert read.kv_bytes == pytest.approx((1001 + age * 99) * a_key, rel=1e-12)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_step_waits_for_the_prefills_of_the_others(name: str) -> None:
    b, steps = 8, 100
    program = through(name, f"batch-continuously,{O1}")
    answer = priced(program, batch=b, prompt=600, output=steps + 1)
    alone = step_s(program, "target", 1, 600, 0)
    assert answer.metrics.ttft_s == pytest.approx(alone, rel=1e-12)
    decode = step_s(program, "target", b, 1, 600 + 99 // 2)  # and half a token more
    later = step_s(program, "target", b, 1, 600 + 99 // 2 + 1)
    stall = (b - 1) / steps * alone
    assert answer.metrics.tpot_s == pytest.approx((decode + later) / 2 + stall, rel=1e-6)
    total = b * alone + steps * (decode + later) / 2
    assert answer.metrics.throughput_tok_s == pytest.approx(b * (steps + 1) / total, rel=1e-6)


def test_one_slot_waits_for_nobody() -> None:
    plain, one = priced(through(BIG, O1)), priced(through(BIG, f"batch-continuously,{O1}"))
    assert one.metrics.tpot_s == pytest.approx(plain.metrics.tpot_s or 0, rel=1e-9)
    assert one.metrics.ttft_s == plain.metrics.ttft_s


def test_one_token_of_output_is_a_prefill_alone() -> None:
    answer = priced(through(BIG, "batch-continuously"), batch=4, output=1)
    assert answer.metrics.tpot_s is None
    assert answer.metrics.latency_s == answer.metrics.ttft_s
    alone = answer.phases["prefill"].time_s  # four prefills make four tokens
    assert answer.metrics.throughput_tok_s == pytest.approx(1 / alone, rel=1e-12)


def test_chunks_before_it_are_the_prefills_it_waits_for() -> None:
    pipeline = f"chunk-prefill{{size=256}},batch-continuously,{O1}"
    whole, cut = (priced(through(BIG, p), batch=8) for p in (f"batch-continuously,{O1}", pipeline))
    assert (cut.metrics.ttft_s or 0) > (whole.metrics.ttft_s or 0)
    assert (cut.metrics.tpot_s or 0) > (whole.metrics.tpot_s or 0)


def test_longer_tails_waste_more() -> None:
    for a, b in pairwise(("fixed", "uniform", "exponential")):
        assert static_utilization(a, 64) > static_utilization(b, 64)


def test_it_says_what_a_static_batch_keeps() -> None:
    (done,) = applied(BIG, "batch-continuously{lengths=exponential}")[1]
    assert "37% of 8" in done.changed


def test_an_unknown_distribution_is_named() -> None:
    with pytest.raises(MansardError, match="lengths"):
        applied(BIG, "batch-continuously{lengths=zipf}")
    with pytest.raises(MansardError, match="zipf"):
        static_utilization("zipf", 4)


def test_prompts_admitted_together_stop_decoding_less_often() -> None:
    """(12 - 4)/4 = 2 prefills of four prompts in the 99 steps of a sequence, then 11 of one."""
    asked: dict[str, Any] = {"batch": 12, "prompt": 256, "output": 100}
    four = priced(through(BIG, f"batch-continuously{{admitted=4}},{O1}"), **asked).phases
    one = priced(through(BIG, f"batch-continuously,{O1}"), **asked).phases
    prompts = {n: priced(through(BIG, O1), **(asked | {"batch": n})).phases["prefill"].time_s
               for n in (1, 4)}  # fmt: skip
    assert four["prefill"].time_s == pytest.approx(prompts[4], rel=1e-12)
    step = one["decode"].time_s - 11 * prompts[1] / 99
    assert four["decode"].time_s == pytest.approx(step + 2 * prompts[4] / 99, rel=1e-9)
    small = priced(
        through(BIG, f"batch-continuously{{admitted=4}},{O1}"), batch=2, prompt=256, output=9
    )
    assert small.phases["prefill"].time_s == pytest.approx(
        priced(through(BIG, O1), batch=2, prompt=256, output=9).phases["prefill"].time_s
    )
