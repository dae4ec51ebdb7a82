"""`mansard crossovers`, `sensitivity` and `explain` as commands, and their documents."""

from __future__ import annotations

import csv
import io
import json
from importlib import resources
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from tests.conftest import Run

import mansard as ms

STEP = ("llama-3.1-70b", "--on", "h100-sxm", "-O0", "--context", "4k")
SPREAD = ("-p", "lognormal(1k,0.5)")


def valid(text: str, name: str) -> dict[str, Any]:
    """Return a document that satisfies the schema the package ships."""
    document: dict[str, Any] = json.loads(text)
    schema = resources.files("mansard").joinpath(f"schemas/{name}-1.schema.json")
    loaded = json.loads(schema.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(loaded)
    jsonschema.validate(document, loaded)
    assert document["schema"] == f"mansard.{name}/1"
    assert set(loaded["required"]) <= set(document) <= set(loaded["properties"])
    return document


@pytest.mark.parametrize("asked", [
    ("crossovers", "llama-3.1-8b", "--on", "h100-sxm"),
    ("crossovers", "mixtral-8x7b-v0.1", "--on", "h100-sxm:2", "--phase", "prefill"),
    ("crossovers", "llama-3.1-8b", "--on", "h100-sxm", *SPREAD),
    ("sensitivity", "llama-3.1-70b", "--on", "h100-sxm:8", "-b", "32"),
    ("sensitivity", "llama-3.1-8b", "--on", "h100-sxm", "--metric", "throughput", *SPREAD),
    ("explain", "llama-3.1-8b", "--on", "h100-sxm"),
    ("explain", "llama-3.1-8b", "--on", "h100-sxm", "--over", "batch"),
    ("explain", "llama-3.1-8b", "--on", "h100-sxm", "--metric", "memory", "--over", "batch"),
    ("explain", "llama-3.1-8b", "--on", "h100-sxm", "--op", "layers.gate_proj", *SPREAD),
    ("explain", "mixtral-8x7b-v0.1", "--on", "h100-sxm", "-t", "quantize:weights=int4",
     "--metric", "latency", "--over", "batch"),
    *((name, "llama-3.1-8b", "--on", "h100-sxm", "--estimate", "calibrated")
      for name in ("crossovers", "sensitivity", "explain")),
])  # fmt: skip
def test_the_documents_are_valid_under_the_shipped_schemas(
    run: Run, asked: tuple[str, ...]
) -> None:
    name = "explanation" if asked[0] == "explain" else asked[0]
    ran = run(*asked, "-f", "json")
    assert ran.code == 0
    valid(ran.out, name)
    line = run(*asked, "-f", "jsonl").out
    assert line.count("\n") == 1
    assert json.loads(line) == json.loads(ran.out)


def test_crossovers_print_the_batch_at_which_each_op_flips(run: Run) -> None:
    ran = run("crossovers", *STEP)
    assert ran.code == 0
    words = [line.split() for line in ran.out.splitlines()]
    lines = {of[0]: of[1] for of in words if len(of) > 1}
    names = ("lm_head", "layers.gate_proj", "layers.q_proj", "layers.k_proj", "layers.scores")
    assert [lines[n] for n in names] == ["308", "310", "319", "438", "never"]
    assert "memory to 307, compute from 308" in ran.out
    assert "exact: rows are affine in batch" in ran.out


def test_crossovers_as_csv_have_a_row_for_each_stretch(run: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(run("crossovers", *STEP, "-f", "csv").out)))
    head = [row for row in rows if row["op"] == "lm_head"]
    assert [(r["from"], r["to"], r["bound"]) for r in head] == [
        ("1", "307", "memory"), ("308", "", "compute"),
    ]  # fmt: skip
    assert {row["over"] for row in rows} == {"batch"}


def test_a_phase_and_a_size_may_be_named(run: Run) -> None:
    ran = run("crossovers", "llama-3.1-8b", "--on", "h100-sxm", "--phase", "prefill",
              "--over", "prompt", "-f", "json")  # fmt: skip
    document = json.loads(ran.out)
    assert (document["phase"], document["over"]) == ("prefill", "prompt")
    (op,) = (o for o in document["ops"] if o["name"] == "layers.o_proj")
    flip = op["first_compute_bound"]
    found = [ms.analyze("llama-3.1-8b", on="h100-sxm", prompt=p) for p in (flip - 1, flip)]
    assert [e.op("layers.o_proj", "prefill").bound for e in found] == ["memory", "compute"]


def test_sensitivities_add_up_in_the_table_and_in_csv(run: Run) -> None:
    ask = ("sensitivity", "llama-3.1-70b", "--on", "h100-sxm:8", "-b", "32")
    rows = list(csv.DictReader(io.StringIO(run(*ask, "-f", "csv").out)))
    assert sum(float(row["share_of_time"]) for row in rows) == pytest.approx(1)
    overhead = float(next(r for r in rows if r["rate"] == "none")["share_of_time"])
    assert sum(float(row["elasticity"]) for row in rows) == pytest.approx(overhead - 1)
    text = run(*ask).out
    assert "hardware.memory.bandwidth" in text
    assert "tpot per 1 % more of it" in text
    assert "of the time" in text


@pytest.mark.parametrize(("asked", "says"), [
    (("crossovers", "--over", "gamma"), "no size to cross over called 'gamma'"),
    (("crossovers", "--over", "context"), "context is of one decode step"),
    (("crossovers", "--over", "prompt", "--context", "9"), "prompt does not occur"),
    (("explain", "--estimate", "calibrated", "-f", "latex"), "formulas are of the bound"),
    (("crossovers", "--over", "prompt", *SPREAD), "prompt is no one number here"),
    (("crossovers", "-f", "md"), "md"),
    (("sensitivity", "--metric", "memory"), "no metric that rates set called 'memory'"),
    (("sensitivity", "--metric", "ttft", "--context", "9"), "there is no prefill phase"),
    (("sensitivity", "--metric", "tpot", "-n", "1"), "nothing is decoded"),
])  # fmt: skip
def test_a_bad_question_is_refused_without_a_traceback(
    run: Run, asked: tuple[str, ...], says: str
) -> None:
    ran = run(asked[0], "llama-3.1-8b", "--on", "h100-sxm", *asked[1:])
    assert (ran.code, ran.out) == (2, "")
    assert says in " ".join(ran.err.split())


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("command", ["crossovers", "sensitivity", "explain"])
def test_no_line_is_wider_than_the_terminal(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    ran = run(command, "llama-3.1-8b", "--on", "h100-sxm")
    assert max(map(len, ran.out.splitlines())) <= width


def test_the_answers_render_in_python_too() -> None:
    study = ms.study("llama-3.1-8b", on="h100-sxm")
    assert "lm_head" in str(study.crossovers())
    assert "hardware.memory.bandwidth" in str(study.sensitivity())
    assert study.sensitivity()._repr_html_().startswith("<pre>")
