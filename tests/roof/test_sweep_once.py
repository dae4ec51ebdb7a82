"""Sweeps of models that are called once: totals, the prompt they read, and notes about them."""

from __future__ import annotations

import csv
import io

import pytest
from tests.conftest import Run

import mansard as ms

ONCE = ("dit-xl-2-256", "bert-base-uncased")


@pytest.mark.parametrize("name", ONCE)
def test_each_row_has_the_total_and_the_throughput_that_analyze_prints(name: str) -> None:
    found = ms.study(name, on="l4").sweep({"batch": "1,3"})
    for row in found.rows:
        answer = ms.analyze(name, on="l4", batch=row["batch"])
        total = sum(phase.total_s for phase in answer.phases.values())
        assert row["latency_s"] == pytest.approx(total, rel=1e-12)
        assert row["throughput_tok_s"] == pytest.approx(row["batch"] / total, rel=1e-12)
        assert row["memory"] == answer.memory.total
        assert row["prompt"] == (answer.scenario.prompt if "prompt" in answer.sizes else None)
        assert row["output"] is None
        assert row["makes"] == answer.makes
        assert (row["latency_s"], row["throughput_tok_s"]) == pytest.approx(
            (answer.latency, answer.throughput), rel=1e-12
        )
        assert row["energy_j"] == pytest.approx(answer.metrics.energy_j, rel=1e-12)
        assert row["ttft_s"] is row["tpot_s"] is row["cost_per_mtok"] is None
    said = set(ms.analyze(name, on="l4").notes)
    assert said <= set(found.notes)


def test_the_best_of_them_is_found_by_their_totals() -> None:
    best = ms.study("dit-xl-2-256", on="l4").sweep({"batch": "1..8"}, top=1, best="throughput")
    every = ms.study("dit-xl-2-256", on="l4").sweep({"batch": "1..8"}).rows
    assert best.rows == [max(every, key=lambda row: row["throughput_tok_s"])]


def test_a_prompt_longer_than_an_encoder_reads_is_marked_and_the_same_as_analyze() -> None:
    found = ms.study("bert-base-uncased", on="l4").sweep({"prompt": "256,512,2048"})
    for row in found.rows:
        answer = ms.analyze("bert-base-uncased", on="l4", prompt=row["prompt"])
        assert row["memory"] == answer.memory.total
    assert any("reaches 2,048 tokens" in n.message for n in found.notes if n.code == "M004")


def test_a_size_that_a_model_does_not_have_is_said_to_count_for_nothing() -> None:
    found = ms.study("dit-xl-2-256", on="l4").sweep({"prompt": "256,512"})
    assert any("prompt counts for nothing" in n.message for n in found.notes if n.code == "M009")


def test_rows_of_mean_lengths_are_only_spoken_of_where_they_are_shown(run: Run) -> None:
    ask = ("qwen2.5-0.5b", "--on", "h100-sxm", "-p", "uniform(100,110)", "-n", "8")
    assert "rows are those of 105 and 8 tokens" in run("analyze", *ask).err
    for command in (("crossovers",), ("sensitivity",),
                    ("plan", "--slo", "tpot<1s", "--rate", "1/s"),
                    ("solve", "--find", "batch", "--maximize", "-s", "tpot<20ms")):  # fmt: skip
        said = run(command[0], *ask, *command[1:]).err
        assert "expectations over 11 lengths" in said
        assert "rows are those" not in said


MIXED = ("bert-base-uncased,qwen2.5-0.5b", "--on", "h100-sxm")


def test_rows_that_differ_in_a_length_show_it_and_the_footer_does_not(run: Run) -> None:
    header, _, *rows = run("sweep", *MIXED, "--vary", "batch=1,8").out.splitlines()
    assert header.split()[:4] == ["model", "batch", "prompt", "output"]
    cells = [row.split()[:4] for row in rows[:4]]
    assert [c[2:] for c in cells] == [["512", "-"]] * 2 + [["2048", "128"]] * 2
    footer = " ".join(rows[4:])
    assert "on h100-sxm" in footer
    assert "prompt" not in footer
    assert "output" not in footer


def test_each_row_has_its_own_unit_of_throughput_and_a_latency(run: Run) -> None:
    out = run("sweep", *MIXED, "--vary", "batch=1,8").out
    encoder, decoder = (next(r for r in out.splitlines() if r.startswith(name))
                        for name in ("bert", "qwen"))  # fmt: skip
    assert "sequences/s" in encoder
    assert "tok/s" not in encoder
    assert "tok/s" in decoder
    assert "latency" in out.splitlines()[0]
    alone = run("sweep", "qwen2.5-0.5b", "--on", "h100-sxm", "--vary", "batch=1,8").out
    assert "latency" not in alone  # TTFT and TPOT say it


def test_a_sweep_of_an_encoder_alone_is_of_sequences_and_says_no_output(run: Run) -> None:
    ask = ("sweep", "bert-base-uncased", "--on", "h100-sxm", "--vary", "batch=1,8")
    out = run(*ask).out
    assert "tok/s" not in out
    assert out.splitlines()[0].split() == ["batch", "latency", "throughput", "memory"]
    assert "prompt 512" in out
    assert "output" not in out
    rows = list(csv.DictReader(io.StringIO(run(*ask, "-f", "csv").out)))
    assert {(r["prompt"], r["output"], r["makes"]) for r in rows} == {("512", "", "sequences")}


def test_a_reduced_sweep_says_what_each_row_makes(run: Run) -> None:
    models = ["bert-base-uncased", "dit-xl-2-256", "qwen2.5-0.5b"]
    found = ms.study(models[0], on="h100-sxm").sweep({"model": models}, top=3, best="memory")
    made = {row["model"]: (row["makes"], row["prompt"], row["output"]) for row in found.rows}
    assert made == {
        "bert-base-uncased": ("sequences", 512, None),
        "dit-xl-2-256": ("images", None, None),
        "qwen2.5-0.5b": ("tokens", 2048, 128),
    }
    for name, (makes, _, _) in made.items():
        assert ms.analyze(name, on="h100-sxm").makes == makes


def test_bands_leave_a_mixed_table_before_the_figures_of_a_row(run: Run) -> None:
    header = run("sweep", *MIXED, "--vary", "batch=1", "--estimate", "calibrated").out.splitlines()
    for title in ("TTFT", "TPOT", "latency", "throughput", "memory"):
        assert title in header[0]
