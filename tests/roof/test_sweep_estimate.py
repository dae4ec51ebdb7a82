"""A sweep says which estimate its rows are, and once what it is worth."""

from __future__ import annotations

import pytest

import mansard as ms


@pytest.mark.parametrize("kind", ["ideal", "calibrated"])
def test_rows_and_table_say_the_estimate(kind: str) -> None:
    asked = ms.study("qwen2.5-0.5b", on="h100-sxm", prompt=64, output=4, estimate=kind)
    found = asked.sweep(batch=[1, 2])
    assert [row["estimate"] for row in found.rows] == [kind, kind]
    assert f"estimate {kind}" in " ".join(str(found).split())


def test_what_a_calibrated_sweep_is_worth_is_said_once() -> None:
    asked = ms.study("qwen2.5-0.5b", on="l40s", prompt=64, output=4, estimate="calibrated")
    codes = [note.code for note in asked.sweep(batch=[1, 2, 4]).notes]
    assert codes.count("M080") == codes.count("M081") == 1
    spread = ms.study("qwen2.5-0.5b", on="l40s", prompt="uniform(60,64)", output=4,
                      estimate="calibrated").sweep(batch=[1, 2])  # fmt: skip
    assert {"M073", "M080", "M081"} <= {note.code for note in spread.notes}
    best = asked.sweep(batch=[1, 2, 4], top=1, best="throughput")
    assert [note.code for note in best.notes].count("M080") == 1
    assert not {"M080", "M081"} & {
        n.code for n in ms.study("qwen2.5-0.5b", on="l40s").sweep(batch=[1, 2]).notes
    }


@pytest.mark.parametrize("on", [["h100-sxm", "mi300x"], ["mi300x", "h100-sxm"]])
def test_one_note_names_the_chips_that_rest_on_others_in_any_order(on: list[str]) -> None:
    asked = ms.study("qwen2.5-0.5b", on="h100-sxm", prompt=64, output=4, estimate="calibrated")
    notes = asked.sweep(on=on, batch=[1, 2]).notes
    (note,) = (n for n in notes if n.code == "M080")
    assert "mi300x (100% of the time) rests on medians of other chips" in note.message
    assert "h100-sxm" not in note.message
    assert [n.code for n in notes].count("M081") == 1


BESIDE = ("ideal_s", "ratio", "low_s", "high_s")


def test_a_calibrated_sweep_has_the_bound_the_ratio_and_the_band_of_every_metric() -> None:
    asked = ms.study("qwen2.5-0.5b", on="h100-sxm", prompt=256, output=8, estimate="calibrated")
    swept = asked.sweep(batch=[1, 4])
    row = swept.rows[1]
    one = ms.analyze(
        "qwen2.5-0.5b", on="h100-sxm", batch=4, prompt=256, output=8, estimate="calibrated"
    )
    said = one.calibrated
    assert said is not None
    for name in ("ttft", "tpot", "latency"):
        expected = (
            said.ideal[f"{name}_s"], said.ratios[f"{name}_s"], said.bands[f"{name}_s"].low,
            said.bands[f"{name}_s"].high,
        )  # fmt: skip
        assert [row[f"{name}_{part}"] for part in BESIDE] == pytest.approx(expected, rel=1e-12)
    assert row["throughput_low_tok_s"] < row["throughput_tok_s"] < row["throughput_ideal_tok_s"]
    assert {"ttft_low_s", "tpot_ratio"} <= set(swept.metrics)
    assert "TPOT band" in str(swept)
    ideal = ms.study("qwen2.5-0.5b", on="h100-sxm", prompt=256, output=8).sweep(batch=[1])
    assert "ttft_ideal_s" not in ideal.columns
    assert "band" not in str(ideal)


def test_what_a_reduction_keeps_has_them_too() -> None:
    asked = ms.study("qwen2.5-0.5b", on="h100-sxm", prompt=256, output=8, estimate="calibrated")
    whole, best = asked.sweep(batch=range(1, 9)), asked.sweep(batch=range(1, 9), top=1, best="tpot")
    assert best.rows[0] == pytest.approx(min(whole.rows, key=lambda row: row["tpot_s"]))


def test_expectations_have_bands_too() -> None:
    asked = ms.study(
        "qwen2.5-0.5b", on="h100-sxm", prompt="uniform(100,200)", output=8, estimate="calibrated"
    )
    (row,) = asked.sweep(batch=[2]).rows
    assert row["tpot_ideal_s"] < row["tpot_low_s"] < row["tpot_s"] < row["tpot_high_s"]
    assert row["tokens_per_s_per_user_low"] == pytest.approx(1 / row["tpot_high_s"])
    assert row["throughput_low_tok_s"] < row["throughput_tok_s"] < row["throughput_ideal_tok_s"]


def test_a_comparison_has_the_same_columns_and_the_band_under_each_time() -> None:
    asked = {"batch": 2, "prompt": 256, "output": 8, "estimate": "calibrated"}
    found = ms.compare("qwen2.5-0.5b", on=["h100-sxm", "a100-sxm-80gb"], **asked)  # type: ignore[arg-type]
    first = found.records()[0]
    one = ms.analyze("qwen2.5-0.5b", on="h100-sxm", **asked).calibrated  # type: ignore[arg-type]
    assert one is not None
    assert first["ttft_ideal_s"] == one.ideal["ttft_s"]
    assert first["tpot_high_s"] == one.bands["tpot_s"].high
    assert first["latency_ratio"] == one.ratios["latency_s"]
    lines = [line.split()[0] for line in str(found).splitlines() if line.strip()]
    assert lines.count("band") == lines.count("bound") == 3
    del asked["estimate"]
    plain = ms.compare("qwen2.5-0.5b", on=["h100-sxm", "a100-sxm-80gb"], **asked)  # type: ignore[arg-type]
    assert "ttft_ideal_s" not in plain.records()[0]
