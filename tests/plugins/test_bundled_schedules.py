"""Bundled techniques that rewrite the schedule, each against the formula of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

import mansard as ms

MODEL, SMALL = "llama-3.2-1b", "gpt2"
ASKED: Mapping[str, Any] = {"on": "h100-sxm", "batch": 2, "prompt": 512, "output": 65}


def asked(technique: str = "", model: str = MODEL, **changes: Any) -> ms.Estimate:
    """An answer about a small model with a technique."""
    specs = [technique] if technique else []
    return ms.analyze(model, techniques=specs, **{**ASKED, **changes})


def flops(answer: ms.Estimate, phase: str) -> float:
    """FLOP of every step of a phase."""
    return float(answer.phases[phase].flops * answer.phases[phase].steps)


def total_s(answer: ms.Estimate, phase: str) -> float:
    """Time of every step of a phase [s]."""
    return answer.phases[phase].total_s


def test_a_compressed_prompt_is_a_shorter_one() -> None:
    short = asked(prompt=128)
    made = asked("compress-prompt{ratio=4}")
    assert made.ttft == pytest.approx(short.ttft)
    assert made.tpot == pytest.approx(short.tpot)
    assert made.memory.total == short.memory.total


def test_a_compressor_reads_the_whole_prompt_once_and_stays() -> None:
    short, small = asked(prompt=128), asked(model=SMALL)
    made = asked("compress-prompt{ratio=4 compressor=gpt2}")
    own = flops(made, "prefill") - flops(short, "prefill")
    head = 2 * 2 * 50257 * 768  # its logits are not wanted
    assert own == pytest.approx(flops(small, "prefill") - head, rel=1e-3)
    assert made.memory.weights == short.memory.weights + small.memory.weights
    assert made.decode.flops == short.decode.flops


def test_a_summary_is_written_token_by_token() -> None:
    read = asked("compress-prompt{ratio=4 compressor=gpt2}")
    wrote = asked("compress-prompt{ratio=4 compressor=gpt2 summary=true}")
    assert wrote.ttft is not None
    assert read.ttft is not None
    weights_s = 127 * 248_000_000 / 3.35e12  # 124 M parameters in bf16, 127 steps
    assert wrote.ttft - read.ttft > weights_s
    assert wrote.tpot == pytest.approx(read.tpot)


def test_vectors_stand_for_a_prefix_and_an_encoder_reads_it() -> None:
    short = asked(prompt=512 - 300 + 8)
    made = asked("soft-prompt{prefix=300 tokens=8}")
    assert made.ttft == pytest.approx(short.ttft)
    assert made.memory.kv_cache == short.memory.kv_cache
    online = asked("soft-prompt{prefix=300 tokens=8 online=true}")
    read = asked(prompt=308, output=1)
    head = 2 * 2 * 128256 * 2048
    extra = flops(online, "prefill") - flops(made, "prefill")
    assert extra == pytest.approx(flops(read, "prefill") - head, rel=1e-3)


def test_passages_lengthen_the_prompt_and_the_index_is_read_once_a_batch() -> None:
    longer = asked(prompt=512 + 4 * 64)
    made = asked("retrieve{chunks=4 size=64}")
    assert made.ttft == pytest.approx(longer.ttft)
    found = asked("retrieve{chunks=4 size=64 documents=1000000 width=256 latency=3ms}")
    assert found.ttft is not None
    assert made.ttft is not None
    index_s = 1_000_000 * 256 * 2 / 3.35e12
    assert found.ttft - made.ttft == pytest.approx(3e-3 + index_s, rel=0.02)
    assert flops(found, "prefill") - flops(made, "prefill") == 2 * 2 * 1_000_000 * 256


def test_searching_again_reads_everything_again() -> None:
    once = asked("retrieve{chunks=4 size=64}")
    again = asked("retrieve{chunks=4 size=64 every=16}")
    reads = [asked(prompt=512 + 256 + 16 * k, output=1).ttft or 0.0 for k in (1, 2, 3)]
    extra = total_s(again, "decode") - total_s(once, "decode")
    assert extra == pytest.approx(sum(reads), rel=1e-6)


@pytest.mark.parametrize("fork", ["true", "false"])
def test_branches_take_the_steps_of_the_outline_and_of_the_longest(fork: str) -> None:
    made = asked(f"branch-decode{{skeleton=17 branches=4 fork={fork}}}")
    assert made.phases["decode"].steps == 64
    outline = asked(output=17)
    wide_s = total_s(made, "decode") - total_s(outline, "decode")
    branch = asked(batch=8, prompt=512 + 17, output=13)
    reading = 0.0 if fork == "true" else (branch.ttft or 0.0)
    steps = 12 if fork == "true" else 11
    assert wide_s == pytest.approx(reading + steps * (branch.tpot or 0), rel=2e-2)


def test_an_answer_shorter_than_the_outline_has_no_branches() -> None:
    assert asked("branch-decode{skeleton=100 branches=4}").tpot == pytest.approx(asked().tpot)


def test_a_cascade_costs_the_small_model_and_a_share_of_the_large_one() -> None:
    large, small = asked(), asked(model=SMALL)
    made = asked("cascade{small=gpt2 escalate=0.25}")
    for phase in ("prefill", "decode"):
        expected = total_s(small, phase) + 0.25 * total_s(large, phase)
        assert total_s(made, phase) == pytest.approx(expected)
    assert made.latency == pytest.approx((small.latency or 0) + 0.25 * (large.latency or 0))
    assert made.memory.weights == large.memory.weights + small.memory.weights


def test_a_router_costs_the_mean_of_both() -> None:
    large, small = asked(), asked(model=SMALL)
    made = asked("route{small=gpt2 away=0.75}")
    assert made.latency == pytest.approx(0.75 * (small.latency or 0) + 0.25 * (large.latency or 0))


def test_a_student_is_all_that_is_left() -> None:
    made, student = asked("replace-model{student=gpt2}"), asked(model=SMALL)
    assert made.latency == pytest.approx(student.latency)
    assert made.memory.total == student.memory.total


def test_lookahead_reads_the_weights_once_for_all_positions_of_a_step() -> None:
    made, plain = asked("lookahead-decode{window=5 guesses=5 ngram=3 accepted=2}"), asked()
    assert made.phases["decode"].steps == plain.phases["decode"].steps
    assert made.decode.weight_bytes == pytest.approx(plain.decode.weight_bytes / 2, rel=1e-3)
    linear = {r.name: r.flops * r.count for r in plain.decode.ops if r.kind == "linear"}
    wide = {r.name: r.flops * r.count for r in made.decode.ops if r.kind == "linear"}
    for name, n in linear.items():
        assert wide[name] == pytest.approx(n * 20 / 2)


def test_several_answers_share_the_weights_and_nothing_else() -> None:
    made, plain, four = asked("sample-answers{answers=4}"), asked(), asked(batch=8)
    assert made.ttft == pytest.approx(plain.ttft)
    assert made.tpot == pytest.approx(four.tpot)
    assert made.memory.kv_cache == four.memory.kv_cache


@pytest.mark.parametrize("name", ["cascade", "route", "replace-model"])
def test_a_model_that_is_a_name_in_python_is_loaded(name: str) -> None:
    assert asked(name).latency is not None
