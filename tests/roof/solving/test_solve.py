"""Inverse questions: anchors, goals, what is enumerated, and what bad input gets."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from tests.conftest import Run

import mansard as ms
from mansard.core.errors import MansardError, SpecError, UnknownNameError
from mansard.frontends.hf.load import load
from mansard.ir.program import Program
from mansard.ir.rewrite import retype
from mansard.ir.value import TensorType, Value
from mansard.query.metrics import quantities
from mansard.query.solving.solution import Solution
from mansard.query.study import Study

ONNX = Path("../shared/data/onnx/mobius__llama31_8b__model.onnx")


def study(**changed: object) -> Study:
    return ms.study("llama-3.1-8b", **{"on": "h100-sxm"} | changed)  # type: ignore[arg-type]


def known(asked: Study, name: str) -> float:
    """Return a quantity `analyze` gives, by the name constraints have."""
    value = quantities(asked.analyze())[name]
    assert value is not None
    return value


def met(solution: Solution, name: str) -> float:
    """Return a quantity at an answer."""
    value = solution.quantities[name]
    assert value is not None
    return value


# Anchors.


def eight_bit_embedding(name: str) -> Program:
    """Return a model whose embedding takes 8 bits; `quantize` leaves what is only looked up."""
    from mansard.core.dtypes import stored

    program = load(name)
    graph = program.graph("target")

    def narrow(value: Value) -> TensorType:
        if value.storage != "model.embed_tokens.weight":
            return value.type
        return replace(value.type, encoding=stored("int8", value.encoding.plain.dtype))

    return program.with_graph("target", retype(graph, narrow))


@pytest.mark.parametrize(("tokens", "expected"), [(256, 333), (512, 166), (1024, 83)])
def test_llama_2_13b_in_8_bits_fits_the_published_batch(tokens: int, expected: int) -> None:
    """48e9 B less 13.0 GB of weights, over 409,600 B a token: of the cache, which holds `tokens`.

    A step over `context` tokens leaves its own and room for the one it makes: context + 2.
    """
    asked = ms.study(
        eight_bit_embedding("llama-2-13b"), on="h100-sxm", context=tokens - 2,
        techniques=["quantize{weights=int8 activations=int8 kv=int8 skip=[]}"],
        set={"hardware.memory.capacity": "48000000000 B"},
    )  # fmt: skip
    solution = asked.solve("batch", maximize=True, subject_to="memory <= capacity")
    assert isinstance(solution.value, int)
    assert abs(solution.value - expected) <= 1
    assert solution.binding == "memory <= capacity"


def test_the_least_bandwidth_for_a_token_time_is_where_the_token_takes_just_that() -> None:
    solution = study(batch=32).solve(
        "hardware.memory.bandwidth", minimize=True, subject_to="tpot <= 5ms"
    )
    assert solution.estimate is not None
    assert met(solution, "tpot") == pytest.approx(5e-3, rel=1e-12)
    assert met(solution, "tpot") <= 5e-3
    assert solution.method.startswith("exact")
    slower = study(
        batch=32, set={"hardware.memory.bandwidth": f"{float(solution.value or 0) * 0.999999} B/s"}
    )
    assert known(slower, "tpot") > 5e-3


def test_the_least_capacity_is_the_memory_it_takes() -> None:
    asked = study(batch=32)
    solution = asked.solve(
        "hardware.memory.capacity", minimize=True, subject_to="memory <= capacity"
    )
    assert solution.value == asked.analyze().memory.total


def test_a_link_is_found_by_bisection_since_collectives_change_their_algorithm() -> None:
    asked = study(on="h100-sxm:8", batch=64, prompt=4096)
    solution = asked.solve("hardware.link.per_direction", minimize=True, subject_to="ttft <= 1.3s")
    assert solution.method.startswith("bisection")
    assert solution.estimate is not None
    assert met(solution, "ttft") == pytest.approx(1.3, rel=1e-9)
    assert met(solution, "ttft") <= 1.3


def test_power_bounds_energy_and_a_price_bounds_cost() -> None:
    asked = study(price=2.5)
    found = asked.solve("batch", minimize=True, subject_to="cost_per_mtok <= 1")
    assert found.estimate is not None
    assert isinstance(found.value, int)
    assert met(found, "cost_per_mtok") <= 1
    assert known(study(price=2.5, batch=found.value - 1), "cost_per_mtok") > 1
    most = asked.solve("batch", maximize=True, subject_to="energy <= 3000")
    assert isinstance(most.value, int)
    assert known(study(batch=most.value), "energy") <= 3000
    assert known(study(batch=most.value + 1), "energy") > 3000


# Goals and forms of constraints.


def test_an_equality_answers_the_whole_number_next_to_the_crossing() -> None:
    solution = study().solve("batch", subject_to="tpot = 15ms")
    ((low, high),) = solution.intervals
    assert high == low + 1
    at = [known(study(batch=b), "tpot") for b in (low, high)]
    assert at[0] < 15e-3 < at[1]
    assert solution.value == min((low, high), key=lambda b: abs(at[b - low] - 15e-3))


def test_an_equality_of_a_real_unknown_is_met() -> None:
    solution = study().solve("hardware.memory.bandwidth", subject_to="tpot = 4ms")
    assert solution.estimate is not None
    assert met(solution, "tpot") == pytest.approx(4e-3, rel=1e-12)


def test_chained_and_comma_separated_constraints_are_several() -> None:
    chained = study().solve("batch", subject_to="10ms < tpot <= 15ms")
    apart = study().solve("batch", subject_to=["tpot > 10ms", "tpot <= 15ms"])
    listed = study().solve("batch", subject_to="tpot > 10ms, tpot <= 15ms")
    assert chained.intervals == apart.intervals == listed.intervals
    assert [c.text for c in chained.checks] == ["10ms < tpot", "tpot <= 15ms"]


def test_units_may_be_mixed_within_a_side() -> None:
    one = study().solve("batch", maximize=True, subject_to="tpot <= 9ms + 1000us")
    other = study().solve("batch", maximize=True, subject_to="tpot <= 10ms")
    assert one.value == other.value


def test_a_limit_copied_from_an_answer_is_met_by_that_answer() -> None:
    tpot = known(study(batch=40), "tpot")
    assert study().solve("batch", maximize=True, subject_to=f"tpot <= {tpot!r}s").value == 40
    assert study().solve("batch", maximize=True, subject_to=f"tpot < {tpot!r}s").value == 39


def test_the_context_of_one_step_is_found_too() -> None:
    solution = study(batch=8).solve("context", maximize=True, subject_to="tpot <= 6ms")
    assert isinstance(solution.value, int)
    assert known(study(batch=8, context=solution.value), "tpot") <= 6e-3
    assert known(study(batch=8, context=solution.value + 1), "tpot") > 6e-3


def test_a_schedule_that_is_only_stepped_is_enumerated_within_a_range() -> None:
    asked = study(on="h100-sxm:2", output=4, techniques=["disaggregate{prefill=1 decode=1}"])
    solution = asked.solve("batch", maximize=True, subject_to="tpot <= 5ms", within="1..12")
    assert solution.method == "enumeration of batch 1…12"
    times = {
        b: known(study(on="h100-sxm:2", output=4, batch=b,
                 techniques=["disaggregate{prefill=1 decode=1}"]), "tpot")
        for b in range(1, 13)
    }  # fmt: skip
    assert solution.value == max(b for b, t in times.items() if t <= 5e-3)


# Values that are programs of their own.


def test_the_least_devices_that_are_fast_enough() -> None:
    solution = study().solve("devices", minimize=True, subject_to="tpot <= 3ms", within="1,2,4")
    times = {n: known(study(on=f"h100-sxm:{n}"), "tpot") for n in (1, 2, 4)}
    assert solution.value == min(n for n, t in times.items() if t <= 3e-3)
    assert solution.estimate is not None
    assert solution.estimate.devices == solution.value


def test_the_widest_weights_that_are_fast_enough() -> None:
    asked = study()
    solution = asked.solve(
        "quantize.weights", maximize=True, subject_to="tpot <= 3ms", within="int4,int8,bf16"
    )
    assert solution.value == "int8"
    assert solution.binding == "tpot <= 3ms"


def test_every_draft_length_that_is_fast_enough_is_listed() -> None:
    asked = study(techniques=["speculative-decode{draft=self alpha=0.7}"])
    solution = asked.solve("speculative-decode.gamma", subject_to="tpot <= 4.6ms", within="0..5")
    fast = {
        gamma
        for gamma in range(6)
        if known(study(
            techniques=[f"speculative-decode{{draft=self alpha=0.7 gamma={gamma}}}"]
        ), "tpot") <= 4.6e-3
    }  # fmt: skip
    assert {g for a, b in solution.intervals for g in range(a, b + 1)} == fast


def test_names_have_no_order() -> None:
    with pytest.raises(SpecError, match="have no order"):
        study().solve("speculative-decode.draft", maximize=True, subject_to="tpot <= 4ms")


# When nothing fits.


def test_what_nothing_satisfies_is_named_with_its_best_value() -> None:
    solution = study().solve("batch", maximize=True, subject_to=["memory <= capacity",
                                                                   "tpot <= 1ms"])  # fmt: skip
    assert solution.value is None
    assert not solution.found
    assert solution.reason == (
        "no batch satisfies 'tpot <= 1ms': at its best, batch 1: tpot 4.56 ms"
    )


def test_the_best_of_a_throughput_is_at_the_largest_batch() -> None:
    solution = study().solve("batch", subject_to="throughput >= 1000000/s")
    assert "batch 1,000,000,000,000: throughput" in solution.reason


def test_constraints_that_contradict_say_where_each_holds() -> None:
    solution = study().solve("batch", subject_to=["tpot <= 6ms", "tpot >= 8ms"])
    assert solution.value is None
    assert "the constraints contradict: 'tpot <= 6ms' holds for batch 1…" in solution.reason


BAD = [
    ("batch", {"subject_to": ()}, "nothing constrains batch"),
    ("batch", {"subject_to": "tpot"}, "it compares nothing"),
    ("batch", {"subject_to": "tpot <= 5GB"}, "is bytes, not time"),
    ("batch", {"subject_to": "tpot <= 5"}, "has no unit"),
    ("batch", {"subject_to": "tpo <= 5ms"}, "no quantity called 'tpo'"),
    ("batch", {"subject_to": "1ms < 2ms"}, "is time, not number"),
    ("batch", {"subject_to": "1 < 2"}, "mentions no quantity"),
    ("batch", {"subject_to": "tpot != 5ms"}, "leaves out single values"),
    ("batch", {"subject_to": "1ms < tpot < ttft < 1s"}, "compares more than three"),
    ("batch", {"subject_to": "__import__('os') <= 5ms"}, "condition"),
    ("batch", {"subject_to": "tpot <= 9**9**9**9"}, "too large"),
    ("batch", {"subject_to": "(" * 5000 + "tpot <= 1ms"}, "nested|characters"),
    ("batch", {"subject_to": "cost <= 5"}, "nothing gives a price"),
    ("batchs", {"subject_to": "tpot <= 5ms"}, "no unknown called 'batchs'"),
    ("quantize.wieghts", {"subject_to": "tpot <= 5ms"}, "no option of quantize"),
    ("hardware.memory.bandwith", {"subject_to": "tpot <= 5ms"}, "hardware.memory.bandwith"),
    ("hardware.link.per_direction", {"subject_to": "tpot <= 5ms"}, "does not occur"),
    ("hardware.peak.matrix.fp8", {"subject_to": "tpot <= 5ms"}, "does not occur"),
    ("batch", {"subject_to": "tpot <= 5ms", "within": "9..2"}, "reversed"),
    ("batch", {"subject_to": "tpot <= 5ms", "within": "lots"}, "is no range"),
    ("batch", {"subject_to": "tpot <= 5ms", "within": "0..4"}, "whole number from 1"),
    ("quantize.group", {"subject_to": "tpot <= 5ms", "within": "1..100000"}, "each a program"),
    ("batch", {"subject_to": "tpot <= 5ms", "maximize": True, "minimize": True}, "at once"),
    ("batch", {"subject_to": "ttft >= 1ms", "maximize": True}, "free upwards"),
    ("hardware.memory.bandwidth", {"subject_to": "tpot >= 1ms", "minimize": True},
     "free downwards"),
    ("hardware.memory.capacity", {"subject_to": "tpot <= 5ms", "minimize": True},
     "free downwards"),
    ("batch", {"subject_to": "tpot = tpot"}, "compares a quantity with itself"),
    ("batch", {"subject_to": "2*tpot - tpot <= tpot"}, "compares a quantity with itself"),
    ("batch", {"subject_to": "tpot <= 5ms", "within": "1..2..3"}, "'1..2..3' is no range"),
    ("batch", {"subject_to": "tpot <= 5ms", "within": "1.."}, "'1..' is no range"),
    ("batch", {"subject_to": "tpot <= 5ms", "within": "1.5..9"}, "--within '1.5..9': '1.5'"),
    ("batch", {"subject_to": "tpot <= 5ms", "within": range(1, 9)}, "no text"),
    ("devices", {"subject_to": "tpot <= 5ms", "within": "0,1"}, "counted from 1"),
    ("devices", {"subject_to": "tpot <= 5ms", "within": "1,x"}, "counted from 1"),
    ("devices", {"subject_to": "tpot <= 5ms", "within": ","}, "counted from 1"),
    ("gamma", {"subject_to": "tpot <= 5ms"}, "an option of a technique"),
    ("quantize.weights", {"subject_to": "tpot <= 5ms", "within": "int4,banana"}, "banana"),
    ("quantize.group", {"subject_to": "tpot <= 5ms", "within": "-3..3"}, "group|no range"),
    ("batch", {"subject_to": "tpot\n<=\x1b[31m1ms"}, "found '.x1b'"),
]  # fmt: skip


@pytest.mark.parametrize(("find", "asked", "message"), BAD)
def test_a_bad_question_is_refused(find: str, asked: dict[str, object], message: str) -> None:
    with pytest.raises(MansardError, match=message) as error:
        study().solve(find, **asked)  # type: ignore[arg-type]
    assert error.value.hint or "condition" in error.value.message


def test_what_a_terminal_would_obey_is_not_said_back() -> None:
    with pytest.raises(MansardError) as error:
        study().solve("batch", subject_to="tpot <= \x1b[2J1ms")
    assert "\x1b" not in str(error.value)


def test_a_constraint_on_what_was_asked_alone_is_met_by_it() -> None:
    """Nothing is priced for it: the batch is bounded by its own constraint."""
    assert study().solve("batch", maximize=True, subject_to="batch <= 100").value == 100
    missed = study().solve("batch", subject_to="prompt <= 100")
    assert missed.reason == "no batch satisfies 'prompt <= 100': at its best, batch 1: prompt 2,048"
    wide = study().solve("hardware.memory.capacity", minimize=True,
                         subject_to="capacity >= 100GB")  # fmt: skip
    assert wide.value == 100_000_000_000


def test_a_phase_without_the_metric_is_refused_for_the_output_too() -> None:
    with pytest.raises(SpecError, match="this answer has no tpot"):
        study(phase="prefill").solve("output", maximize=True, subject_to="tpot <= 5ms")
    one = study(output=1).solve("output", maximize=True, subject_to="tpot <= 4.6ms")
    assert isinstance(one.value, int)
    assert known(study(output=one.value), "tpot") <= 4.6e-3 < known(
        study(output=one.value + 1), "tpot")  # fmt: skip


def test_a_misspelt_unknown_is_offered_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as error:
        study().solve("hardware.memory.bandwith", subject_to="tpot <= 5ms")
    assert "hardware.memory.bandwidth" in str(error.value.hint)


def test_a_metric_of_a_phase_that_was_not_asked_for_is_refused() -> None:
    with pytest.raises(SpecError, match="this answer has no ttft"):
        study(context=100).solve("batch", subject_to="ttft <= 1s")


def test_one_step_has_no_prompt_to_find() -> None:
    with pytest.raises(SpecError, match="prompt does not occur"):
        study(context=100).solve("prompt", subject_to="tpot <= 5ms")


def test_what_is_neither_certain_nor_short_is_refused() -> None:
    with pytest.raises(SpecError, match="too many to try"):
        study().solve("output", subject_to="throughput >= 100/s", within="1..100m")


# Command line and JSON.


def test_the_command_prints_the_answer_and_what_binds_it(run: Run) -> None:
    ran = run("solve", "llama-3.1-8b", "--on", "h100-sxm", "--find", "batch", "--maximize",
              "--subject-to", "tpot<=10ms", "-s", "memory<=capacity")  # fmt: skip
    assert ran.code == 0
    assert "batch = 65  the greatest that satisfies all constraints" in ran.out
    assert "exact: piecewise affine in batch" in ran.out
    assert next(line for line in ran.out.splitlines() if "tpot<=10ms" in line).endswith("binding")


def test_the_command_exits_with_1_when_nothing_fits(run: Run) -> None:
    ran = run("solve", "llama-3.1-8b", "--on", "h100-sxm", "--find", "batch", "--maximize",
              "-s", "tpot<=1ms")  # fmt: skip
    assert ran.code == 1
    assert "at its best, batch 1: tpot 4.56 ms" in " ".join(ran.out.split())


@pytest.mark.parametrize("limit", ["10ms", "1ms"])
def test_the_json_is_valid_under_the_shipped_schema(run: Run, limit: str) -> None:
    ran = run("solve", "llama-3.1-8b", "--on", "h100-sxm", "--find", "batch", "--maximize",
              "-s", f"tpot<={limit}", "-f", "json")  # fmt: skip
    document = json.loads(ran.out)
    schema = resources.files("mansard").joinpath("schemas/solution-1.schema.json")
    jsonschema.validate(document, json.loads(schema.read_text("utf-8")))
    assert document["find"] == "batch"


def test_an_onnx_file_is_solved_too(run: Run) -> None:
    if not ONNX.exists():
        pytest.skip("../shared/data/onnx is not here; tests/frontends/onnx has files of its own")
    ran = run("solve", str(ONNX), "--on", "h100-sxm", "--find", "batch", "--maximize",
              "-s", "memory<=capacity", "-f", "json")  # fmt: skip
    assert ran.code == 0
    most = json.loads(ran.out)["value"]
    fits = [ms.analyze(ONNX, on="h100-sxm", batch=b).memory.fits for b in (most, most + 1)]
    assert fits == [True, False]


def test_fractions_are_exact_at_the_crossing_itself() -> None:
    """The root of tpot = 10 ms lies in the last piece whose ends are below and above it."""
    asked = study().question
    curve = asked.curves("batch", 1, 10**12).figure("tpot")
    assert curve is not None
    (span,) = curve.where(Fraction(1, 100))
    assert curve.at(span[1]) == Fraction(1, 100)


def test_names_that_hold_are_listed_with_what_they_are_ordered_by(run: Any) -> None:
    ran = run("solve", "gpt2", "--on", "l4", "-p", "64", "-n", "4", "--find", "quantize.weights",
              "--maximize", "-s", "tpot≤700us", "--within", "int4,int8,bf16")  # fmt: skip
    assert "int4, int8" in ran.out
    assert "ordered by the bits of a stored element" in ran.out


def test_devices_that_a_model_cannot_be_divided_over_are_named(run: Any) -> None:
    ran = run("solve", "gpt2", "--on", "l4:2", "-p", "64", "-n", "4", "-t", "parallel:tp=2",
              "--find", "devices", "--minimize", "-s", "tpot<=1s", "--within", "2..5")  # fmt: skip
    assert "impossible with 5" in ran.out
    assert "M040" not in ran.err


def test_what_nothing_stops_is_offered_no_constraint_that_does_not(run: Any) -> None:
    ran = run("solve", "gpt2", "--on", "l4", "--find", "hardware.memory.bandwidth", "--maximize",
              "-s", "tpot<=5ms")  # fmt: skip
    assert "capacity" not in ran.err.partition("hint:")[2]
    assert "--within low..high" in ran.err
    assert "--within is empty" in run("solve", "gpt2", "--on", "l4", "--find", "batch",
                                      "-s", "tpot<=5ms", "--within", "").err  # fmt: skip


@pytest.mark.parametrize("name", ["t5-small", "whisper-small"])
def test_a_first_token_waits_for_the_encoder_in_every_question(name: str) -> None:
    study = ms.study(name, on="h100-sxm", batch=4, prompt=100, output=20)
    estimate = study.analyze()
    assert estimate.ttft is not None
    curves = study.question.curves("batch", 1, 100)
    for metric, value in (("ttft", estimate.ttft), ("latency", estimate.latency)):
        curve = curves.figure(metric)
        assert curve is not None
        assert curve.near(4.0) == pytest.approx(value, rel=1e-12)
        formula = estimate.expr(metric)
        at = {s: {"batch": 4, "prompt": 100, "output": 20}[s.name] for s in formula.free_symbols}
        assert float(formula.subs(at)) == pytest.approx(value, rel=1e-12)
        assert study.sensitivity(metric).value == pytest.approx(value, rel=1e-12)
    rows = study.explain("ttft").parts
    assert {part.phase for part in rows} == {"encode", "prefill"}
    assert sum(p.row.time_s * p.row.count for p in rows) == pytest.approx(estimate.ttft, rel=1e-12)
    limit = estimate.ttft * 1.000001
    found = study.solve("batch", maximize=True, subject_to=f"ttft <= {limit!r}s")
    assert found.value == 4


def test_streams_side_by_side_are_searched_under_a_certificate() -> None:
    study = ms.study("llama-3.1-8b", on="h100-sxm:2", prompt=1000, output=50,
                     techniques=["parallel{tp=2 overlap=true}"])  # fmt: skip
    for find, goal, text in (
        ("batch", "maximize", "tpot <= 20ms"),
        ("batch", "minimize", "throughput >= 900/s"),
        ("hardware.link.per_direction", "minimize", "ttft <= 16ms"),
    ):
        keywords: dict[str, Any] = {goal: True}
        found = study.solve(find, subject_to=text, **keywords)
        assert found.value is not None
        assert "bisection" in found.method
        assert found.binding == text


def test_weights_are_held_though_the_first_call_never_happens() -> None:
    """A prompt of 100 is one chunk of 512, the last one: no chunk comes before it."""
    study = ms.study("qwen2.5-0.5b", on="h100-sxm", prompt=100, output=20,
                     techniques=["chunk-prefill{size=512}"])  # fmt: skip
    curve = study.question.curves("batch", 1, 100).figure("memory")
    assert curve is not None
    for batch in (1, 64, 100):
        held = study.compiled.figures(batch, 100, 20, ("memory",))["memory"][0]
        assert curve.near(float(batch)) == pytest.approx(held, rel=1e-12)
