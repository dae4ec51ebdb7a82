"""Every operator that has a shape rule is lowered, as written and raised."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import sympy as sp
from onnx import helper, numpy_helper
from tests.frontends.onnx.graphs import Inputs, build, cases, model
from tests.frontends.onnx_lower.decoders import decoder

from mansard.core.symbols import B, P, S, T
from mansard.frontends.onnx.load import model_of
from mansard.frontends.onnx.lower.program import lower
from mansard.frontends.onnx.resolve import resolve
from mansard.ir.footprint import model_facts
from mansard.ir.ops import Append, GatedActivation, Linear, RMSNorm, Scores
from mansard.ir.program import Program
from mansard.ir.region import Repeat

CASES = [case for case in cases("executed.txt") if case.strip()]
BYTES_ONLY = ("DFT", "STFT", "Det(")
"""Operators no model here uses: their work is not stated, and a note says so."""


def lowered(
    nodes: Sequence[object], inputs: Inputs, outputs: list[str],
    weights: dict[str, tuple[int, ...]], *, raw: bool = False,
) -> Program:  # fmt: skip
    """Return the program of a graph with zeros for weights."""
    stored = [numpy_helper.from_array(np.zeros(s, np.float32), n) for n, s in weights.items()]
    return lower(resolve(model_of(model(list(nodes), inputs, outputs, stored))), raw=raw)


@pytest.mark.parametrize("raw", [False, True], ids=["raised", "raw"])
@pytest.mark.parametrize("case", CASES)
def test_an_operator_is_lowered_to_a_graph_that_verifies_and_has_a_cost(
    case: str, raw: bool
) -> None:
    program = lower(resolve(model_of(build(case)[0])), raw=raw)
    assert program.graph().cost.launches.is_nonnegative
    unknown = [n.message for n in program.origin.notes if "unknown" in n.message]
    assert bool(unknown) == any(op in case for op in BYTES_ONLY)


def test_a_product_with_a_constant_is_a_linear_and_its_bias_belongs_to_it() -> None:
    nodes = [helper.make_node("MatMul", ["input_ids_x", "w"], ["h"]),
             helper.make_node("Add", ["h", "b"], ["y"])]  # fmt: skip
    program = lowered(nodes, {"input_ids_x": ("f", ["a", 8])}, ["y"], {"w": (8, 16), "b": (16,)})
    (op,) = (op for op in program.graph().ops if isinstance(op, Linear))
    assert op.w.shape == (16, 8)
    assert op.bias is not None
    assert model_facts(program).params == 8 * 16 + 16


def test_a_spelled_out_rms_norm_and_gate_are_found() -> None:
    two = helper.make_node("Constant", [], ["two"], value_float=2.0)
    eps = helper.make_node("Constant", [], ["eps"], value_float=1e-6)
    nodes = [
        two, eps,
        helper.make_node("Pow", ["x", "two"], ["sq"]),
        helper.make_node("ReduceMean", ["sq"], ["m"], axes=[-1], keepdims=1),
        helper.make_node("Add", ["m", "eps"], ["me"]),
        helper.make_node("Sqrt", ["me"], ["r"]),
        helper.make_node("Reciprocal", ["r"], ["i"]),
        helper.make_node("Mul", ["x", "i"], ["n"]),
        helper.make_node("Mul", ["g", "n"], ["y"]),
        helper.make_node("MatMul", ["y", "wg"], ["gate"]),
        helper.make_node("MatMul", ["y", "wu"], ["up"]),
        helper.make_node("Sigmoid", ["gate"], ["s"]),
        helper.make_node("Mul", ["gate", "s"], ["silu"]),
        helper.make_node("Mul", ["silu", "up"], ["z"]),
    ]  # fmt: skip
    weights = {"g": (8,), "wg": (8, 16), "wu": (8, 16)}
    stored = [numpy_helper.from_array(np.zeros(s, np.float32), n) for n, s in weights.items()]
    proto = model(nodes, {"x": ("f", ["a", 8])}, ["z"], stored, 13)
    kinds = [type(op) for op in lower(resolve(model_of(proto))).graph().ops]
    assert kinds == [RMSNorm, Linear, Linear, GatedActivation]


def decoded(layers: int) -> Program:
    nodes, inputs, outputs, weights = decoder(layers)
    stored = [numpy_helper.from_array(np.zeros(s, np.float32), n) for n, s in weights.items()]
    return lower(resolve(model_of(model(nodes, inputs, outputs, stored, 23))))


def test_layers_are_one_body_with_caches_that_generate() -> None:
    program = decoded(3)
    (layers,) = program.graph().ops
    assert isinstance(layers, Repeat)
    assert layers.trips == 3
    assert sum(isinstance(op, Append) for op in layers.body.ops) == 2
    assert [step.phase for step in program.schedule] == ["prefill", "decode"]
    names = {v.storage for v in layers.body.leaves}
    assert "model.layers.{i}.self_attn.q_proj.weight" in names
    assert "past_key_values.{i}.key" in names


def test_attention_costs_what_its_query_heads_do() -> None:
    (layers,) = decoded(2).graph().ops
    assert isinstance(layers, Repeat)
    (scores,) = (op for op in layers.body.ops if isinstance(op, Scores))
    flops = scores.cost().total_flops.xreplace({T: B * S})
    assert sp.expand(flops - 2 * B * 4 * 8 * S * (P + S)) == 0
