"""The calibrated estimate over lengths that are distributions: expectations, with their band."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mansard as ms

Run = Callable[..., Any]
MODEL, CHIP = "qwen2.5-0.5b", "h100-sxm"
TRACE = ((100, 8), (2000, 64), (700, 3))
ASK: dict[str, Any] = {"on": CHIP, "estimate": "calibrated", "batch": 4}


@pytest.fixture
def trace(tmp_path: Path) -> str:
    file = tmp_path / "trace.csv"
    file.write_text("prompt,output\n" + "\n".join(f"{p},{n}" for p, n in TRACE) + "\n")
    return str(file)


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def test_metrics_bounds_and_bands_are_means_over_every_length(trace: str) -> None:
    spread = ms.analyze(MODEL, prompt=trace, output=trace, **ASK)
    each = [ms.analyze(MODEL, prompt=p, output=n, **ASK) for p, n in TRACE]
    said = spread.calibrated
    assert said is not None
    for name in ("ttft_s", "tpot_s", "latency_s"):
        found = [e.calibrated for e in each if e.calibrated]
        expected = mean([getattr(e.metrics, name) for e in each])
        assert getattr(spread.metrics, name) == pytest.approx(expected, rel=1e-9), name
        ideal = mean([f.ideal[name] or 0.0 for f in found])
        assert said.ideal[name] == pytest.approx(ideal, rel=1e-9), name
        assert said.ratios[name] == pytest.approx(expected / ideal, rel=1e-9), name
        band = said.bands[name]
        assert band.low == pytest.approx(mean([f.bands[name].low for f in found]), rel=1e-9), name
        assert band.high == pytest.approx(mean([f.bands[name].high for f in found]), rel=1e-9), name
    tokens, seconds = sum(n for _, n in TRACE), [n / (e.throughput or 0.0) for e, (_, n) in zip(
        each, TRACE, strict=True)]  # fmt: skip
    assert spread.throughput == pytest.approx(tokens / math.fsum(seconds), rel=1e-9)


def test_the_band_of_a_rate_is_that_of_all_tokens_over_all_time(trace: str) -> None:
    spread = ms.analyze(MODEL, prompt=trace, output=trace, **ASK)
    each = [ms.analyze(MODEL, prompt=p, output=n, **ASK).calibrated for p, n in TRACE]
    said = spread.calibrated
    assert said is not None
    for end in ("low", "high"):
        seconds = [n / getattr(e.bands["throughput_tok_s"], end)
                   for e, (_, n) in zip(each, TRACE, strict=True) if e]  # fmt: skip
        expected = sum(n for _, n in TRACE) / math.fsum(seconds)
        assert getattr(said.bands["throughput_tok_s"], end) == pytest.approx(expected, rel=1e-9)
    row = ms.study(MODEL, prompt=trace, output=trace, **ASK).sweep(batch=[4]).rows[0]
    assert row["throughput_low_tok_s"] < row["throughput_tok_s"] < row["throughput_ideal_tok_s"]


def test_rows_of_an_explanation_are_means_and_add_up_to_the_metric(trace: str) -> None:
    told = ms.study(MODEL, prompt=trace, output=trace, **ASK).explain("ttft")
    each = [ms.analyze(MODEL, prompt=p, output=n, **ASK) for p, n in TRACE]
    assert math.fsum(part.time_s for part in told.parts) == pytest.approx(told.value, rel=1e-9)
    name = "layers.gate_up_proj"
    row = next(part.row for part in told.parts if part.row.name == name)
    for field in ("time_s", "ideal_s", "low_s", "high_s"):
        expected = mean([getattr(e.op(name, "prefill"), field) for e in each])
        assert getattr(row, field) == pytest.approx(expected, rel=1e-9), field
    assert told.estimate.calibrated is not None
    shares = [share for _, share in told.estimate.calibrated.shares]
    assert math.fsum(shares) == pytest.approx(1.0)
    assert shares == sorted(shares, reverse=True)


def test_what_rows_rest_on_counts_every_step_of_a_generation() -> None:
    spread = ms.study(MODEL, prompt="uniform(500,501)", output=64, **ASK).explain("tpot").estimate
    one = ms.analyze(MODEL, prompt=500, output=64, **ASK)
    assert spread.calibrated is not None
    assert one.calibrated is not None
    shares = {basis.set: share for basis, share in one.calibrated.shares}
    for basis, share in spread.calibrated.shares:
        assert share == pytest.approx(shares[basis.set], rel=0.01, abs=1e-4), basis.set


def test_solve_and_compare_take_them_and_a_limit_holds_up_to_the_answer() -> None:
    spread: dict[str, Any] = {"prompt": "uniform(200,207)", "output": 8, "estimate": "calibrated"}
    study = ms.study(MODEL, on=CHIP, **spread)
    limit = (study.analyze().tpot or 0.0) * 1.2
    found = study.solve("batch", maximize=True, subject_to=f"tpot <= {limit:.9f}s", within="1..99")
    assert isinstance(found.value, int)
    for batch, holds in ((found.value, True), (found.value + 1, False)):
        tpot = ms.analyze(MODEL, on=CHIP, batch=batch, **spread).tpot
        assert tpot is not None
        assert (tpot <= limit) == holds
    records = ms.compare(MODEL, [CHIP, "h200-sxm"], **spread).to_dict()
    assert [r["tpot_s"] for r in records] == [
        ms.analyze(MODEL, on=chip, **spread).tpot for chip in (CHIP, "h200-sxm")
    ]
    assert all(r["tpot_low_s"] < r["tpot_s"] < r["tpot_high_s"] for r in records)


@pytest.mark.parametrize(
    "command", [("analyze",), ("compare",), ("explain",), ("sensitivity",), ("crossovers",),
                ("plan", "--slo", "tpot<30ms", "--rate", "1/s"),
                ("solve", "--find", "batch", "--maximize", "-s", "tpot<=9ms")],
)  # fmt: skip
def test_every_question_takes_a_distribution_with_the_estimate(
    run: Run, command: tuple[str, ...]
) -> None:
    name, *rest = command
    ran = run(name, MODEL, "--on", CHIP, "--estimate", "calibrated", "-p", "uniform(200,203)",
              "-n", "8", *rest)  # fmt: skip
    assert ran.code == 0, ran.err
    assert "uniform(200,203)" in ran.out + ran.err
