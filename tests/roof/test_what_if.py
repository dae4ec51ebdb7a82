"""The same question with something changed."""

from __future__ import annotations

from typing import Any

import pytest

import mansard as ms

BASE: dict[str, Any] = {"on": "l4", "batch": 4, "prompt": 256, "output": 16}


@pytest.fixture(scope="module")
def base() -> ms.Study:
    return ms.study("qwen2.5-0.5b", **BASE)


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"weights": "int4"}, {"techniques": ["quantize{weights=int4}"]}),
        ({"quantize.weights": "int4", "on": "h100-sxm"},
         {"techniques": ["quantize{weights=int4}"], "on": "h100-sxm"}),
        ({"batch": 64, "prompt": "1k"}, {"batch": 64, "prompt": 1024}),
        ({"hardware.memory.bandwidth": "1TB/s"}, {"set": {"hardware.memory.bandwidth": "1TB/s"}}),
        ({"model": "gpt2"}, {"model": "gpt2"}),
    ],
)  # fmt: skip
def test_after_is_what_analyze_says_of_the_changed_question(
    base: ms.Study, changes: dict[str, object], asked: dict[str, Any]
) -> None:
    found = base.what_if(changes)
    keywords = {**BASE, **asked}
    model = keywords.pop("model", "qwen2.5-0.5b")
    assert found.after.to_dict() == ms.analyze(model, **keywords).to_dict()
    assert found.before.to_dict() == ms.analyze("qwen2.5-0.5b", **BASE).to_dict()


def test_the_changes_of_ops_add_up_to_the_phases(base: ms.Study) -> None:
    found = base.what_if({"weights": "int4"})
    for name, phase in found.after.phases.items():
        changed = sum(op.change_s for op in found.ops if op.phase == name)
        assert changed == pytest.approx(phase.time_s - found.before.phases[name].time_s, rel=1e-9)
    assert all(op.before_s != op.after_s or op.before_bytes != op.after_bytes or
               op.before_flops != op.after_flops for op in found.ops)  # fmt: skip
    assert "lm_head" not in {op.name for op in found.ops}  # it is kept wide
    text = str(found)
    assert "weights=int4" in text
    assert "TPOT" in text


def test_where_a_step_makes_several_tokens_the_figures_are_of_a_token(base: ms.Study) -> None:
    assert "decode, a step" in str(base.what_if({"weights": "int4"}))
    draft = "speculative-decode{draft=qwen2.5-0.5b}"
    several = ms.study("qwen2.5-1.5b", techniques=[draft], **BASE)
    said = str(several.what_if({"batch": 8}))
    assert "decode, a token" in said
    assert "decode, a step" not in said


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "nothing changes"),
        ({"batsch": 3}, "batsch"),
        ({"batch": 0}, "batch"),
        ({"batch": "1,2"}, "2 values"),
        ({"on": "l5"}, "'l5'"),
        ({"quantize.weight": "int4"}, "weights"),
    ],
)
def test_a_change_that_cannot_be_made_says_why(
    base: ms.Study, changes: dict[str, object], says: str
) -> None:
    with pytest.raises(ms.MansardError) as error:
        base.what_if(changes)
    assert says in f"{error.value.message} {error.value.hint}"


def test_a_study_compares_itself_with_others(base: ms.Study) -> None:
    found = base.compare(on=["h100-sxm"])
    assert [e.on for e in found.entries] == ["l4", "h100-sxm"]
    assert found.entries[0].value("tpot") == base.analyze().tpot
