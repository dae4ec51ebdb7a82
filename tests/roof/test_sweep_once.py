"""Sweeps of models that are called once: totals, the prompt they read, and notes about them."""

from __future__ import annotations

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
        assert row["prompt"] == answer.scenario.prompt
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
