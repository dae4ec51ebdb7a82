"""A technique that is asked for nothing, or for what cannot help, says what to give."""

from __future__ import annotations

import pytest
from tests.passes.rewriting import applied


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        ("quantize{weights=int4},quantize{weights=bf16}", "int4"),
        ("quantize{weights=fp32}", "bf16"),
        ("quantize{kv=int8},quantize{kv=bf16}", "int8"),
    ],
)
def test_a_format_that_narrows_nothing_says_what_stays(text: str, stays: str) -> None:
    _, reports = applied("llama-3.1-8b", text)
    assert reports[-1].after is reports[-1].before
    (said,) = [note.message for note in reports[-1].notes if note.code == "M022"]
    assert f"stored in {stays} stays so" in said


def test_the_format_a_model_is_stored_in_is_no_news() -> None:
    _, (report,) = applied("llama-3.1-8b", "quantize{weights=bf16 kv=bf16}")
    assert report.notes == ()


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("offload", "kv=…"),
        ("prune", "sparsity=…"),
        ("skip-layers", "layers=…"),
        ("speculative-decode{draft=self gamma=0}", "gamma=…"),
    ],
)
def test_a_technique_of_which_nothing_is_asked_says_what_to_give(text: str, option: str) -> None:
    program, (report,) = applied("llama-3.1-8b", text)
    assert program is report.before
    assert [(n.code, option in n.message) for n in report.notes] == [("M022", True)]
