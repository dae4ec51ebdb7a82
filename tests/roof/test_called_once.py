"""Models that make no tokens: the total is their latency in every question, and nulls say why."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

import mansard as ms
from mansard.core.symbols import SCENARIO
from mansard.query.lengths import read_mix

Run = Callable[..., Any]
ONCE = (("bert-base-uncased", "sequences"), ("dit-xl-2-256", "images"), ("dinov2-base", "images"))


def total(found: ms.Estimate) -> float:
    return sum(phase.total_s for phase in found.phases.values())


@pytest.mark.parametrize(("name", "makes"), ONCE)
@pytest.mark.parametrize("kind", ["ideal", "calibrated"])
def test_the_document_has_the_total_and_what_is_made_a_second(
    run: Run, name: str, makes: str, kind: str
) -> None:
    ran = run("analyze", name, "--on", "h100-sxm", "-b", "3", "--estimate", kind, "-f", "json")
    document = json.loads(ran.out)
    schema = resources.files("mansard").joinpath("schemas/result-1.schema.json")
    jsonschema.validate(document, json.loads(schema.read_text("utf-8")))
    found = ms.analyze(name, on="h100-sxm", batch=3, estimate=kind)
    assert document["metrics"]["latency_s"] == pytest.approx(total(found), rel=1e-12)
    assert document["metrics"]["throughput_tok_s"] == pytest.approx(3 / total(found), rel=1e-12)
    assert document["makes"] == makes
    assert f"{makes}/s" in run("analyze", name, "--on", "h100-sxm", "-b", "3").out
    if kind == "calibrated":
        band = document["bands"]["latency_s"]
        assert band["low"] < document["metrics"]["latency_s"] < band["high"]


@pytest.mark.parametrize(("asked", "why"), [
    ({}, {"cost": "no price", "cost_per_mtok": "no price"}),
    ({"output": 1}, {"tpot_s": "one output token", "tokens_per_s_per_user": "one output token"}),
    ({"phase": "decode"}, {"ttft_s": "no prefill", "latency_s": "no prefill"}),
    ({"phase": "prefill"}, {"tpot_s": "no decode", "energy_j": "no decode"}),
    ({"context": 64}, {"ttft_s": "one decode step", "cost": "one decode step"}),
    ({"price": 2.0}, {}),
])  # fmt: skip
def test_what_is_null_says_why_and_nothing_else_does(
    asked: dict[str, Any], why: dict[str, str]
) -> None:
    found = ms.analyze("qwen2.5-0.5b", on="h100-sxm", **asked)
    document = found.to_dict()
    nulls = {name for name, value in document["metrics"].items() if value is None}
    assert document["unknown"].keys() == nulls
    for name, words in why.items():
        assert words in document["unknown"][name], name
    assert document["makes"] == "tokens"


def test_an_encoder_has_no_token_to_pay_for_but_a_batch() -> None:
    found = ms.analyze("bert-base-uncased", on="h100-sxm", batch=4, price=3.6)
    assert found.metrics.cost == pytest.approx(3.6 / 3600 * total(found))
    assert found.metrics.energy_j == pytest.approx(700 * total(found))
    assert "makes no tokens" in found.to_dict()["unknown"]["cost_per_mtok"]


def test_a_study_answers_as_analyze_does() -> None:
    study = ms.study("bert-base-uncased", on="h100-sxm")
    one = ms.analyze("bert-base-uncased", on="h100-sxm")
    assert study.analyze().scenario == one.scenario
    assert study.analyze().latency == one.latency
    assert study.compare(on="l4").to_dict()[0]["latency_s"] == one.latency


@pytest.mark.parametrize("name", ["bert-base-uncased", "dit-xl-2-256"])
def test_its_latency_can_be_solved_for_exactly_and_the_neighbour_fails(name: str) -> None:
    study = ms.study(name, on="h100-sxm")
    limit = (ms.analyze(name, on="h100-sxm", batch=20).latency or 0.0) * 1.001
    found = study.solve("batch", maximize=True, subject_to=f"latency <= {limit:.9f}s")
    assert found.method.startswith("exact")
    assert isinstance(found.value, int)
    for batch, holds in ((found.value, True), (found.value + 1, False)):
        latency = ms.analyze(name, on="h100-sxm", batch=batch).latency
        assert latency is not None
        assert (latency <= limit) == holds


def test_its_throughput_is_of_batches_not_of_tokens_nobody_makes() -> None:
    study = ms.study("bert-base-uncased", on="h100-sxm")
    least = ms.analyze("bert-base-uncased", on="h100-sxm", batch=8).throughput
    assert least is not None
    found = study.solve("batch", minimize=True, subject_to=f"throughput >= {least * 0.999:.6f}/s")
    assert found.estimate is not None
    assert found.estimate.throughput is not None
    assert found.estimate.throughput >= least * 0.999
    assert found.value != 1
    sensitivity = study.sensitivity("throughput")
    assert sensitivity.total == pytest.approx(1 - sensitivity.overhead)
    at = {SCENARIO["batch"]: 1, SCENARIO["prompt"]: 512}
    latency = float(study.analyze().expr("latency").subs(at))
    assert latency == pytest.approx(study.analyze().latency, rel=1e-12)


def test_an_explanation_of_its_latency_has_the_rows_of_every_phase() -> None:
    told = ms.study("dit-xl-2-256", on="h100-sxm").explain("latency", over="batch")
    assert {part.phase for part in told.parts} == {"denoise", "vae_decode"}
    assert told.definition == "the total of its phases"
    first = told.stretches[0]
    assert first.base + first.slope == pytest.approx(told.value, rel=1e-9)


def test_images_and_sequences_are_not_compared_with_each_other() -> None:
    found = ms.compare(["bert-base-uncased", "dit-xl-2-256"], "h100-sxm")
    assert found.change(found.entries[1], "throughput") is None
    assert found.best("throughput") == frozenset()
    assert found.change(found.entries[1], "latency") is not None
    text = str(found)
    assert "sequences/s" in text
    assert "images/s" in text
    assert [r["makes"] for r in found.to_dict()] == ["sequences", "images"]


@pytest.mark.parametrize("command", ["analyze", "compare", "explain", "crossovers", "sensitivity"])
def test_headings_say_the_distribution_and_its_mean(run: Run, command: str) -> None:
    ask = ("qwen2.5-0.5b", "--on", "h100-sxm", "-p", "lognormal(2k,0.8)", "-n", "uniform(2,5)")
    words = " ".join(run(command, *ask).out.split())
    assert "prompt lognormal(2k, 0.8), mean 2,820" in words
    assert "output uniform(2, 5), mean 4" in words
    found = json.loads(run(command, *ask, "-f", "json").out)
    lengths = {"prompt": "lognormal(2k,0.8)", "output": "uniform(2,5)"}
    if command != "compare":
        assert found["scenario"]["lengths"] == lengths
        assert found["scenario"]["prompt"] == 2820


def test_a_csv_is_called_by_its_name_and_numbers_are_no_distribution(
    run: Run, tmp_path: Any
) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("prompt,output\n100,4\n300,8\n")
    ask = ("analyze", "qwen2.5-0.5b", "--on", "h100-sxm")
    words = " ".join(run(*ask, "-p", str(trace), "-n", str(trace)).out.split())
    assert "prompt trace.csv, mean 200" in words
    assert "for 1 × 200 tokens, the mean prompt" in words
    assert "lengths" not in json.loads(run(*ask, "-f", "json").out)["scenario"]
    mix = read_mix("uniform(1,2)", 5, (1, 1))
    assert mix is not None
    assert dict(mix.written) == {"prompt": "uniform(1,2)"}
