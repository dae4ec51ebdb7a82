"""Lengths that are distributions: expectations equal sums over every length."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

import mansard as ms
from mansard.query.lengths import read_lengths, read_mix

Run = Callable[..., Any]
MODEL, CHIP = "qwen2.5-0.5b", "h100-sxm"


def averaged(pairs: list[tuple[int, int]], **asked: Any) -> dict[str, float]:
    """Return the mean of the metrics over requests, asked one by one."""
    found = [ms.analyze(MODEL, on=CHIP, prompt=p, output=n, **asked) for p, n in pairs]
    mean = {
        name: math.fsum(getattr(e.metrics, name) for e in found) / len(found)
        for name in ("ttft_s", "tpot_s", "latency_s")
    }
    tokens = math.fsum(n for _, n in pairs)
    batch = asked.get("batch", 1)
    seconds = math.fsum(
        batch * n / (e.throughput or 0) for e, (_, n) in zip(found, pairs, strict=True)
    )
    return {**mean, "throughput_tok_s": batch * tokens / seconds,
            "tokens_per_s_per_user": 1 / mean["tpot_s"]}  # fmt: skip


def assert_metrics(estimate: ms.Estimate, expected: dict[str, float]) -> None:
    for name, value in expected.items():
        assert getattr(estimate.metrics, name) == pytest.approx(value, rel=1e-12), name


def test_a_uniform_prompt_is_the_mean_over_every_length() -> None:
    found = ms.analyze(MODEL, on=CHIP, prompt="uniform(500,509)", output=16, batch=4)
    assert_metrics(found, averaged([(p, 16) for p in range(500, 510)], batch=4))
    assert found.scenario.prompt == 504  # 504.5, and ties go to the even one
    assert "M073" in {n.code for n in found.notes}


def test_prompts_and_outputs_given_apart_are_independent(tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.csv"
    prompts.write_text("100\n100\n300\n")
    found = ms.analyze(MODEL, on=CHIP, prompt=str(prompts), output="uniform(2,3)")
    assert_metrics(found, averaged([(p, n) for p in (100, 100, 300) for n in (2, 3)]))


def test_one_csv_for_both_is_read_pair_by_pair(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("id,output,prompt\na,8,100\nb,64,2000\nc,8,100\n")
    found = ms.analyze(MODEL, on=CHIP, prompt=str(pairs), output=str(pairs))
    assert_metrics(found, averaged([(100, 8), (2000, 64), (100, 8)]))


def test_a_quadrature_is_as_good_as_a_fine_sum() -> None:
    """A window's kinks and roofs' corners included: gemma-2-2b looks back 4096 tokens."""
    study = ms.study("gemma-2-2b", on=CHIP)
    mix = read_mix("lognormal(3k,0.9)", 256, (1, 1))
    assert mix is not None
    names = ("ttft", "tpot", "latency")
    found = mix.expected(study.compiled, [1, 32], names)
    ranks = (np.arange(200_000) + 0.5) / 200_000
    lengths = 3072 * np.exp(0.9 * np.array([NormalDist().inv_cdf(r) for r in ranks[::10]]))
    for k, batch in enumerate((1, 32)):
        fine = study.compiled.figures(
            batch, np.maximum(lengths, 1), 256, ("ttft", "tpot", "latency")
        )
        for name, values in fine.items():
            assert found[name][k] == pytest.approx(values.mean(), rel=2e-3), (name, batch)


def test_the_mean_length_is_not_the_mean_metric() -> None:
    """Prefill is quadratic in the length, so a long tail costs more than its mean."""
    spread = ms.analyze(MODEL, on=CHIP, prompt="lognormal(32k,1)", output=16)
    mean = ms.analyze(MODEL, on=CHIP, prompt=spread.scenario.prompt, output=16)
    assert spread.ttft is not None
    assert mean.ttft is not None
    assert spread.ttft > 1.2 * mean.ttft


def test_distributions_keep_their_means() -> None:
    assert read_lengths("lognormal(2k,0.8)").mean == pytest.approx(2048 * math.exp(0.32), rel=1e-12)
    assert read_lengths("uniform(1,1000001)").mean == pytest.approx(500_001, rel=1e-12)
    for text in ("lognormal(1k,2)", "uniform(7,7)", "uniform(1,1m)"):
        assert math.fsum(read_lengths(text).weights) == pytest.approx(1, abs=1e-12)


def test_a_sweep_averages_each_batch() -> None:
    study = ms.study(MODEL, on=CHIP, prompt="uniform(100,103)", output=8)
    for row in study.sweep(batch=[1, 16]).rows:
        expected = averaged([(p, 8) for p in range(100, 104)], batch=row["batch"])
        for name, value in expected.items():
            assert row[name] == pytest.approx(value, rel=1e-12), name
        assert row["prompt"] == "uniform(100,103)"
    best = study.sweep(batch="1..64", top=1, best="throughput").rows
    assert best[0]["batch"] == 64
    with pytest.raises(ms.MansardError, match="distribution"):
        study.sweep(prompt=[1, 2])


def test_the_command_line_takes_them_and_says_so(run: Run, tmp_path: Path) -> None:
    found = run("analyze", MODEL, "--on", CHIP, "-p", "lognormal(2k,0.8)", "-f", "json")
    assert found.code == 0
    assert "M073" in found.err
    document = json.loads(found.out)
    expected = ms.analyze(MODEL, on=CHIP, prompt="lognormal(2k,0.8)")
    assert document["metrics"]["ttft_s"] == expected.ttft


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lognormal(2k)", "cannot read"),
        ("lognormal(2k,0)", "sigma"),
        ("lognormal(2k,9)", "sigma"),
        ("lognormal(0,1)", "length of 0"),
        ("uniform(9,1)", "backwards"),
        ("uniform(0,5)", "length of 0"),
        ("uniform(1,1000000000000)", "longer"),
        ("normal(1,2)", "cannot read"),
        ("exec(1,2)", "cannot read"),
        ("missing.csv", "cannot be read"),
        ("half", "neither"),
    ],
)
def test_text_that_is_no_distribution_is_refused(text: str, said: str) -> None:
    with pytest.raises(ms.MansardError, match=said) as caught:
        ms.analyze(MODEL, on=CHIP, prompt=text)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no lengths"),
        ("\n\n", "no lengths"),
        ("prompt\n12\nmany\n", "line 3"),
        ("prompt\n0\n", "line 2"),
        ("a,b\n1,2\n", "no column"),
        ("prompt\n", "no lengths"),
        ("1.5\n", "line"),
        ("-3\n", "line"),
    ],
)
def test_a_csv_that_holds_no_lengths_is_refused(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "lengths.csv"
    file.write_text(content)
    with pytest.raises(ms.MansardError, match=said) as caught:
        ms.analyze(MODEL, on=CHIP, prompt=str(file))
    assert caught.value.hint


def test_a_context_and_a_distribution_exclude_each_other() -> None:
    with pytest.raises(ms.MansardError, match="context"):
        ms.analyze(MODEL, on=CHIP, prompt="uniform(1,9)", context=10)


def test_the_memory_of_an_answer_is_an_expectation_too() -> None:
    """A window fills with its first tokens: the cache of the mean length is more."""
    found = ms.analyze("gemma-2-2b", on=CHIP, prompt="lognormal(4k,1)", output=16)
    held = ms.study("gemma-2-2b", on=CHIP, prompt="lognormal(4k,1)", output=16).sweep(batch=[1])
    assert found.memory.total == pytest.approx(held.rows[0]["memory"], rel=1e-12)
    mean = ms.analyze("gemma-2-2b", on=CHIP, prompt=found.scenario.prompt, output=16)
    assert found.memory.kv_cache < 0.95 * mean.memory.kv_cache
