"""The Python API: what it takes, what it refuses, how ops are found."""

from __future__ import annotations

from dataclasses import replace

import pytest

import mansard as ms
from mansard.backends.estimate import Row
from mansard.query.find import find_row
from mansard.query.overrides import read_assignments, read_overrides
from mansard.query.report import finite


def test_a_program_a_mapping_and_a_name_give_the_same_answer() -> None:
    by_name = ms.analyze("qwen2.5-0.5b", on="h100-sxm")
    by_program = ms.analyze(ms.load("qwen2.5-0.5b"), on=ms.load_hardware("h100-sxm"))
    assert by_program.to_dict() == by_name.to_dict()


def test_defaults_are_those_of_the_contract() -> None:
    asked = ms.analyze("qwen2.5-0.5b", on="h100-sxm").scenario
    assert (asked.batch, asked.prompt, asked.output) == (1, 2048, 128)


@pytest.mark.parametrize("size", [0, -1, 1.0, 2.5, "0", True, 10**13])
@pytest.mark.parametrize("name", ["batch", "prompt", "output", "context"])
def test_a_size_must_be_a_whole_number_of_at_least_one(name: str, size: object) -> None:
    with pytest.raises(ms.MansardError, match=name):
        ms.analyze("qwen2.5-0.5b", on="h100-sxm", **{name: size})  # type: ignore[arg-type]


def test_unknown_words_are_answered_with_near_ones() -> None:
    for options, near in (
        ({"level": "O11"}, "O1"),
        ({"phase": "prefil"}, "prefill"),
        ({"estimate": "ideel"}, "ideal"),
        ({"set": {"modle.x": 1}}, "model"),
    ):
        with pytest.raises(ms.MansardError) as caught:
            ms.analyze("qwen2.5-0.5b", on="h100-sxm", **options)
        assert near in str(caught.value.hint)


def test_a_program_takes_no_override_of_its_config() -> None:
    with pytest.raises(ms.MansardError, match="Program"):
        ms.analyze(ms.load("qwen2.5-0.5b"), on="h100-sxm", set={"model.num_hidden_layers": 2})
    with pytest.raises(ms.MansardError, match="does not belong to a model"):
        ms.load("qwen2.5-0.5b", set={"hardware.tdp": "1W"})


def test_overrides_are_sorted_by_section_and_given_once() -> None:
    found = read_overrides({"model.a.b": 1, "hardware.tdp": "300W"})
    assert (found.model, found.hardware) == ({"a.b": "1"}, {"tdp": "300W"})
    with pytest.raises(ms.MansardError, match="twice"):
        read_assignments(["model.a=1", "model.a=2"])


def test_an_op_is_found_by_name_in_the_last_phase_or_in_one(answer: ms.Estimate) -> None:
    assert answer.op("lm_head") is next(r for r in answer.decode.ops if r.name == "lm_head")
    assert answer.op("lm_head", "prefill") in answer.prefill.ops
    with pytest.raises(ms.MansardError) as caught:
        answer.op("lm_haed")
    assert "lm_head" in str(caught.value.hint)
    with pytest.raises(ms.MansardError, match="no phase"):
        answer.op("lm_head", "encode")


def test_a_member_of_a_merged_op_finds_the_op_and_says_so(answer: ms.Estimate) -> None:
    def merged(name: str, *members: str) -> Row:
        return replace(answer.decode.ops[0], name=name, members=members)

    rows = (merged("layers.gate_up_proj"), merged("layers.attention", "layers.scores"))
    phase = replace(answer.decode, ops=rows)
    assert find_row(phase, "layers.attention").said == ""
    assert find_row(phase, "layers.scores").row is rows[1]
    found = find_row(phase, "layers.gate_proj")
    assert found.row is rows[0]
    assert found.said == "layers.gate_proj is part of layers.gate_up_proj in decode"
    with pytest.warns(UserWarning, match="part of layers.attention"):
        replace(answer, phases={"decode": phase}).op("layers.scores")


def test_nan_and_infinity_never_reach_the_json() -> None:
    assert finite({"a": float("nan"), "b": (float("inf"), 1)}) == {"a": None, "b": [None, 1]}


def test_lengths_may_be_written_as_on_the_command_line() -> None:
    written = ms.analyze("gpt2", on="l4", prompt="1k", output="8")
    assert (written.scenario.prompt, written.scenario.output) == (1024, 8)
    step = ms.analyze("gpt2", on="l4", batch="2", context="8k")
    assert (step.scenario.batch, step.scenario.prompt, step.scenario.single_step) == (2, 8192, True)
    with pytest.raises(ms.MansardError, match=r"batch .* 'eight'"):
        ms.analyze("gpt2", on="l4", batch="eight")
    with pytest.raises(ms.MansardError, match=r"context .* 'eight'"):
        ms.analyze("gpt2", on="l4", context="eight")
