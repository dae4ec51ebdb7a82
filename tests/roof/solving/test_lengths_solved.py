"""Inverse questions whose lengths are distributions: answers are those of the expectations."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mansard as ms
from mansard.core.errors import SpecError
from mansard.query.gate import read_gate
from mansard.query.metrics import quantities
from mansard.query.solving.allowed import MOST_CURVES
from mansard.query.solving.conditions import read_conditions
from mansard.query.solving.unknowns import read_unknown
from mansard.query.solving.values import Values
from mansard.query.study import Study

Run = Callable[..., Any]
TRACE = "prompt,output\n100,8\n2000,64\n900,1\n100,8\n5000,3\n40,200\n"
CHIP = "h100-sxm"
QUESTIONS: dict[str, dict[str, Any]] = {
    "density": {"source": "llama-3.1-8b", "prompt": "lognormal(2k,0.8)", "output": 60},
    "both": {"source": "qwen2.5-0.5b", "prompt": "uniform(1000,1009)", "output": "uniform(1,20)"},
    "trace": {"source": "llama-3.1-8b", "prompt": "TRACE", "output": "TRACE"},
    "window": {"source": "gemma-2-2b", "prompt": "lognormal(4k,0.5)", "output": 100},
    "experts": {"source": "mixtral-8x7b-v0.1", "prompt": 800, "output": "uniform(2,30)"},
    "tp8": {"source": "llama-3.1-70b", "on": "h100-sxm:8", "prompt": "lognormal(1k,1)",
            "output": "uniform(10,12)", "batch": 16},
}  # fmt: skip
UNITS = {"ttft": "s", "tpot": "s", "latency": "s", "throughput": "/s", "memory": "B",
         "tokens_per_s_per_user": "/s", "kv_cache": "B"}  # fmt: skip
WITHIN = 5_000


@pytest.fixture(scope="session")
def trace(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("lengths") / "trace.csv"
    file.write_text(TRACE)
    return str(file)


@cache
def asked(name: str, trace: str) -> Study:
    given = {k: trace if v == "TRACE" else v for k, v in QUESTIONS[name].items()}
    return ms.study(given.pop("source"), **{"on": CHIP} | given)


@st.composite
def queries(draw: st.DrawFn) -> tuple[str, str, str, int, float, str, bool]:
    name = draw(st.sampled_from(sorted(QUESTIONS)))
    free = {"density": ["output"], "window": ["output"], "experts": ["prompt"]}.get(name, [])
    find = draw(st.sampled_from(["batch", "batch", *free]))
    metric = draw(st.sampled_from(list(UNITS)))
    x = draw(st.integers(2, WITHIN))
    factor = draw(st.floats(0.9, 1.1).filter(lambda f: abs(f - 1) > 1e-9))
    op = draw(st.sampled_from(["<=", "<", ">=", ">"]))
    return name, find, metric, x, factor, op, draw(st.booleans())


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(query=queries())
def test_an_answer_holds_and_its_neighbour_does_not(
    trace: str, query: tuple[str, str, str, int, float, str, bool]
) -> None:
    name, find, metric, x, factor, op, up = query
    study = asked(name, trace)
    question = study.question
    if find == "output" and metric in ("throughput", "latency"):
        return  # enumerated, or a product: what is tried is what is checked
    sizes = {**question.sizes, find: x}
    at = question.engine.figures(sizes["batch"], sizes["prompt"], sizes["output"], [metric])
    near = factor * float(at[metric][0])
    text = f"{metric} {op} {int(near) if UNITS[metric] == 'B' else near}{UNITS[metric]}"
    solution = study.solve(
        find, maximize=up, minimize=not up, subject_to=text, within=f"1..{WITHIN}"
    )
    (condition,) = read_conditions([text])
    values = Values(question, read_unknown(question, find, f"1..{WITHIN}"))

    def holds(*xs: int) -> list[bool]:
        return list(condition.holds(values.figures(condition, np.array(xs, float)), len(xs)))

    probes = {1, x, WITHIN, *(k for a, b in solution.intervals for k in (a, b, a - 1, b + 1))}
    kept = sorted(k for k in probes if 1 <= k <= WITHIN)
    assert [any(a <= k <= b for a, b in solution.intervals) for k in kept] == holds(*kept)
    if solution.value is not None:
        ends = [k for span in solution.intervals for k in span]
        assert solution.value == (max if up else min)(ends)


@pytest.mark.parametrize("name", ["density", "both", "trace", "window", "tp8"])
@pytest.mark.parametrize("metric", ["ttft", "tpot", "latency", "period", "memory", "kv_cache"])
def test_the_expectation_of_curves_is_the_curve_of_expectations(
    trace: str, name: str, metric: str
) -> None:
    question = asked(name, trace).question
    curve = question.curves("batch", 1, 10**6).figure(metric)
    assert curve is not None
    for batch in (1, 7, 300, 340, 999_999):
        known = question.engine.figures(batch, 1, 1, [metric])[metric][0]
        sizes = question.sizes
        known = question.engine.figures(batch, sizes["prompt"], sizes["output"], [metric])
        assert float(curve.at(batch)) == pytest.approx(known[metric][0], rel=1e-12)


def test_the_answer_is_that_of_every_length_asked_for_by_itself() -> None:
    """No mean length stands in: prefill is quadratic, and the answer differs from the mean's."""
    spread = ms.study("qwen2.5-0.5b", on="l4", prompt="uniform(1,40)", output=4)
    found = spread.solve("batch", maximize=True, subject_to="ttft <= 10ms")

    def mean(batch: int) -> float:
        times = [ms.analyze("qwen2.5-0.5b", on="l4", prompt=p, output=4, batch=batch).ttft
                 for p in range(1, 41)]  # fmt: skip
        return math.fsum(t for t in times if t is not None) / 40

    assert isinstance(found.value, int)
    assert mean(found.value) <= 10e-3 < mean(found.value + 1)
    assert found.method.startswith("exact")


