"""Pipelines and data parallelism: stages, microbatches, bubbles, and batches per rank."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp
from tests.passes.rewriting import model, ops, stored, through

from mansard.backends.chips import load as chip
from mansard.backends.cluster import Cluster
from mansard.backends.roofline import Answer, estimate
from mansard.core.errors import SpecError
from mansard.core.symbols import B, batch
from mansard.ir.ops import Collective
from mansard.ir.program import Program, Wait, calls
from mansard.ir.region import Repeat

LLAMA = "llama-3.1-70b"


def answer(program: Program, batch: int = 1, output: int = 9) -> Answer:
    """The bound on a node of chips whose link costs next to nothing."""
    fast = replace(chip("h100-sxm"), link_bytes_per_s=9e14, link_latency_s=1e-15)
    nodes = Cluster(fast, 64, 1, mesh=program.mesh)
    return estimate(program, nodes, {"batch": batch, "prompt": 512, "output": output})


def test_the_last_stage_of_four_has_twenty_layers_and_the_head() -> None:
    stage = through(LLAMA, "parallel:pp=4")
    assert [op.trips for op in ops(stage, Repeat)] == [20]
    head, norm = 2 * 128_256 * 8192, 2 * 8192
    layers = stored(model(LLAMA), "weight") - 2 * head - norm
    assert stored(stage, "weight") == layers / 4 + head + norm
    assert [op.op for op in ops(stage, Collective)] == ["send"]


@pytest.mark.parametrize("stages", [2, 4, 8])
def test_the_latency_of_one_sequence_does_not_change_with_stages(stages: int) -> None:
    alone, staged = answer(model(LLAMA)), answer(through(LLAMA, f"parallel:pp={stages}"))
    for phase in ("prefill", "decode"):
        ratio = staged.phases[phase].time_s / alone.phases[phase].time_s
        assert 1 <= ratio < 1.0015  # a final norm and a message a stage, less the embedding


def test_stages_wait_while_the_pipeline_fills_and_not_in_decode_when_every_stage_is_busy() -> None:
    done = answer(through(LLAMA, "parallel:pp=4"), batch=16)
    waits = {p: [r for r in done.phases[p].ops if r.kind == "wait"] for p in ("prefill", "decode")}
    (bubble,) = waits["prefill"]
    assert bubble.count == 3
    assert bubble.share == pytest.approx(3 / 7, rel=0.02)  # (p-1)/(m+p-1) with m = p = 4
    assert sum(r.time_s * r.count for r in waits["decode"]) == 0


def test_a_pipeline_of_one_phase_fills_and_empties_as_one_of_both_does() -> None:
    whole, one = (
        answer(through(LLAMA, f"parallel:pp=4{only}"), batch=16) for only in ("", ",phase=prefill")
    )
    assert one.phases["prefill"].time_s == whole.phases["prefill"].time_s
    assert not [row for row in one.phases["decode"].ops if row.kind == "wait"]


def test_a_batch_smaller_than_the_stages_leaves_some_waiting_in_every_step() -> None:
    two, eight = (answer(through(LLAMA, "parallel:pp=4"), batch=b) for b in (2, 8))
    assert two.metrics.tpot_s == pytest.approx(eight.metrics.tpot_s, rel=0.05)
    assert two.phases["decode"].time_by_resource_s["overhead"] > 0


def test_a_stage_keeps_the_caches_of_every_microbatch() -> None:
    staged = answer(through(LLAMA, "parallel:pp=4"), batch=16)
    alone = answer(model(LLAMA), batch=16)
    assert staged.memory.kv_cache * 4 == alone.memory.kv_cache


def test_layers_that_do_not_divide_give_the_busiest_stage_one_more() -> None:
    stage = through("deepseek-v3", "parallel:pp=4")  # 61 layers: 16, 15, 15, 15
    assert sum(op.trips for op in ops(stage, Repeat)) == 16
    gemma = through("gemma-2-2b", "parallel:pp=4")  # 26 layers in periods of 2; the head is heavy
    assert sum(2 * op.trips for op in ops(gemma, Repeat)) == 6


def test_more_stages_than_layers_is_an_error() -> None:
    with pytest.raises(SpecError, match="more stages than the 12 layers"):
        through("gpt2", "parallel:pp=16")


def test_each_data_rank_has_its_part_of_the_batch_rounded_up() -> None:
    program = through("llama-3.1-8b", "parallel:dp=4")
    bound = [call.bind[B].xreplace({batch: sp.Integer(10)}) for call in calls(program.schedule)]
    assert bound == [3, 3]
    assert program.graph() is model("llama-3.1-8b").graph()


def test_throughput_counts_the_sequences_of_every_rank() -> None:
    one, four = (
        answer(model("llama-3.1-8b"), 8),
        answer(through("llama-3.1-8b", "parallel:dp=4"), 32),
    )
    assert four.metrics.tpot_s == one.metrics.tpot_s
    assert four.metrics.throughput_tok_s == pytest.approx(4 * (one.metrics.throughput_tok_s or 0.0))


def test_a_bubble_waits_as_long_as_a_stage_without_its_head() -> None:
    program = through(LLAMA, "parallel:pp=4")
    waits = [s for s in program.schedule if isinstance(s, Wait)]
    assert [(w.name, w.times) for w in waits] == [("pipeline_bubble", 3)]
    (like,) = calls(tuple(waits))
    assert like.wants == ("hidden",)
