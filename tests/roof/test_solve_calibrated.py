"""Inverse questions about the calibrated estimate: what may be asked, and what it is worth."""

from __future__ import annotations

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


def test_what_has_no_calibrated_form_says_so(run: Run) -> None:
    ran = run("explain", *ASK)
    assert (ran.code, ran.out) == (2, "")
    assert "of the bound" in ran.err
    study = ms.study("qwen2.5-0.5b", on="h100-sxm", prompt=256, output=8, estimate="calibrated")
    for ask in (study.crossovers, study.sensitivity):
        with pytest.raises(ms.MansardError, match="of the bound"):
            ask()


def test_a_comparison_says_which_estimate_it_is_of(run: Run) -> None:
    assert "calibrated estimates" in " ".join(run("compare", *ASK).out.split())
