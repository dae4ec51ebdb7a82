"""Disaggregation: two pools, the caches that move between them, and the best split."""

from __future__ import annotations

import pytest
from tests.passes.serving import FAMILIES, O1, applied, model, priced, through

from mansard.backends.chips import load as chip
from mansard.backends.cluster import Cluster, network
from mansard.backends.roofline import estimate
from mansard.core.errors import MansardError
from mansard.ir.program import Together, calls
from mansard.passes.disaggregate import best_split

BIG = "llama-3.1-8b"
KEY = 131_072  # bytes a token caches in all 32 layers
LINK = 450e9  # of an H100, per direction


def test_pools_run_side_by_side_and_keep_their_phases() -> None:
    program = through(BIG, "disaggregate{prefill=1 decode=3}")
    (step,) = program.schedule
    assert isinstance(step, Together)
    assert [(c.phase, c.pool) for c in calls(program.schedule)] == [
        ("prefill", "prefill"), ("transfer", "prefill"), ("decode", "decode"),
    ]  # fmt: skip
    assert program.mesh == {"pool": 4}


def test_the_cache_of_the_prompt_crosses_the_link() -> None:
    """32 layers, keys and values, each a send with the link's latency."""
    phase = priced(through(BIG, "disaggregate"), batch=4).phases["transfer"]
    moved = 4 * 1000 * KEY
    assert phase.link_bytes == moved
    assert phase.time_s == pytest.approx(moved / LINK + 64 * 0.78e-6, rel=1e-12)


def test_between_nodes_it_crosses_the_network() -> None:
    net = network("ib-ndr400")
    cluster = Cluster(chip("h100-sxm"), 1, 2, net)
    answer = estimate(
        through(BIG, "disaggregate"), cluster, {"batch": 1, "prompt": 500, "output": 9}
    )
    wanted = 500 * KEY / net.bytes_per_s + 64 * (net.latency_s or 0.0)
    assert answer.phases["transfer"].time_s == pytest.approx(wanted, rel=1e-12)


def test_one_of_each_keeps_the_phases_and_shortens_the_period() -> None:
    one, two = (
        priced(through(BIG, O1), batch=8),
        priced(through(BIG, f"disaggregate,{O1}"), batch=8),
    )
    for phase in ("prefill", "decode"):
        assert two.phases[phase].total_s == pytest.approx(one.phases[phase].total_s, rel=1e-12)
    slowest = max(p.total_s for p in two.phases.values())
    assert two.metrics.throughput_tok_s == pytest.approx(8 * 101 / slowest, rel=1e-12)
    added = two.phases["transfer"].total_s
    assert two.metrics.latency_s == pytest.approx((one.metrics.latency_s or 0) + added, rel=1e-12)


@pytest.mark.parametrize(("prefill", "decode"), [(1, 3), (4, 1), (2, 2)])
def test_replicas_share_the_batch_and_each_pool_has_its_memory(prefill: int, decode: int) -> None:
    program = through(BIG, f"disaggregate{{prefill={prefill} decode={decode}}}")
    memory = priced(program, batch=12).memory
    assert memory.pools["prefill"].kv_cache == 12 // prefill * 1001 * KEY
    assert memory.pools["decode"].kv_cache == 12 // decode * 1101 * KEY
    assert {m.weights for m in memory.pools.values()} == {priced(model(BIG)).memory.weights}
    assert memory.total == max(m.total for m in memory.pools.values())


def test_a_batch_that_does_not_divide_is_that_of_the_fullest_replica() -> None:
    memory = priced(through(BIG, "disaggregate{decode=3}"), batch=7).memory
    assert memory.pools["decode"].kv_cache == 3 * 1101 * KEY


@pytest.mark.parametrize(("m_p", "m_d"), [(3.0, 1.0), (0.2, 5.0), (1.0, 1.0)])
def test_the_best_split_is_the_best_of_all(m_p: float, m_d: float) -> None:
    share, goodput = best_split(m_p, m_d)
    tried = [min(k / 10_000 * m_p, (1 - k / 10_000) * m_d) for k in range(10_001)]
    assert goodput == pytest.approx(max(tried), rel=1e-3)
    assert min(share * m_p, (1 - share) * m_d) == pytest.approx(goodput, rel=1e-12)
    assert max(tried) <= goodput * (1 + 1e-12)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_moves_is_what_was_cached_whatever_the_model(name: str) -> None:
    for first in ("quantize{weights=int4 kv=fp8}", O1):
        program = through(name, f"{first},disaggregate,{O1}")
        answer = priced(program, batch=2, prompt=500)
        cached = answer.memory.pools["prefill"].kv_cache * 500 / 501
        assert answer.phases["transfer"].link_bytes == pytest.approx(cached, rel=1e-12)


def test_a_draft_and_a_shared_prefix_move_too() -> None:
    both = priced(through(BIG, "speculative-decode{draft=self keep=0.5},disaggregate"))
    alone = priced(through(BIG, "disaggregate"))
    ratio = both.phases["transfer"].link_bytes / alone.phases["transfer"].link_bytes
    assert ratio == pytest.approx(1.5, rel=1e-12)
    shared = priced(through(BIG, "reuse-prefix{hit=600 shared=true},disaggregate"), batch=4)
    assert shared.phases["transfer"].link_bytes == (600 + 4 * 400) * KEY


def test_a_chip_without_a_link_is_named_with_what_to_add() -> None:
    from dataclasses import replace

    lonely = replace(chip("h100-sxm"), link_bytes_per_s=None)
    with pytest.raises(MansardError, match="no link") as caught:
        priced(through(BIG, "disaggregate"), on=lonely)
    assert "network" in (caught.value.hint or "")


def test_it_is_done_once_and_needs_both_phases() -> None:
    with pytest.raises(MansardError, match="several pools"):
        applied(BIG, "disaggregate,disaggregate")
    with pytest.raises(MansardError, match="below 1"):
        applied(BIG, "disaggregate{decode=0}")
    from dataclasses import replace

    from mansard.passes.disaggregate import Disaggregate

    decode = replace(model(BIG), schedule=model(BIG).schedule[1:])
    assert [n.code for n in Disaggregate().run(decode).notes] == ["M020"]


def test_chunks_of_a_prefill_on_a_pool_of_its_own_follow_one_another() -> None:
    first = through("llama-3.1-8b", "disaggregate,chunk-prefill{size=256}")
    last = through("llama-3.1-8b", "chunk-prefill{size=256},disaggregate")
    assert first.schedule == last.schedule
    assert priced(first).metrics.ttft_s == priced(last).metrics.ttft_s
