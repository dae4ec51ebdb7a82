"""Every operator's FLOPs against naive loops that count each operation, at two bindings.

Sizes that data decide are at their expectation. Operators with stored operands are lowered with
them stored and given: a weight costs what an activation does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from onnx import ModelProto, helper, numpy_helper
from tests.frontends.onnx.graphs import BINDINGS, DTYPES, build, cases, environment
from tests.frontends.onnx_lower.counting import LOOPS, NOTHING, ROWS, SCALAR, Shapes, count

from mansard.core.symbols import B, P, S, T
from mansard.frontends.onnx.graph import Resolved
from mansard.frontends.onnx.load import model_of
from mansard.frontends.onnx.lower.program import lower
from mansard.frontends.onnx.resolve import resolve

ALL = cases("executed.txt")
UNSTATED = {"DFT", "STFT", "Det"}
"""Operators no model here uses: their work is not stated, and a note says so."""
STORED = {
    "MatMul": (1,), "MatMulInteger": (1,), "Gemm": (1, 2), "Conv": (1, 2), "ConvTranspose": (1,),
    "FusedConv": (1,), "MatMulNBits": (1, 2), "LSTM": (1, 2), "GRU": (1, 2), "RNN": (1, 2),
    "DynamicQuantizeLSTM": (1, 2, 8, 10), "MoE": (2, 4), "QMoE": (2, 3, 5, 6), "PRelu": (1,),
    "LayerNormalization": (1, 2), "RMSNormalization": (1,), "SimplifiedLayerNormalization": (1,),
    "SkipLayerNormalization": (2, 3), "SkipSimplifiedLayerNormalization": (2,),
    "BatchNormalization": (1, 2, 3, 4), "InstanceNormalization": (1, 2),
    "GroupNormalization": (1, 2), "QAttention": (1, 2), "EmbedLayerNormalization": (2, 3, 4, 5, 6),
    "BiasGelu": (1,), "FastGelu": (1,), "Gather": (0,), "GatherBlockQuantized": (0, 2),
    "Attention": (1, 2),
}  # fmt: skip
"""Operator → the inputs that files store, where their sizes are numbers."""


def operator(case: str) -> str:
    """Return the operator of a case."""
    return str(build(case)[0].graph.node[0].op_type)


@pytest.mark.parametrize("stored", [False, True], ids=["given", "stored"])
@pytest.mark.parametrize("case", [c for c in ALL if operator(c) not in UNSTATED])
def test_an_operator_costs_what_naive_loops_count(case: str, stored: bool) -> None:
    proto, _ = build(case)
    node = proto.graph.node[0]
    if stored and not _store(proto, STORED.get(node.op_type, ())):
        return  # nothing of it is stored: the same graph
    found = resolve(model_of(proto))
    graph = lower(found, raw=True).graph()
    for binding in BINDINGS:
        own = environment(found, binding)
        own |= {B: binding["a"], S: binding["d"], P: binding["p"], T: binding["a"] * binding["d"]}
        env = {**{s: e.xreplace(own) for s, e in graph.defaults}, **own}
        shapes = _shapes(found, proto, env)
        assert graph.cost.total_flops.xreplace(env) == count(node.op_type, shapes)


def test_every_operator_with_a_case_is_counted() -> None:
    assert {*map(operator, ALL)} - UNSTATED - {*SCALAR, *ROWS, *LOOPS, *NOTHING} == set()


def _store(proto: ModelProto, places: tuple[int, ...]) -> bool:
    """Make inputs of a case initializers, where their sizes are numbers."""
    given = proto.graph.node[0].input
    names = {given[k] for k in places if k < len(given)}
    found = False
    for info in [i for i in proto.graph.input if i.name in names]:
        kind = info.type.tensor_type
        dims = [d.dim_value for d in kind.shape.dim]
        if all(dims):
            dtype = next(n for code, n in DTYPES.values() if code == kind.elem_type)
            zeros = numpy_helper.from_array(np.zeros(dims, dtype), info.name)
            proto.graph.initializer.append(zeros)
            proto.graph.input.remove(info)
            found = True
    return found


def _shapes(found: Resolved, proto: ModelProto, env: dict[Any, Any]) -> Shapes:
    """Return the shapes of an operator's operands and results."""

    def shape(name: str) -> tuple[int, ...] | None:
        sizes = getattr(found.values.get(name), "shape", None)
        return None if sizes is None else tuple(int(sp.S(d).xreplace(env)) for d in sizes)

    node = proto.graph.node[0]
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    given = tuple(shape(n) if n else None for n in node.input)
    made = tuple(shape(n) if n else None for n in node.output)
    return Shapes(attributes, given, made, _extra(node.op_type, node.domain, attributes, given))


def _extra(op: str, domain: str, attrs: Any, given: Any) -> dict[str, Any]:
    """Return what the sizes of fused operators mean."""
    match op:
        case "QLinearConv":
            return {"w": 3, "bias": 8}
        case "ConvInteger":
            return {"bias": 99}
        case "MoE" | "QMoE":
            return {"inner": given[2][1]}
        case "QAttention":
            return _projected(attrs, given)
        case "Attention" if domain:
            return {"projects": True, **_projected(attrs, given)}
        case "Attention" | "MultiHeadAttention" | "GroupQueryAttention":
            return _attended(attrs, given)
    return {}


def _projected(attrs: Any, given: Any) -> dict[str, int]:
    """Return the sizes of an attention that makes its own queries, keys and values."""
    batch, queries, _ = given[0]
    width = given[1][1] // 3 // attrs["num_heads"]
    past = given[4][3] if len(given) > 4 and given[4] else 0
    return {"batch": batch, "heads": attrs["num_heads"], "queries": queries, "dim": width,
            "v_dim": width, "keys": queries + past}  # fmt: skip


def _attended(attrs: Any, given: Any) -> dict[str, int]:
    """Return the sizes of an attention over queries, keys and values that are handed in."""
    q, k, v = given[:3]
    past = next((g[2] for g in given[3:] if g is not None and len(g) == 4), 0)
    if len(q) == 4:
        batch, heads, queries, dim = q
        return {"batch": batch, "heads": heads, "queries": queries, "dim": dim, "v_dim": v[3],
                "keys": k[2] + past}  # fmt: skip
    batch, queries, width = q
    heads = attrs.get("q_num_heads") or attrs["num_heads"]
    kv = attrs.get("kv_num_heads") or heads
    dim = width // heads if k else width // (heads + 2 * kv)
    return {"batch": batch, "heads": heads, "queries": queries, "dim": dim,
            "v_dim": v[2] // kv if v else dim, "keys": (k[1] if k else queries) + past}  # fmt: skip
