"""Fused mixtures of experts."""

from __future__ import annotations

import sympy as sp

from mansard.core.dtypes import Encoding
from mansard.core.symbols import T, expr
from mansard.frontends.onnx.dtypes import encoded
from mansard.frontends.onnx.graph import Node
from mansard.frontends.onnx.lower.matmul import packed_leaf
from mansard.frontends.onnx.lower.registry import lowers
from mansard.frontends.onnx.lower.scope import Scope
from mansard.frontends.onnx.lower.weights import origin, shared_leaf
from mansard.ir.ops import (
    Activation,
    Combine,
    Dispatch,
    GatedActivation,
    GroupedLinear,
    Slice,
    TopK,
)
from mansard.ir.value import Value

_KNOWN = {"relu", "silu", "gelu", "tanh", "sigmoid"}


@lowers("MoE", "QMoE")
def mixture(scope: Scope, node: Node) -> None:
    """Lower a mixture: choose ``k`` experts a token, run those, sum them by weight."""
    packed = node.op == "QMoE"
    names = (node.inputs[2], node.inputs[5 if packed else 4])
    third = scope.input(node, 8 if packed else 6)
    bits = scope.attr(node, "expert_weight_bits", 4) if packed else 0
    logits, x = scope.value(node.inputs[1]), scope.value(node.inputs[0])
    experts, k = logits.shape[-1], expr(scope.attr(node, "k", 1))
    hit = sp.Rational(k, experts)
    routes = scope.build(TopK(logits, k), "layers.top_k")
    rows = scope.build(Dispatch(x, routes), "layers.dispatch")
    fn = scope.text(node, "activation_type", "relu").lower()
    up_w = _experts(scope, names[0], bits, x)
    up = scope.build(GroupedLinear(rows, up_w, hit, T), "layers.experts.up_proj")
    if fn == "swiglu" and not third:
        half = up.shape[-1] / 2
        gate, rest = (scope.build(Slice(up, expr(1), half * i, half), f"layers.experts.{n}")
                      for i, n in enumerate(("gate", "up")))  # fmt: skip
        acted = scope.build(GatedActivation(gate, rest, "silu"), "layers.experts.act")
    elif third:
        more = GroupedLinear(rows, _experts(scope, third, bits, x), hit, T)
        act = GatedActivation(up, scope.build(more, "layers.experts.gate_proj"), "silu")
        acted = scope.build(act, "layers.experts.act")
    else:
        act_fn = fn if fn in _KNOWN else "gelu"
        acted = scope.build(Activation(up, act_fn), "layers.experts.act")
    down_w = _experts(scope, names[1], bits, acted)
    down = scope.build(GroupedLinear(acted, down_w, hit, T), "layers.experts.down_proj")
    scope.emit(Combine(down, routes), node, "layers.combine")


def _experts(scope: Scope, name: str, bits: int, x: Value) -> Value:
    """Return stacked weights as ``[experts, out, in]``, the inputs being as wide as ``x``."""
    shape = tuple(map(expr, scope.tensor(name).shape or (1, 1, 1)))
    size, width = sp.Mul(*shape), x.shape[-1]
    of = x.encoding.plain.dtype
    if bits:
        logical = (int(shape[0]), int(size * 8 / bits / shape[0] / width), int(width))
        return packed_leaf(scope, name, logical, Encoding(f"int{bits}", of=of))
    logical = (int(shape[0]), int(size / shape[0] / width), int(width))
    weight, _ = origin(scope, name)
    kept = Encoding(encoded(scope.tensor(name).dtype or "fp32"))
    storage = weight.storage if weight is not None else name
    return shared_leaf(scope, storage, tuple(map(expr, logical)), kept, "weight")
