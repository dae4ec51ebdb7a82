"""Precision by range of decode steps: the loop is split and every step is still run once."""

from __future__ import annotations

import pytest
import sympy as sp
from tests.passes.rewriting import applied, known, model, through

import mansard as ms
from mansard.backends.chips import load as chip
from mansard.backends.roofline import estimate
from mansard.core.errors import MansardError
from mansard.core.symbols import output
from mansard.ir.program import Call, Loop
from mansard.passes.pipeline import parse

LLAMA = "llama-3.1-8b"
GOLDEN = """
schedule {
  prefill: call target(B=batch, S=prompt, P=0, T=batch*prompt, R=batch)
  decode: loop(times=least(output - 1, 4), yields=1, index=step) {
    decode: call target(B=batch, S=1, P=prompt + step, T=batch, R=batch)
  }
  decode: loop(times=-least(output - 1, 4) + least(output - 1, 8), start=4, yields=1, index=step) {
    decode: call target@steps4-7(B=batch, S=1, P=prompt + step, T=batch, R=batch)
  }
  decode: loop(times=output - least(output - 1, 8) - 1, start=8, yields=1, index=step) {
    decode: call target(B=batch, S=1, P=prompt + step, T=batch, R=batch)
  }
}
"""


def run_steps(text: str, tokens: int) -> list[tuple[int, str]]:
    """Which graph every decode step of an answer calls, in order."""
    found = []
    for loop in through(LLAMA, text).schedule:
        if isinstance(loop, Loop):
            (call,) = loop.steps
            assert isinstance(call, Call)
            times = int(loop.times.xreplace({output: sp.Integer(tokens)}))
            found += [(int(loop.start) + k, call.graph) for k in range(times)]
    return found


def test_golden_schedule() -> None:
    text = str(through(LLAMA, "quantize{weights=int4 steps=4-7}"))
    assert text[text.index("schedule") :].strip() == GOLDEN.strip()


@pytest.mark.parametrize("tokens", [1, 2, 4, 5, 6, 9, 10, 40])
@pytest.mark.parametrize("steps", ["0-3", "4-7", "4-", "0-", "5", "100-"])
def test_each_step_runs_once_and_those_asked_for_run_narrow(steps: str, tokens: int) -> None:
    first, dash, last = steps.partition("-")
    end = (int(last) if last else 10**9) if dash else int(first)
    seen = run_steps(f"quantize{{weights=int4 steps={steps}}}", tokens)
    assert [at for at, _ in seen] == list(range(tokens - 1))
    assert [at for at, g in seen if "@" in g] == [
        at for at in range(tokens - 1) if int(first) <= at <= end
    ]


def test_precision_falls_as_an_answer_grows() -> None:
    """Progressive mixed precision: 8 bits, then 4, then 2 [Chen 2024 PMPD]."""
    text = ("quantize{weights=int8 steps=0-15},quantize{weights=int4 steps=16-47},"
            "quantize{weights=int2 steps=48-}")  # fmt: skip
    names = [g for _, g in run_steps(text, 61)]
    assert (
        names == ["target@steps0-15"] * 16 + ["target@steps16-47"] * 32 + ["target@steps48-"] * 12
    )
    scenario = {"batch": 1, "prompt": 1000, "output": 61}
    mixed = estimate(through(LLAMA, text), chip("h100-sxm"), scenario)
    layers = 32 * 4096 * (2 * 4096 + 2 * 1024 + 3 * 14336)
    whole = estimate(model(LLAMA), chip("h100-sxm"), scenario)
    copies = layers * sp.Rational(8 + 4 + 2, 8)  # beside the prefill's own
    assert mixed.memory.weights == whole.memory.weights + copies


def test_bytes_of_decode_are_the_sum_of_the_steps_own() -> None:
    scenario = {"batch": 1, "prompt": 100, "output": 11}
    hardware = chip("h100-sxm")

    def weights(text: str) -> float:
        return estimate(through(LLAMA, text), hardware, scenario).phases["decode"].weight_bytes

    wide, narrow = weights("merge-qkv"), weights("quantize{weights=int4},merge-qkv")
    part = weights("quantize{weights=int4 steps=3-5},merge-qkv")
    assert part == pytest.approx((7 * wide + 3 * narrow) / 10, rel=1e-12)


def test_a_phase_beside_a_range_is_decode_or_refused() -> None:
    one, two = (
        through(LLAMA, f"quantize{{weights=int4 steps=2-{p}}}") for p in ("", " phase=decode")
    )
    assert str(one) == str(two)


def test_it_says_what_it_changed() -> None:
    _, (done,) = applied(LLAMA, "quantize{weights=int4 steps=64-}")
    assert done.changed == "224 weights in target@steps64-"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("steps=7-4", "end before they start"),
        ("steps=-4", "steps"),
        ("steps=first", "steps is 'first'"),
        ("steps=1.5", "steps is '1.5'"),
        ("steps=0- phase=prefill", "steps of prefill"),
        ("steps=0-7 kv=int4", "reads the same cache"),
        ("step=0-7", "step"),
    ],
)
def test_ranges_that_make_no_sense_are_refused_with_a_hint(options: str, words: str) -> None:
    with pytest.raises(MansardError, match=words) as caught:
        parse(f"quantize{{weights=int4 {options}}}", known())
    assert caught.value.hint


def test_a_rewritten_loop_is_refused_with_the_order_that_works() -> None:
    with pytest.raises(MansardError, match="makes a token a step") as caught:
        through(LLAMA, "batch-continuously,quantize{weights=int4 steps=0-7}")
    assert "before" in str(caught.value.hint)


@pytest.mark.parametrize(("steps", "output", "said"), [
    ("200-", 128, "steps 200- changes nothing: 128 output tokens take decode steps 0 to 126"),
    ("127", 128, "steps 127 changes nothing"),
    ("64-200", 128, "steps 64-200 ends with step 126"),
    ("0-3", 1, "changes nothing: one output token takes no decode step"),
    ("126", 128, None), ("0-126", 128, None), ("64-", 128, None),
])  # fmt: skip
def test_steps_that_there_are_not_are_said(steps: str, output: int, said: str | None) -> None:
    found = ms.analyze("qwen2.5-0.5b", on="l4", prompt=64, output=output,
                       techniques=[f"quantize{{weights=int8 steps={steps}}}"])  # fmt: skip
    notes = [n.message for n in found.notes if n.code == "M115"]
    assert len(notes) == (said is not None)
    assert said is None or said in notes[0]
