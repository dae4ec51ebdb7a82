"""Tables of calibrated answers keep to the width and say what they rest on."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tests.conftest import Run

CALIBRATED = ("--estimate", "calibrated")


@pytest.mark.parametrize("width", [80, 100])
def test_an_explanation_breaks_no_name_and_says_which_columns_it_gave_up(
    run: Run, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    ran = run("explain", "llama-3.1-8b", "--on", "h100-sxm", "-b", "16", "-p", "1024", *CALIBRATED)
    assert "layers.gate_up_proj" in ran.out
    assert max(map(len, ran.out.splitlines())) <= width
    assert ("without bound, for want of space" in ran.out) is (width == 80)


def test_compared_chips_say_whose_measurements_they_rest_on(run: Run) -> None:
    asked = ("qwen2.5-0.5b", "--on", "h100-sxm,mi300x", "-p", "64", "-n", "4", *CALIBRATED)
    for more in ((), ("-f", "md")):
        said = " ".join(run("compare", *asked, *more).out.split())
        assert "h100-sxm rests on measurements of h100-sxm (100 %)" in said
        assert "mi300x rests on median of all measured chips (100 %)" in said
    assert "rests on" not in run("compare", *asked[:7]).out


def test_plans_say_whose_measurements_they_rest_on(run: Run) -> None:
    asked = ("qwen2.5-0.5b", "-p", "64", "-n", "4", "--slo", "tpot<50ms", "--rate", "1/s",
             "--max-devices", "1", *CALIBRATED)  # fmt: skip
    for on in ("mi300x", "mi300x,h100-sxm"):
        said = " ".join(run("plan", *asked, "--on", on).out.split())
        assert "mi300x rests on median of all measured chips (100 %)" in said


def test_a_calibration_of_random_times_holds_its_prediction_and_is_warned_of(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    draw = random.Random(1)
    lines = ["kind,dtype,framework,m,n,k,us"]
    for n in (1024, 4096, 8192, 14336):
        for k in (1024, 4096, 8192, 14336):
            for m in (1, 16, 128, 1024):
                bound_us = 2 * m * n * k / 362e6 + 2 * n * k / 864e3
                lines.append(f"gemm,bf16,mine,{m},{n},{k},{bound_us * draw.uniform(1.2, 200):.3f}")
    table, fitted = tmp_path / "random.csv", tmp_path / "mine.toml"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    ran = run("calibrate", table.name, "--chip", "l40s", "-o", fitted.name)
    assert "do not rely on it" in " ".join(ran.out.split())
    assert max(map(len, ran.out.splitlines())) <= 80
    (band,) = (line for line in fitted.read_text("utf-8").splitlines() if line.startswith("band ="))
    low, high = (float(end) for end in band.partition("[")[2].rstrip("]").split(","))
    assert low <= 1 <= high
    answer = run("analyze", "qwen2.5-0.5b", "--on", "l40s", *CALIBRATED, "--set",
                 f"calibration={fitted.name}")  # fmt: skip
    assert "[M085]" in answer.err
    checked = run("hardware", "check", fitted.name)
    assert checked.code == 2
    assert "a calibration of 'l40s', not a chip" in checked.err
    assert "--set calibration=FILE reads it" in checked.err