@pytest.mark.parametrize(("name", "text", "goal"), [
    ("density", "tpot <= 12ms", "maximize"), ("trace", "memory <= capacity", "maximize"),
    ("both", "throughput >= 5000/s", "minimize"), ("window", "ttft <= 2s", "maximize"),
    ("experts", "latency <= 1s", "maximize"),
])  # fmt: skip
def test_analyze_agrees_at_the_answer_and_next_to_it(
    trace: str, name: str, text: str, goal: str
) -> None:
    study, up = asked(name, trace), goal == "maximize"
    solution = study.solve("batch", maximize=up, minimize=not up, subject_to=text)
    assert isinstance(solution.value, int)
    assert solution.estimate is not None
    assert read_gate(text).holds(solution.estimate)
    beyond = study.question.sized(batch=solution.value + (1 if up else -1))
    assert not read_gate(text).holds(beyond.estimate)


def test_more_lengths_than_curves_are_added_are_searched() -> None:
    study = ms.study("qwen2.5-0.5b", on=CHIP, prompt=f"uniform(1,{MOST_CURVES + 1})", output=4)
    found = study.solve("batch", maximize=True, subject_to="ttft <= 20ms")
    assert found.method.startswith("bisection")
    fewer = ms.study("qwen2.5-0.5b", on=CHIP, prompt=f"uniform(2,{MOST_CURVES + 1})", output=4)
    assert fewer.solve("batch", maximize=True, subject_to="ttft <= 20ms").method.startswith("exact")


def test_a_size_beside_a_distribution_is_found(trace: str) -> None:
    study = asked("density", trace)
    found = study.solve("output", maximize=True, subject_to="latency <= 1s")
    assert isinstance(found.value, int)
    for output, holds in ((found.value, True), (found.value + 1, False)):
        again = ms.analyze("llama-3.1-8b", on=CHIP, prompt="lognormal(2k,0.8)", output=output)
        assert (again.latency is not None and again.latency <= 1) == holds
    assert found.estimate is not None
    assert found.estimate.scenario.output == found.value


def test_a_chip_and_devices_are_found_too(trace: str) -> None:
    study = asked("density", trace)
    found = study.solve("hardware.memory.bandwidth", minimize=True, subject_to="tpot <= 4ms")
    assert found.estimate is not None
    assert found.estimate.tpot == pytest.approx(4e-3, rel=1e-12)
    assert found.method.startswith("exact")
    few = study.solve("devices", minimize=True, subject_to="tpot <= 3ms", within="1,2,4")
    assert few.value == 2


