"""Fused mixtures of experts."""

from __future__ import annotations

import math

import sympy as sp

from mansard.core.dtypes import Encoding
from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.core.symbols import T, expr
from mansard.frontends.onnx.dtypes import BITS, encoded
from mansard.frontends.onnx.graph import Node
from mansard.frontends.onnx.lower.matmul import packed_leaf
from mansard.frontends.onnx.lower.registry import lowers
from mansard.frontends.onnx.lower.scope import Scope
from mansard.frontends.onnx.lower.weights import origin, shared_leaf, stored
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


@dataclass(frozen=True)
class _Layer:
    """Where one of the three linears of all experts has its inputs."""

    w: int
    bias: int
    scales: int = 0
    zeros: int = 0


_PLAIN = (_Layer(2, 3), _Layer(4, 5), _Layer(6, 7))
_PACKED = (_Layer(2, 4, 3, 11), _Layer(5, 7, 6, 12), _Layer(8, 10, 9, 13))
"""Up, down and gate. [onnxruntime ContribOperators.md, MoE and QMoE]"""


@lowers("MoE", "QMoE")
def mixture(scope: Scope, node: Node) -> None:
    """Lower a mixture: choose ``k`` experts a token, run those, sum them by weight."""
    first, second, third = _PACKED if node.op == "QMoE" else _PLAIN
    logits, x = scope.value(node.inputs[1]), scope.value(node.inputs[0])
    experts, k = logits.shape[-1], expr(scope.attr(node, "k", 1))
    if experts.is_zero:
        raise SpecError("it has no experts")
    hit = k / experts
    routes = scope.build(TopK(logits, k), "layers.top_k")
    rows = scope.build(Dispatch(x, routes), "layers.dispatch")
    fn = scope.text(node, "activation_type", "relu").lower()

    def product(given: Value, layer: _Layer, role: str) -> Value:
        w, bias = _experts(scope, node, layer, given), _bias(scope, node, layer)
        return scope.build(GroupedLinear(given, w, hit, T, bias), f"layers.experts.{role}")

    up = product(rows, first, "up_proj")
    if fn == "swiglu" and not scope.input(node, third.w):
        half = up.shape[-1] / 2
        gate, rest = (scope.build(Slice(up, expr(1), half * i, half), f"layers.experts.{n}")
                      for i, n in enumerate(("gate", "up")))  # fmt: skip
        acted = scope.build(GatedActivation(gate, rest, "silu"), "layers.experts.act")
    elif scope.input(node, third.w):
        act = GatedActivation(up, product(rows, third, "gate_proj"), "silu")
        acted = scope.build(act, "layers.experts.act")
    else:
        acted = scope.build(Activation(up, fn if fn in _KNOWN else "gelu"), "layers.experts.act")
    scope.emit(Combine(product(acted, second, "down_proj"), routes), node, "layers.combine")


def _experts(scope: Scope, node: Node, layer: _Layer, x: Value) -> Value:
    """Return stacked weights as ``[experts, out, in]``, the inputs being as wide as ``x``."""
    name = node.inputs[layer.w]
    shape = tuple(map(expr, scope.tensor(name).shape or (1, 1, 1)))
    bits = scope.attr(node, "expert_weight_bits", 4) if layer.scales else 0
    size = sp.Mul(*shape) * (sp.Rational(8, bits) if bits else 1)
    logical = (int(shape[0]), int(size / shape[0] / x.shape[-1]), int(x.shape[-1]))
    if bits:
        return packed_leaf(scope, name, logical, _packed(scope, node, layer, bits, logical, x))
    weight, _ = origin(scope, name)
    kept = Encoding(encoded(scope.tensor(name).dtype or "fp32"))
    storage = weight.storage if weight is not None else name
    return shared_leaf(scope, storage, tuple(map(expr, logical)), kept, "weight")


def _packed(
    scope: Scope, node: Node, layer: _Layer, bits: int, logical: tuple[int, ...], x: Value
) -> Encoding:
    """Return how packed weights lie: a scale, and maybe a zero point, for each group of inputs."""
    scales, zeros = (scope.tensor(scope.input(node, k)) for k in (layer.scales, layer.zeros))
    size = scales.size if scales.shape is not None else logical[0] * logical[1]
    group = max(math.prod(logical) // int(size), 1) if isinstance(size, int) and size else 0
    zero_bits = bits if zeros.shape is not None else 0
    of = x.encoding.plain.dtype
    return Encoding(f"int{bits}", of, group, BITS.get(scales.dtype, 32), zero_bits)


def _bias(scope: Scope, node: Node, layer: _Layer) -> Value | None:
    name = scope.input(node, layer.bias)
    return stored(scope, name) if name and scope.tensor(name).constant else None
