"""A study asks what ``analyze`` asks, and keeps what it loaded."""

from __future__ import annotations

from typing import Any

import pytest

import mansard as ms

MODEL, CHIP = "qwen2.5-0.5b", "h100-sxm"


@pytest.mark.parametrize(
    "asked",
    [
        {"batch": 4, "prompt": 512, "output": 9},
        {"context": 4096, "batch": 2},
        {"phase": "decode"},
        {"level": "O0", "techniques": ["quantize{weights=int4}"]},
    ],
)
def test_a_study_answers_its_own_scenario_as_analyze_does(asked: dict[str, object]) -> None:
    study = ms.study("qwen2.5-0.5b", on="h100-sxm", **asked)  # type: ignore[arg-type]
    direct = ms.analyze("qwen2.5-0.5b", on="h100-sxm", **asked)  # type: ignore[arg-type]
    assert study.analyze().to_dict() == direct.to_dict()


def test_a_study_compiles_what_it_prepared_once() -> None:
    study = ms.study("qwen2.5-0.5b", on="h100-sxm:2", prompt=512, output=9)
    assert study.compiled is study.compiled
    figures = study.compiled.figures(1, 512, 9, ["tpot"])
    assert figures["tpot"][0] == pytest.approx(study.analyze().tpot, rel=1e-12)


def test_a_study_refuses_sizes_before_anything_is_loaded() -> None:
    with pytest.raises(ms.MansardError, match="batch"):
        ms.study("no-such-model", on="no-such-chip", batch=0)


def test_a_length_may_be_written_as_on_the_command_line() -> None:
    written = ms.analyze("gpt2", on="l4", prompt="0.5k", output="16")
    assert written.to_dict() == ms.analyze("gpt2", on="l4", prompt=512, output=16).to_dict()
    study = ms.study("gpt2", on="l4", prompt="0.5k", output="16 tokens")
    assert (study.scenario.prompt, study.scenario.output) == (512, 16)
    with pytest.raises(ms.MansardError, match="prompt is '8x', neither"):
        ms.analyze("gpt2", on="l4", prompt="8x")


@pytest.mark.parametrize("name", ["batch", "prompt", "output", "context"])
def test_sizes_may_be_written_as_on_the_command_line(name: str) -> None:
    written: dict[str, Any] = {name: "1k"}
    plain: dict[str, Any] = {name: 1024}
    assert (
        ms.study(MODEL, on=CHIP, **written).scenario == ms.study(MODEL, on=CHIP, **plain).scenario
    )
    found = ms.analyze(MODEL, on=CHIP, **written)
    assert found.to_dict() == ms.analyze(MODEL, on=CHIP, **plain).to_dict()
    (entry,) = ms.compare(MODEL, CHIP, **written).entries
    assert entry.estimate is not None
    assert entry.estimate.scenario == found.scenario
    rows = ms.study(MODEL, on=CHIP).sweep({name: ["1k", 2048]}).rows
    assert [row[name] for row in rows] == [1024, 2048]
    for bad in ("2q", "0", "-1", "1.5", "", "1e99"):
        wrong: dict[str, Any] = {name: bad}
        with pytest.raises(ms.MansardError, match=name) as error:
            ms.analyze(MODEL, on=CHIP, **wrong)
        assert error.value.hint


def test_numbers_of_numpy_are_numbers() -> None:
    import numpy as np

    sizes: dict[str, Any] = {"batch": np.int64(4), "context": np.int32(9)}
    asked = ms.study(MODEL, on=CHIP, **sizes)
    assert (asked.scenario.batch, asked.scenario.prompt) == (4, 9)
    assert type(asked.scenario.batch) is int
