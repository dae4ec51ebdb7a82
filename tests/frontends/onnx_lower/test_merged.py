"""A decoder exported without and with a past: one file, two graphs, each weight stored once."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import parser

import mansard as ms
from mansard.ir.footprint import model_facts

TEXT = """<ir_version: 9, opset_import: ["" : 20]>
g (bool use_cache_branch, float[batch,sequence,16] x, float[batch,2,past_sequence,8] past_key)
    => (float[?,?,?] y, float[?,?,?,?] present_key)
    <float[16,16] w = {%s}, float[16,16] v = {%s}> {
        present_key = Concat<axis=2>(past_key, past_key)
        y = If(use_cache_branch) <
            then_branch = t () => (float[?,?,?] a) { a = MatMul(x, w) },
            else_branch = e () => (float[?,?,?] b) { m = MatMul(x, w)  b = MatMul(m, v) }>
    }"""


def test_weights_only_the_first_step_reads_are_the_models_too(tmp_path: Path) -> None:
    path = tmp_path / "merged.onnx"
    zeros = ", ".join(["0"] * 256)
    onnx.save(parser.parse_model(TEXT % (zeros, zeros)), path)
    program = ms.load(path)
    assert set(program.graphs) == {"target", "target@prefill"}
    assert model_facts(program).params == 2 * 256
    found = program.origin.resolution
    assert found is not None
    assert (found.weights, found.weight_bytes) == (2, 2 * 256 * 4)
