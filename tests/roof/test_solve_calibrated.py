"""Inverse questions about the calibrated estimate: what may be asked, and what it is worth."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

import mansard as ms

Run = Callable[..., Any]
ASK = ("qwen2.5-0.5b", "--on", "h100-sxm", "--estimate", "calibrated", "-p", "256", "-n", "8")


def test_solve_takes_the_calibrated_estimate_and_its_neighbour_fails(run: Run) -> None:
    base = ms.study("qwen2.5-0.5b", on="h100-sxm", prompt=256, output=8, estimate="calibrated")
    least = base.analyze().tpot
    assert least is not None
    limit = least * 1.05
    found = base.solve("batch", maximize=True, subject_to=f"tpot <= {limit:.9f}s", within="1..64")
    assert isinstance(found.value, int)
    for batch, holds in ((found.value, True), (found.value + 1, False)):
        asked = ms.analyze(
            "qwen2.5-0.5b", on="h100-sxm", batch=batch, prompt=256, output=8, estimate="calibrated"
        )
        assert asked.tpot is not None
        assert (asked.tpot <= limit) == holds
    out = run("solve", *ASK, "--find", "batch", "--maximize", "-s", f"tpot<={limit:.9f}s",
              "--within", "1..64").out  # fmt: skip
    assert "band (4 of 5 measurements)" in out
    assert "A bound" not in out


def test_crossovers_of_the_estimate_are_of_the_calibrated_terms_and_say_so(run: Run) -> None:
    shown = run("crossovers", *ASK)
    words = " ".join(shown.out.split())
    assert "of the calibrated terms: the greater of what compute and memory ask for" in words
    assert "overhead" in words
    assert "Rests on measurements" in words
    assert "A bound" not in words
    found = json.loads(run("crossovers", *ASK, "-f", "json").out)
    lm_head = next(op for op in found["ops"] if op["name"] == "lm_head")
    assert lm_head["bounds"][0]["bound"] == "memory"
    assert lm_head["first_compute_bound"] == lm_head["bounds"][1]["from"]
    assert lm_head["bounds"][-1]["to"] is None
    assert all(sum(v for k, v in share.items() if k != "batch") == pytest.approx(1)
               for share in found["shares"])  # fmt: skip


def test_an_estimate_over_a_size_is_told_by_values_with_bound_and_band(run: Run) -> None:
    found = json.loads(run("explain", *ASK, "--over", "batch", "-f", "json").out)
    assert found["pieces"] == []
    values = {v["batch"]: v for v in found["values"]}
    assert {1, 2, 4, 8, 1024} <= values.keys()
    for batch in (1, 64):
        one = ms.analyze(
            "qwen2.5-0.5b", on="h100-sxm", batch=batch, prompt=256, output=8, estimate="calibrated"
        )
        assert one.calibrated is not None
        band = one.calibrated.bands["tpot_s"]
        expected = (one.tpot, one.calibrated.ideal["tpot_s"], band.low, band.high)
        told = tuple(values[batch][key] for key in ("value", "ideal", "low", "high"))
        assert told == pytest.approx(expected, rel=1e-9)
    turns = {b["from"] for op in found["crossovers"][0]["ops"] for b in op["bounds"][1:]}
    assert turns & values.keys()
    shown = run("explain", *ASK, "--over", "batch").out
    assert "calibrated laws have no pieces" in shown
    assert "turns here" in shown
    ideal = json.loads(run("explain", *ASK[:3], "--over", "batch", "-f", "json").out)
    assert ideal["values"] == []


def test_sizes_over_a_size_are_the_pieces_of_the_bound_whatever_the_estimate(run: Run) -> None:
    asked = ("--over", "batch", "--metric", "memory", "-f", "json")
    found = json.loads(run("explain", *ASK, *asked).out)
    bound = json.loads(run("explain", *(a for a in ASK if a not in ("--estimate", "calibrated")),
                           *asked).out)  # fmt: skip
    assert found["pieces"] == bound["pieces"] != []


def test_an_explanation_has_each_rows_factor_band_and_fitted_parameters(run: Run) -> None:
    assert "factor" in run("explain", *ASK).out
    shown = run("explain", *ASK, "--op", "lm_head").out
    for words in ("Fitted: gemm", "e_compute", "share of the matrix peak", "launch [s]",
                  "4 of 5 held back", "gemm__h100_sxm.csv", "Fitted: engine"):  # fmt: skip
        assert words in " ".join(shown.split()), words
    found = json.loads(run("explain", *ASK, "-f", "json").out)
    told = [op for op in found["ops"] if op["name"] != "engine"]
    for op in told:
        assert op["factor"] == pytest.approx(op["time_s"] / op["count"] / op["ideal_s"])
        assert op["ideal_s"] <= op["low_s"] <= op["high_s"]
    assert {op["basis"].partition("; engine: ")[0] for op in told} <= {
        f["set"] for f in found["fits"]
    }
    gemm = next(f for f in found["fits"] if f["form"] == "gemm")
    assert gemm["parameters"].keys() == gemm["meanings"].keys()
    assert gemm["parameters"]["e_read"] > 0
    assert gemm["rows"] > 100
    plain = json.loads(run("explain", "qwen2.5-0.5b", "--on", "h100-sxm", "-f", "json").out)
    assert "fits" not in plain
    assert "factor" not in plain["ops"][0]


def test_elasticities_of_the_estimate_are_those_of_answers_a_little_apart() -> None:
    asked: dict[str, Any] = {"on": "h100-sxm", "prompt": 256, "output": 8, "batch": 4}
    found = ms.study("llama-3.1-8b", estimate="calibrated", **asked).sensitivity("tpot")
    rate = "hardware.memory.bandwidth"
    low, high = (
        ms.analyze("llama-3.1-8b", estimate="calibrated", set={rate: f"{3.35 * by} TB/s"}, **asked)
        for by in (0.99, 1.01)
    )
    assert low.tpot is not None
    assert high.tpot is not None
    slope = math.log(high.tpot / low.tpot) / math.log(1.01 / 0.99)
    assert found[rate] == pytest.approx(slope, rel=1e-3)
    bound = ms.study("llama-3.1-8b", **asked).sensitivity("tpot")
    assert bound[rate] < found[rate] < 0  # launches and an engine answer to no rate
    assert found.overhead == pytest.approx(1 + found.total)
    assert "A bound" not in str(found)


def test_a_comparison_says_which_estimate_it_is_of(run: Run) -> None:
    assert "calibrated estimates" in " ".join(run("compare", *ASK).out.split())
