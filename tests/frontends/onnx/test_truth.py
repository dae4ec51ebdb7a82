"""Shapes of real exported files against what onnxruntime executed, at two bindings each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sympy as sp
from tests.frontends.onnx.graphs import compare

from mansard.core.symbols import symbol
from mansard.frontends.onnx.resolve import resolve
from mansard.frontends.onnx.values import Tensor

DATA = Path(__file__).parents[4] / "shared" / "data" / "onnx"
TRUTH = sorted((DATA / "truth").glob("*.json"))
CROSS = "cross_length"


def options(name: str) -> dict[str, Any]:
    """Return how the run of a file was made, where it was not made as the file declares."""
    if name == "mobius__t5_small__decoder.onnx":  # run with unequal encoder lengths
        roles = (f"past_key_values.{k}.cross.{r}" for k in range(6) for r in ("key", "value"))
        inputs = dict.fromkeys(roles, ("batch", 8, CROSS, 64))
        return {"inputs": inputs, "aliases": {CROSS: symbol(CROSS, "count")}}
    if name == "optimum__t5-small__decoder_model_merged.onnx":  # run without a cache
        return {"branches": {"": "else"}}
    return {}


@pytest.mark.skipif(not TRUTH, reason="the executed shapes of real files are not beside the tree")
@pytest.mark.parametrize("path", TRUTH, ids=lambda p: p.stem)
def test_every_tensor_of_a_real_file_has_the_executed_shape(path: Path) -> None:
    given = options(path.stem)
    found = resolve(DATA / path.stem, **given)
    assert not found.unknown
    for run in json.loads(path.read_text()):
        extra: dict[Any, Any] = {}
        if "inputs" in given:
            actual = run["inputs"]["past_key_values.0.cross.key"][2]
            extra = {found.names[CROSS]: sp.Integer(actual)}
        assert run["shapes"]
        assert compare(found, run["shapes"], run["bind"], extra) == []


FILES = sorted(DATA.glob("*.onnx"))


@pytest.mark.skipif(not FILES, reason="the real files are not beside the tree")
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_tensor_of_a_real_file_is_resolved(path: Path) -> None:
    found = resolve(path)
    assert not found.unknown
    unknown = [
        name
        for graph in found.graph.graphs()
        for name, value in graph.values.items()
        if isinstance(value, Tensor) and (value.shape is None or not value.dtype)
    ]
    assert unknown == []
