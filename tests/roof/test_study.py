"""A study asks what ``analyze`` asks, and keeps what it loaded."""

from __future__ import annotations

import pytest

import mansard as ms


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