def test_a_schedule_that_is_only_stepped_is_enumerated() -> None:
    asked = {"on": "h100-sxm:2", "output": 4, "techniques": ["disaggregate{prefill=1 decode=1}"]}
    study = ms.study("qwen2.5-0.5b", prompt="uniform(100,103)", **asked)  # type: ignore[arg-type]
    found = study.solve("batch", maximize=True, subject_to="ttft <= 0.7ms", within="1..9")
    assert found.method == "enumeration of batch 1…9"
    for batch, holds in ((found.value, True), (int(found.value or 0) + 1, False)):
        times = [ms.analyze("qwen2.5-0.5b", prompt=p, batch=batch, **asked).ttft  # type: ignore[arg-type]
                 for p in range(100, 104)]  # fmt: skip
        assert (math.fsum(t or 0 for t in times) / 4 <= 0.7e-3) == holds


# Rows, rates and flips.


@pytest.mark.parametrize("name", ["density", "both", "trace", "window", "experts"])
@pytest.mark.parametrize("metric", ["ttft", "tpot"])
def test_rows_of_an_explanation_add_up_to_the_expectation(
    trace: str, name: str, metric: str
) -> None:
    study = asked(name, trace)
    found = study.explain(metric)
    assert found.value == quantities(study.analyze())[metric]
    assert math.fsum(p.time_s for p in found.parts) == pytest.approx(found.value, rel=1e-9)
    assert math.fsum(p.row.share for p in found.parts) == pytest.approx(1)


def test_a_row_is_the_mean_of_its_rows() -> None:
    study = ms.study("qwen2.5-0.5b", on="l4", prompt="uniform(60,69)", output=4, batch=9)
    for part in study.explain("ttft").parts:
        rows = [study.question.sized(batch=9).changed(
                    lengths=None, mix=None).sized(prompt=p).estimate.op(part.row.name, "prefill")
                for p in range(60, 70)]  # fmt: skip
        for of in ("time_s", "flops", "bytes"):
            mean = math.fsum(getattr(r, of) for r in rows) / 10
            assert getattr(part.row, of) == pytest.approx(mean, rel=1e-12), (part.row.name, of)


@pytest.mark.parametrize("metric", ["ttft", "tpot", "latency", "memory", "kv_cache"])
def test_what_a_technique_changes_ends_with_the_metric(metric: str) -> None:
    study = ms.study("llama-3.1-8b", on=CHIP, prompt="lognormal(1k,0.5)", output="uniform(2,9)",
                     techniques=["quantize{weights=int8 kv=fp8}"])  # fmt: skip
    found = study.explain(metric)
    document = found.to_dict()
    assert document["techniques"][-1]["after"] == pytest.approx(found.value, rel=1e-9)
    plain = ms.study("llama-3.1-8b", on=CHIP, prompt="lognormal(1k,0.5)", output="uniform(2,9)",
                     level="O0")  # fmt: skip
    before = quantities(plain.analyze())[metric]
    assert document["techniques"][0]["before"] == pytest.approx(before, rel=1e-9)


@pytest.mark.parametrize("name", ["density", "both", "trace", "experts", "tp8"])
@pytest.mark.parametrize("metric", ["ttft", "tpot", "latency", "throughput"])
def test_elasticities_are_of_the_expectation(trace: str, name: str, metric: str) -> None:
    study = asked(name, trace)
    found = study.sensitivity(metric)
    sign = 1 if metric == "throughput" else -1
    assert found.total == pytest.approx(sign * (1 - found.overhead), abs=1e-12)
    assert found.value == pytest.approx(quantities(study.analyze())[metric], rel=1e-12)


def test_an_elasticity_is_what_a_slightly_faster_chip_shows(trace: str) -> None:
    study, nudge = asked("trace", trace), 1e-6
    today = study.question.estimate
    rates = {
        "hardware.memory.bandwidth": (today.chip.bandwidth_bytes_per_s, "B/s"),
        "hardware.peak.matrix.bf16": (today.chip.peaks["matrix", "bf16", "dense"], "FLOP/s"),
    }
    for field, value in study.sensitivity("latency").elasticities.items():
        rate, unit = rates[field]
        faster = study.question.changed(set={field: f"{rate * (1 + nudge)!r} {unit}"})
        assert faster.estimate.latency is not None
        assert today.latency is not None
        change = faster.estimate.latency / today.latency - 1
        assert change / nudge == pytest.approx(value, rel=1e-4, abs=1e-6), field


