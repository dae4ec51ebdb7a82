"""Every document of a calibrated answer says which estimate it is, and what it rests on."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from tests.conftest import Run

ASKED = ("llama-3.1-8b", "-p", "1k", "-n", "128")
CALIBRATED = ("--estimate", "calibrated")
SOLVE = ("--find", "batch", "--maximize", "-s", "tpot<=20ms")
PLAN = ("--slo", "tpot<30ms", "--rate", "2/s")
WHOLE = {"framework", "bands", "bands_of", "ideal", "ratio", "basis"}


def asked(run: Run, command: str, *more: str, on: str = "h100-sxm") -> Any:
    ran = run(command, *ASKED, "--on", on, *more, "-f", "json")
    assert ran.code == 0
    return json.loads(ran.out)


@pytest.mark.parametrize(("command", "more"), [
    ("sensitivity", ()), ("crossovers", ()), ("explain", ()), ("solve", SOLVE),
])  # fmt: skip
def test_a_document_has_what_analyze_says_of_the_same_question(
    run: Run, command: str, more: tuple[str, ...]
) -> None:
    found = asked(run, command, *more, *CALIBRATED)
    batch = str(found["scenario"]["batch"])
    whole = asked(run, "analyze", "-b", batch, *CALIBRATED)
    assert {name: found[name] for name in ("estimate", *WHOLE)} == {
        name: whole[name] for name in ("estimate", *WHOLE)
    }
    bound = asked(run, command, *more)
    assert bound["estimate"] == "ideal"
    assert not WHOLE & set(bound)


def test_a_solution_that_is_none_still_says_what_it_rests_on(run: Run) -> None:
    ran = run(
        "solve",
        *ASKED,
        "--on",
        "l4",
        "--find",
        "batch",
        "-s",
        "tpot<=1us",
        *CALIBRATED,
        "-f",
        "json",
    )
    found = json.loads(ran.out)
    assert (ran.code, found["value"], found["estimate"]) == (1, None, "calibrated")
    assert found["basis"][0]["form"] == "gemm"
    assert "bands" not in found
    schema = resources.files("mansard").joinpath("schemas/solution-1.schema.json")
    jsonschema.validate(found, json.loads(schema.read_text("utf-8")))


def test_a_comparison_has_bands_in_columns_and_says_what_each_rests_on(run: Run) -> None:
    first, second = asked(run, "compare", *CALIBRATED, on="h100-sxm,mi300x")
    assert first["estimate"] == second["estimate"] == "calibrated"
    assert first["tpot_low_s"] < first["tpot_s"] < first["tpot_high_s"]
    assert first["basis"][0]["set"].startswith("h100-sxm")
    assert second["basis"][0]["set"].startswith("median of")
    assert "M080" in [note["code"] for note in second["warnings"]]
    assert "M080" not in [note["code"] for note in first["warnings"]]
    (bound,) = asked(run, "compare")
    assert bound["estimate"] == "ideal"
    assert "basis" not in bound


def test_a_plan_says_which_estimate_it_is_of(run: Run) -> None:
    found, bound = asked(run, "plan", *PLAN, *CALIBRATED), asked(run, "plan", *PLAN)
    assert (found["estimate"], bound["estimate"]) == ("calibrated", "ideal")
    assert found["basis"][0]["set"].startswith("h100-sxm")
    assert "M081" in [note["code"] for note in found["warnings"]]
    assert "basis" not in bound
    schema = resources.files("mansard").joinpath("schemas/plan-1.schema.json")
    jsonschema.validate(found, json.loads(schema.read_text("utf-8")))
