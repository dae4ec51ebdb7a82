"""Sizes a caller gives: one that no window fits is refused by the name of its op."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import parser

import mansard as ms
from mansard.core.errors import SpecError

Run = Callable[..., Any]
TEXT = """<ir_version: 9, opset_import: ["" : 20]>
g (float[n,1,side] x, float[4,1,3] w) => (float[?,?,?] y) { y = Conv(x, w) }"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A window of three over a side the caller chooses."""
    path = tmp_path / "window.onnx"
    onnx.save(parser.parse_model(TEXT), path)
    return path


def test_a_window_larger_than_its_side_is_refused_by_name(path: Path) -> None:
    flops = ms.load(path, set={"model.side": 3}).graph().cost.total_flops
    assert flops.is_nonnegative is not False
    with pytest.raises(SpecError, match="convolution 'conv' yields an axis of -1") as refused:
        ms.load(path, set={"model.side": 1})
    assert refused.value.hint == "--set model.side=N with a greater N"


@pytest.mark.parametrize("size", ["0", "-5", "1.5", "²"])
def test_what_is_no_size_is_refused(path: Path, size: str) -> None:
    with pytest.raises(SpecError, match=r"model\.side is .*, not a size"):
        ms.load(path, set={"model.side": size})


FIXED = TEXT.replace("float[n,1,side]", "float[1,1,9]")


def test_only_sizes_that_occur_are_said(path: Path, run: Run) -> None:
    onnx.save(parser.parse_model(FIXED), path)
    said = run("analyze", str(path), "--on", "l4", "-b", "64").out
    assert "prompt" not in said
    assert "output" not in said


def test_a_size_that_does_not_occur_cannot_be_found(path: Path, run: Run) -> None:
    onnx.save(parser.parse_model(FIXED), path)
    ran = run("solve", str(path), "--on", "l4", "--find", "batch", "--maximize",
              "--subject-to", "memory <= capacity")  # fmt: skip
    assert ran.code == 2
    assert "batch does not occur in this model" in ran.err


def test_the_hint_of_a_size_nothing_stops_is_not_what_was_typed(path: Path, run: Run) -> None:
    ran = run("solve", "qwen2.5-0.5b", "--on", "h100-sxm", "--find", "hardware.memory.capacity",
              "--maximize", "--subject-to", "memory <= capacity")  # fmt: skip
    assert ran.code == 2
    assert "such as 'memory <= capacity'" not in ran.err