def test_an_op_flips_where_the_expected_needs_of_its_resources_meet() -> None:
    study = ms.study("qwen2.5-0.5b", on="l4", prompt="uniform(1,40)", output=4)
    first = study.crossovers("batch", "prefill")["layers.down_proj"].first
    assert first is not None

    def needs(batch: int) -> dict[str, float]:
        rows = [
            ms.analyze("qwen2.5-0.5b", on="l4", prompt=p, output=4, batch=batch)
            .op("layers.down_proj", "prefill")
            .time_by_resource_s
            for p in range(1, 41)
        ]
        return {r: math.fsum(row[r] for row in rows) for r in ("compute", "memory")}  # fmt: skip

    assert needs(first)["compute"] >= needs(first)["memory"]
    assert needs(first - 1)["compute"] < needs(first - 1)["memory"]


def test_one_length_that_is_written_as_a_distribution_is_that_length() -> None:
    spread, one = (ms.study("llama-3.1-8b", on=CHIP, prompt=p) for p in ("uniform(900,900)", 900))
    limits = ["tpot <= 12ms", "memory <= capacity"]
    answers = [s.solve("batch", maximize=True, subject_to=limits) for s in (spread, one)]
    assert answers[0].value == answers[1].value
    assert answers[0].intervals == answers[1].intervals
    assert spread.crossovers().ops == one.crossovers().ops
    assert spread.sensitivity().elasticities == one.sensitivity().elasticities
    for left, right in zip(spread.explain().parts, one.explain().parts, strict=True):
        assert left.row.name == right.row.name
        assert left.time_s == pytest.approx(right.time_s, rel=1e-12)


# What is refused, and with which words.


def test_what_has_no_one_value_is_refused_by_name(trace: str) -> None:
    study = asked("density", trace)
    for ask in (
        lambda: study.solve("prompt", subject_to="ttft <= 1s"),
        lambda: study.crossovers("prompt"),
        lambda: study.explain("tpot", over="prompt"),
    ):
        with pytest.raises(SpecError, match=r"prompt is no one number here.*lognormal"):
            ask()
    with pytest.raises(SpecError, match="context"):
        study.solve("context", subject_to="tpot <= 10ms")


def test_a_formula_has_no_mean_length_in_it(trace: str) -> None:
    found = asked("density", trace).explain("tpot", over="batch")
    for ask in (lambda: found.expr, found.latex):
        with pytest.raises(SpecError, match="a formula is of one length"):
            ask()
    whole = asked("density", trace).explain("tpot").expr
    assert {s.name for s in whole.free_symbols} == {"batch", "prompt", "output"}


def test_too_many_lengths_for_rows_are_refused_with_their_number() -> None:
    study = ms.study("qwen2.5-0.5b", on=CHIP, prompt="uniform(1,2000)")
    for ask in (study.explain, study.sensitivity, study.crossovers):
        with pytest.raises(SpecError, match="2,000 are more than 1,024"):
            ask()
    assert study.solve("batch", maximize=True, subject_to="tpot<=5ms").found


def test_the_commands_take_lengths_and_say_so(run: Run, trace: str) -> None:
    ask = ("llama-3.1-8b", "--on", CHIP, "-p", trace, "-n", trace)
    ran = run("solve", *ask, "--find", "batch", "--maximize", "-s", "tpot<=8ms")
    assert ran.code == 0
    assert "M073" in ran.err
    ran = run("explain", *ask, "--metric", "ttft")
    assert ran.code == 0
    assert "rows are those of" not in ran.err
    assert "expectations over 5 lengths" in ran.err


def test_a_sweep_varies_the_size_that_is_no_distribution() -> None:
    rows = ms.study("qwen2.5-0.5b", on=CHIP, prompt="uniform(100,103)").sweep(output=[4, 8]).rows
    for row in rows:
        again = ms.analyze("qwen2.5-0.5b", on=CHIP, prompt="uniform(100,103)", output=row["output"])
        assert row["latency_s"] == pytest.approx(again.latency, rel=1e-12)
        assert row["memory"] == pytest.approx(again.memory.total, rel=1e-12)
