"""docs/breadth.md says what is so: ``make breadth`` compares tensors, this the totals it states."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mansard.core.errors import MansardError
from mansard.frontends.hf.lower.whole import model_parameters
from mansard.frontends.hf.resolve import read_architecture

PAGE = (Path(__file__).parents[2] / "docs" / "breadth.md").read_text("utf-8")
TABLES = [
    [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| ")][1:]
    for part in PAGE.split("\n## ")[1:]
]
ROWS = [row for rows in TABLES for row in rows]
EXACT = [(model, name, total) for model, name, result, total in ROWS if result == "exact"]
REFUSED = [(model, name) for model, name, result, _ in ROWS if result == "refused"]


def test_the_page_counts_its_own_rows_and_nothing_is_wrong() -> None:
    for part, rows in zip(PAGE.split("\n## ")[1:], TABLES, strict=True):
        for result in ("exact", "refused"):
            assert f" {sum(row[2] == result for row in rows)} {result}" in part
        assert f"Of {len(rows)} classes" in part
    assert "| wrong |" not in PAGE
    assert len(TABLES[0]) == 189


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
