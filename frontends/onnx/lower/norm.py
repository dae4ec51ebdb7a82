"""Normalizations, alone and with the sums that exporters fuse into them."""

from __future__ import annotations

from mansard.core.symbols import Expr, expr
from mansard.frontends.onnx.graph import Node
from mansard.frontends.onnx.lower.matmul import weight_name
from mansard.frontends.onnx.lower.movement import is_table
from mansard.frontends.onnx.lower.names import snake
from mansard.frontends.onnx.lower.registry import lowers
from mansard.frontends.onnx.lower.scope import Scope
from mansard.frontends.onnx.lower.weights import stored
from mansard.ir.op import same_size
from mansard.ir.ops import Add, Embedding, LayerNorm, RMSNorm
from mansard.ir.ops.tensor import Elementwise
from mansard.ir.value import Value

_TABLES = ("embed", "positions", "types")


@lowers("RMSNormalization", "SimplifiedLayerNormalization")
def rms_norm(scope: Scope, node: Node) -> None:
    """Lower an RMSNorm over the last axis."""
    normed(scope, node, node.inputs[0], scope.input(node, 1), rms=True)


@lowers("LayerNormalization")
def layer_norm(scope: Scope, node: Node) -> None:
    """Lower a LayerNorm over the last axis."""
    normed(scope, node, node.inputs[0], scope.input(node, 1), scope.input(node, 2))


def normed(
    scope: Scope, node: Node, x: str, weight: str, bias: str = "", *, rms: bool = False
) -> None:
    """Append a norm of a name as the first output of a node."""
    width = expr((scope.tensor(x).shape or (1,))[-1])
    value = scope.value(x)
    whole = bool(value.shape) and same_size(value.shape[-1], width)
    if not whole and not _heads(value, width):
        value, whole = scope.shaped(x), True
    _norm(scope, node, value, weight, bias, rms=rms, width=None if whole else width)


def _heads(value: Value, width: Expr) -> bool:
    """Whether heads of a width lie side by side in the last axis."""
    return bool(value.shape) and (value.shape[-1] / width).is_Integer is True


def _norm(
    scope: Scope, node: Node, value: Value, weight: str, bias: str, *, rms: bool, width: Expr | None
) -> None:
    label = scope.label(node, weight_name(scope, weight)) if weight else scope.label(node)
    size = value.shape[-1] if width is None else width
    w = _vector(scope, weight, size)
    if rms:
        scope.emit(RMSNorm(value, w, width), node, label)
    else:
        shift = _vector(scope, bias, size)
        scope.emit(LayerNorm(value, w, shift, width), node, label)


def _vector(scope: Scope, name: str, size: Expr) -> Value | None:
    tensor = scope.tensor(name)
    if not name or not tensor.constant or tensor.shape is None or tensor.size != size:
        return None
    return stored(scope, name, shape=(tensor.size,))


@lowers("SkipLayerNormalization", "SkipSimplifiedLayerNormalization")
def skip_norm(scope: Scope, node: Node) -> None:
    """Lower a residual sum and the norm of it; the sum is the fourth output."""
    simplified = node.op == "SkipSimplifiedLayerNormalization"
    bias = scope.input(node, 3 if simplified else 4)
    a, b = (scope.shaped(name) for name in node.inputs[:2])
    label = scope.label(node, weight_name(scope, node.inputs[2]))
    inside = "layers." if label.startswith("layers.") else ""
    name = node.outputs[3] if len(node.outputs) > 3 else ""
    total = scope.step(Add((a, b)), f"{inside}add", name)
    if bias:
        xs = (total, *scope.operands((bias,)))
        total = scope.step(Elementwise(xs, total.shape, fn="add"), f"{inside}add_bias")
    scope.bind(name, total)
    shift = "" if simplified else scope.input(node, 3)
    _norm(scope, node, total, node.inputs[2], shift, rms=simplified, width=None)


@lowers("EmbedLayerNormalization")
def embed_norm(scope: Scope, node: Node) -> None:
    """Lower three lookups, their sum and its norm."""
    ids = (node.inputs[0], node.inputs[0], scope.input(node, 1))
    found = [
        scope.step(Embedding(scope.value(i), stored(scope, table)), role)
        for i, table, role in zip(ids, node.inputs[2:5], _TABLES, strict=False)
        if i and table and is_table(scope, table)
    ]
    total = scope.step(Add(tuple(found)), "embed_add") if len(found) > 1 else found[0]
    _norm(scope, node, total, scope.input(node, 5), scope.input(node, 6), rms=False, width=None)


@lowers("BatchNormalization", "InstanceNormalization", "GroupNormalization", "GroupNorm", "LRN",
        "MeanVarianceNormalization", "LpNorm", "SkipGroupNorm")  # fmt: skip
def channel_norm(scope: Scope, node: Node) -> None:
    """Lower a norm over channels: a trained one scales and shifts, the others find a mean too."""
    window = scope.attr(node, "size")  # LRN: a square, a sum of squares, scale, add, power, divide
    known = {"BatchNormalization": 2, "LRN": window + 5, "MeanVarianceNormalization": 5}
    per = known.get(node.op, 7)
    out = node.outputs[0]
    params = tuple(stored(scope, n) for n in node.inputs[1:] if scope.tensor(n).constant)
    xs = (scope.value(node.inputs[0]), *params)
    op = Elementwise(xs, scope.shape(out), scope.encoding(out), fn=snake(node.op), per=expr(per))
    scope.emit(op, node)
