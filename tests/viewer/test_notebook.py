"""What notebooks show: HTML without a script, in which names are text."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

import mansard as ms
from mansard.ir.graph import Graph
from mansard.ir.program import Program

HOSTILE = "<img src=x onerror=alert(1)></pre><script>alert(1)</script>"


class Elements(HTMLParser):
    """The names of elements in a document, each closed."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        assert not [name for name, _ in attrs if name.startswith("on")]
        self.names.append(tag)
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.names.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def elements(html: str) -> set[str]:
    """Read a document; every element of it is closed."""
    reader = Elements()
    reader.feed(html)
    assert reader.open == []
    assert {"script", "img", "iframe"}.isdisjoint(reader.names)
    return set(reader.names)


@pytest.fixture(scope="module")
def program() -> Program:
    """A small model's."""
    return ms.load("qwen2.5-0.5b")


def test_a_graph_is_its_text_that_folds(program: Program) -> None:
    graph = program.graph("target")
    shown = graph._repr_html_()
    assert elements(shown) == {"details", "summary", "pre"}
    assert "operators in" in shown
    assert "linear(" in shown


def test_a_program_is_its_text_that_folds(program: Program) -> None:
    shown = program._repr_html_()
    assert elements(shown) == {"details", "summary", "pre"}
    assert "qwen2.5-0.5b" in shown


def test_names_in_a_graph_and_a_program_are_text(program: Program) -> None:
    target = program.graph("target")
    ops = (replace(target.ops[0], name=HOSTILE), *target.ops[1:])
    hostile = replace(target, ops=ops)
    assert isinstance(hostile, Graph)
    assert elements(hostile._repr_html_()) == {"details", "summary", "pre"}
    named = replace(program, origin=replace(program.origin, name=HOSTILE))
    assert elements(named._repr_html_()) == {"details", "summary", "pre"}


def test_a_comparison_is_a_table_with_a_column_an_answer() -> None:
    found = ms.compare("qwen2.5-0.5b", on=["h100-sxm", "l40s"])
    shown = found._repr_html_()
    assert "table" in elements(shown)
    assert shown.count("<th ") == 3
    assert "TPOT" in shown
    entries = tuple(replace(e, model=HOSTILE) for e in found.entries)
    elements(replace(found, entries=entries)._repr_html_())


def test_a_sweep_is_its_cells_and_its_rows() -> None:
    study = ms.study("qwen2.5-0.5b", on="h100-sxm", output=32)
    whole = study.sweep(batch=[1, 8], prompt=[1024, 4096])
    assert {"svg", "table"} <= elements(whole._repr_html_())
    line = study.sweep(batch=[1, 8, 64])._repr_html_()
    assert "svg" not in elements(line)
    assert line.count("<tr>") == 1 + 3


def test_an_estimate_is_tables_and_figures() -> None:
    found = ms.analyze("qwen2.5-0.5b", on="h100-sxm", output=8)
    assert {"svg", "table"} <= elements(found._repr_html_())


def test_what_becomes_of_a_change_is_its_text() -> None:
    study = ms.study("qwen2.5-0.5b", on="h100-sxm", output=8)
    assert elements(study.what_if({"batch": 2})._repr_html_()) == {"pre"}
