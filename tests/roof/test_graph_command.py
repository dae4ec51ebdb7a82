"""``mansard graph``: one graph in five forms."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mansard as ms

Run = Callable[..., Any]
ASK = ("graph", "qwen2.5-0.5b", "-O0")


def test_text_is_the_program_as_it_prints_itself(run: Run) -> None:
    assert run(*ASK).out == f"{str(ms.load('qwen2.5-0.5b')).rstrip()}\n"


def test_the_tree_shows_each_repeat_once_with_its_trips(run: Run) -> None:
    lines = run(*ASK, "-f", "tree").out.splitlines()
    assert "layers × 24  repeat → bf16[T, 896]" in lines
    assert "  layers.q_proj  linear → bf16[T, 896]" in lines


def test_json_dot_and_graphml_are_well_formed(run: Run, tmp_path: Path) -> None:
    assert json.loads(run(*ASK, "-f", "json").out)["directed"] is True
    assert run(*ASK, "-f", "dot").out.startswith("digraph")
    out = tmp_path / "graph.graphml"
    assert run(*ASK, "-o", str(out)).code == 0
    assert ET.parse(out).getroot().tag.endswith("graphml")


def test_a_graph_or_pass_that_is_not_there_is_bad_input(run: Run) -> None:
    ran = run(*ASK, "--name", "draft")
    assert (ran.code, ran.out) == (2, "")
    assert "target" in ran.err
    ran = run(*ASK, "--print-after", "fuse-attention")
    assert (ran.code, ran.out) == (2, "")
    assert "pass that ran" in ran.err


@pytest.mark.parametrize("form", ["csv", "md", "table"])
def test_forms_of_tables_are_none_of_a_graph(run: Run, form: str) -> None:
    assert run(*ASK, "-f", form).code == 2
