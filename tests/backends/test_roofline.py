"""The roofline: phases, metrics, bounds and what it warns of, against hand counts."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import sympy as sp

from mansard.backends.chips import load as chip
from mansard.backends.hardware import Hardware
from mansard.backends.roofline import Answer, estimate
from mansard.core.dtypes import Encoding
from mansard.core.errors import MansardError
from mansard.core.symbols import step as step_index
from mansard.core.symbols import symbol
from mansard.frontends.hf.load import load
from mansard.ir.ops import Linear
from mansard.ir.program import TARGET, Call, Loop, Program, binding
from mansard.ir.rewrite import retype
from mansard.ir.value import TensorType, Value


@cache
def program(name: str) -> Program:
    return load(name)


def run(name: str, batch: int, prompt: int, output: int, on: str = "h100-sxm") -> Answer:
    scenario = {"batch": batch, "prompt": prompt, "output": output}
    return estimate(program(name), chip(on), scenario)


def one_call(name: str, new: int, past: int, on: str | Hardware = "h100-sxm") -> Answer:
    """Return the answer of a single call of one sequence, as the phase ``step``."""
    call = Call(TARGET, binding(1, new, past), phase="step")
    hardware = chip(on) if isinstance(on, str) else on
    return estimate(replace(program(name), schedule=(call,)), hardware, {})


@pytest.mark.parametrize("name", ["llama-3.1-8b", "gemma-2-2b", "mixtral-8x7b-v0.1"])
def test_decode_is_the_mean_of_its_steps_taken_one_by_one(name: str) -> None:
    """Across the window of Gemma-2 (4096) too."""
    prompt, output = 4080, 30
    decode = run(name, 1, prompt, output).phases["decode"]
    steps = [one_call(name, 1, prompt + i).phases["step"] for i in range(output - 1)]
    assert decode.steps == output - 1
    for figure in ("time_s", "flops", "bytes", "weight_bytes", "kv_bytes", "overlapped_s"):
        mean = sum(getattr(step, figure) for step in steps) / len(steps)
        assert getattr(decode, figure) == pytest.approx(mean, rel=1e-12), figure
    assert decode.first_step_s == pytest.approx(steps[0].time_s, rel=1e-12)
    assert decode.last_step_s == pytest.approx(steps[-1].time_s, rel=1e-12)


def test_metrics_are_the_contracts_formulas() -> None:
    answer = run("llama-3.1-8b", 16, 1000, 101)
    m, prefill, decode = answer.metrics, answer.phases["prefill"], answer.phases["decode"]
    assert m.ttft_s == prefill.time_s
    assert m.tpot_s == decode.time_s
    assert m.latency_s == pytest.approx(prefill.time_s + 100 * decode.time_s, rel=1e-15)
    assert m.latency_s is not None
    assert m.throughput_tok_s == pytest.approx(16 * 101 / m.latency_s, rel=1e-15)
    assert m.tokens_per_s_per_user == pytest.approx(1 / decode.time_s, rel=1e-15)


def test_one_token_of_output_is_a_prefill_alone() -> None:
    answer = run("llama-3.1-8b", 2, 100, 1)
    m = answer.metrics
    assert m.tpot_s is None
    assert m.tokens_per_s_per_user is None
    assert m.latency_s == m.ttft_s == answer.phases["prefill"].time_s
    assert m.throughput_tok_s == pytest.approx(2 / answer.phases["prefill"].time_s, rel=1e-15)


def test_a_row_takes_as_long_as_its_slowest_resource() -> None:
    phase = run("llama-3.1-8b", 4, 2048, 2).phases["prefill"]
    for row in phase.ops:
        assert row.time_s == pytest.approx(max(row.time_by_resource_s.values()), rel=1e-12)
        assert row.time_by_resource_s[row.bound] == max(row.time_by_resource_s.values())
    assert phase.time_s == pytest.approx(sum(r.time_s * r.count for r in phase.ops), rel=1e-12)
    assert sum(row.share for row in phase.ops) == pytest.approx(1.0, rel=1e-12)
    assert phase.overlapped_s <= phase.time_s
    assert sum(phase.time_by_resource_s.values()) == pytest.approx(phase.time_s, rel=1e-12)


def test_a_linear_by_hand_on_both_sides_of_the_ridge() -> None:
    """H100: 989.4 TFLOP/s bf16 and 3.35 TB/s; up_proj of Llama-3.1-8B is 4096 → 14336."""
    h, f = 4096, 14336
    for tokens, bound in ((1, "memory"), (4096, "compute")):
        rows = {r.name: r for r in one_call("llama-3.1-8b", tokens, 0).phases["step"].ops}
        flops, moved = 2 * tokens * h * f, 2 * (h * f + tokens * (h + f))
        row = rows["layers.up_proj"]
        assert (row.flops, row.bytes, row.weight_bytes) == (flops, moved, 2 * h * f)
        assert row.bound == bound
        assert row.time_s == pytest.approx(max(flops / 989.4e12, moved / 3.35e12), rel=1e-12)


def test_decode_reads_the_experts_that_are_hit() -> None:
    """E·(1 - (1 - k/E)^T) of 8 experts, 2 chosen: 2 for one token, 7.92 for sixteen."""
    one = 4096 * 14336 * 2 * 2  # gate and up side by side, 2 bytes each
    for batch in (1, 16):
        rows = {r.name: r for r in run("mixtral-8x7b-v0.1", batch, 64, 2).phases["decode"].ops}
        distinct = 8 * (1 - (1 - 2 / 8) ** batch)
        row = rows["layers.experts.gate_up_proj"]
        assert row.weight_bytes == pytest.approx(distinct * one, rel=1e-12)
        assert row.flops == 2 * (2 * batch) * 4096 * 2 * 14336


def test_a_windowed_layer_reads_its_window_and_a_global_one_everything() -> None:
    """Gemma-2-2B at 8192 cached tokens: 4 KV heads of 256, 2 bytes; the window is 4096 keys."""
    rows = {r.name: r for r in one_call("gemma-2-2b", 1, 8192).phases["step"].ops}
    a_key = 4 * 256 * 2
    assert rows["layers.scores"].kv_bytes == 8193 * a_key
    assert rows["layers.sliding_scores"].kv_bytes == 4096 * a_key
    assert rows["layers.scores"].count == rows["layers.sliding_scores"].count == 13


def test_an_expected_number_of_trips_is_whole_trips_and_the_fraction_of_one() -> None:
    times = sp.Rational(5, 2)
    trip = Call(TARGET, binding(1, 1, 100 + step_index), phase="decode")
    loop = Loop((trip,), times, step_index, yields=sp.S.One, phase="decode")
    answer = estimate(replace(program("gpt2"), schedule=(loop,)), chip("h100-sxm"), {})
    single = [one_call("gpt2", 1, 100 + i).phases["step"].time_s for i in range(3)]
    total = single[0] + single[1] + single[2] / 2
    assert answer.phases["decode"].steps == 2.5
    assert answer.phases["decode"].total_s == pytest.approx(total, rel=1e-12)


def test_a_dtype_the_chip_lacks_computes_in_a_wider_one_and_says_so() -> None:
    graph = program("llama-3.1-8b").graph()
    matrices = {op.w for op, _ in graph.walk() if isinstance(op, Linear)}

    def fp8(value: Value) -> TensorType:
        return replace(value.type, encoding=Encoding("fp8")) if value in matrices else value.type

    narrow = retype(graph, fp8)
    call = Call(TARGET, binding(1, 16, 0), phase="step")
    answer = estimate(Program({TARGET: narrow}, (call,)), chip("rtx-a6000"), {})
    row = next(r for r in answer.phases["step"].ops if r.name == "layers.q_proj")
    assert (row.compute_dtype, row.weight_encoding) == ("bf16", "fp8")
    assert row.weight_bytes == 4096 * 4096  # weights of 8 bits computed with 16-bit activations


def test_an_unknown_vector_rate_bounds_that_work_by_memory_and_is_said() -> None:
    known = chip("h100-sxm")
    peaks = {key: rate for key, rate in known.peaks.items() if key[0] != "vector"}
    answer = one_call("llama-3.1-8b", 512, 0, replace(known, peaks=peaks))
    assert "M012" in {note.code for note in answer.notes}
    softmax = next(r for r in answer.phases["step"].ops if r.name == "layers.softmax")
    assert softmax.bound == "memory"


def test_more_work_never_takes_less_time() -> None:
    def total(batch: int, prompt: int) -> float:
        return run("mixtral-8x7b-v0.1", batch, prompt, 8).metrics.latency_s or 0.0

    by_batch = [total(batch, 512) for batch in (1, 2, 8, 64)]
    by_prompt = [total(4, prompt) for prompt in (1, 64, 512, 4096)]
    assert by_batch == sorted(by_batch)
    assert by_prompt == sorted(by_prompt)


def test_a_symbol_nothing_binds_is_named() -> None:
    stray = symbol("stray")
    call = Call(TARGET, binding(1, 1, stray), phase="step")
    with pytest.raises(MansardError, match="stray"):
        estimate(replace(program("gpt2"), schedule=(call,)), chip("h100-sxm"), {})
