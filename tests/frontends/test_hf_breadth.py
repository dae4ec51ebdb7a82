"""docs/breadth.md says what is so: ``make breadth`` compares tensors, this the totals it states."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mansard.core.errors import MansardError
from mansard.frontends.hf.lower.whole import model_parameters
from mansard.frontends.hf.resolve import read_architecture

PAGE = (Path(__file__).parents[2] / "docs" / "breadth.md").read_text("utf-8")
ROWS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")][1:]
EXACT = [(model, name, total) for model, name, result, total in ROWS if result == "exact"]
REFUSED = [(model, name) for model, name, result, _ in ROWS if result == "refused"]


def test_the_page_counts_its_own_rows_and_nothing_is_wrong() -> None:
    assert f"{len(EXACT)} exact" in PAGE
    assert f"{len(REFUSED)} refused" in PAGE
    assert "| wrong |" not in PAGE
    assert len(ROWS) == 189


@pytest.mark.parametrize(("model", "name", "total"), EXACT)
def test_an_exact_class_has_the_stated_parameters(model: str, name: str, total: str) -> None:
    arch = read_architecture({"model_type": model, "architectures": [name]})
    assert f"{model_parameters(arch):,}" == total


def test_a_model_type_read_as_another_class_says_so() -> None:
    arch = read_architecture({"model_type": "bert", "architectures": ["BertForMaskedLM"]})
    assert "M006" in {note.code for note in arch.notes}


@pytest.mark.parametrize(("model", "name"), REFUSED)
def test_a_refused_class_is_refused_by_name(model: str, name: str) -> None:
    with pytest.raises(MansardError) as caught:
        read_architecture({"model_type": model, "architectures": [name]})
    assert re.search(rf"{re.escape(model)}|is missing", str(caught.value))
