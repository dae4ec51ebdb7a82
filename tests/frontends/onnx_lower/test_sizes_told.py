"""Sizes a caller gives: one that no window fits is refused by the name of its op."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import parser

import mansard as ms
from mansard.core.errors import SpecError

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
