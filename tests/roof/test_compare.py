"""Models, chips and techniques side by side."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

import mansard as ms

Run = Callable[..., Any]
ASK = ("compare", "qwen2.5-0.5b,gpt2", "--on", "l4,h100-sxm", "-p", "256", "-n", "8")


def test_every_answer_is_the_one_analyze_gives(run: Run) -> None:
    points = json.loads(run(*ASK, "-f", "json").out)
    asked = [(p["model"], p["on"]) for p in points]
    assert asked == [("qwen2.5-0.5b", "l4"), ("qwen2.5-0.5b", "h100-sxm"),
                     ("gpt2", "l4"), ("gpt2", "h100-sxm")]  # fmt: skip
    for point in points:
        alone = ms.analyze(point["model"], on=point["on"], prompt=256, output=8)
        assert point["tpot_s"] == alone.tpot
        assert point["memory"] == alone.memory.total
    rows = list(csv.DictReader(io.StringIO(run(*ASK, "-f", "csv").out)))
    assert [float(r["ttft_s"]) for r in rows] == [p["ttft_s"] for p in points]


def test_the_best_is_the_best_of_those_that_fit() -> None:
    found = ms.compare(["llama-3.1-70b"], ["l4", "h100-sxm:2", "h100-sxm:4"], output=8)
    small, two, four = found.entries
    assert small.estimate is not None
    assert small.estimate.memory.fits is False
    assert found.best("memory") == {four}  # a quarter of the weights; l4 holds all, and does not
    assert found.best("tpot") == {four}
    assert found.change(two, "tpot") == pytest.approx(
        (two.value("tpot") or 0) / (small.value("tpot") or 1) - 1
    )
    assert found.best("capacity") == frozenset()


def test_pipelines_are_compared_with_vs_and_one_that_fails_is_said(run: Run) -> None:
    ran = run("compare", "gpt2", "--on", "l4", "-t", "fuse-attention",
              "--vs", "none", "--vs", "quantize:weights=int4", "--vs", "parallel:tp=2")  # fmt: skip
    assert ran.code == 2
    assert "error: the techniques use 2 devices" in ran.err
    assert "no answer gpt2 on l4 parallel:tp=2: the techniques" in " ".join(ran.out.split())
    assert "the techniques use 2 devices" in ran.out
    points = json.loads(run("compare", "gpt2", "--on", "l4", "--vs", "none", "--vs",
                            "quantize:weights=int4", "-f", "json").out)  # fmt: skip
    assert points[1]["weights"] < points[0]["weights"] / 2


def test_where_nothing_has_an_answer_the_first_reason_is_the_error(run: Run) -> None:
    ran = run("compare", "gpt2,gpt3", "--on", "l5")
    assert (ran.code, ran.out) == (2, "")
    assert "'l5'" in ran.err


@pytest.mark.parametrize("on", [",", "a," * 300])
def test_nothing_or_too_much_to_compare_is_refused(run: Run, on: str) -> None:
    ran = run("compare", "gpt2", "--on", on if on == "," else ",".join(f"c{i}" for i in range(300)))
    assert ran.code == 2
    assert "answers to give" in ran.err


@pytest.mark.parametrize("width", ["60", "80", "140"])
def test_tables_keep_to_the_width_of_the_terminal(
    run: Run, monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    out = run(*ASK).out
    assert max(map(len, out.splitlines())) <= int(width)
    assert out.count("★") >= 4
    assert "changes against the first" in out


def test_markdown_is_one_table(run: Run) -> None:
    text = run(*ASK, "-f", "md").out
    assert text.startswith("| model | hardware |")
    assert text.count("\n| gpt2") == 2


def test_a_string_where_several_may_stand_is_one_item() -> None:
    study = ms.study("gpt2", on="l4", prompt=64, output=4)
    assert [e.on for e in study.compare(on="l40s").entries] == ["l4", "l40s"]
    alone = ms.compare("gpt2", "l4", variants="quantize:weights=int4", prompt=64, output=4)
    assert [(e.model, e.on, e.variant) for e in alone.entries] == [
        ("gpt2", "l4", "quantize:weights=int4")
    ]
    each = ms.compare("gpt2", "l4", variants=["fuse-attention", "quantize"], output=4)
    assert [e.variant for e in each.entries] == ["fuse-attention", "quantize"]
    asked = ms.analyze("gpt2", on="l4", techniques="quantize:weights=int4", prompt=64, output=4)
    assert asked.tpot == alone.entries[0].value("tpot")


def test_a_name_nobody_knows_is_an_error_however_many_others_have_an_answer() -> None:
    with pytest.raises(ms.MansardError, match="no hardware called 'l40x'"):
        ms.compare(["gpt2"], ["l4", "l40x"])
    with pytest.raises(ms.MansardError, match="no scenario symbol called 'foo'"):
        ms.analyze("gpt2", on="l4").expr("tpot", over="foo")


def test_one_pipeline_alone_is_compared_with_none(run: Run) -> None:
    ran = run("compare", "gpt2", "--on", "l4", "--vs", "quantize:weights=int4", "-f", "json")
    assert [p["techniques"] for p in json.loads(ran.out)] == ["", "quantize:weights=int4"]


def test_answers_that_differ_in_a_length_have_a_line_of_it(run: Run) -> None:
    ask = ("compare", "bert-base-uncased,qwen2.5-0.5b", "--on", "h100-sxm")
    out = run(*ask).out
    lines = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.strip()}
    assert lines["prompt"] == ["512", "2048"]
    assert lines["output"] == ["–", "128"]
    footer = next(line for line in out.splitlines() if "changes against" in line)
    assert footer.startswith(" batch 1; changes")
    assert "| prompt" in run(*ask, "-f", "md").out
    same = run(*ASK).out
    assert "batch 1 · prompt 256 · output 8" in same
    assert not any(line.startswith("prompt ") for line in same.splitlines())
