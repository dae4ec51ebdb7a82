"""Convolutions and recurrent cells."""

from __future__ import annotations

from mansard.core.symbols import expr
from mansard.frontends.onnx.graph import Node
from mansard.frontends.onnx.lower.matmul import weight_name
from mansard.frontends.onnx.lower.registry import lowers
from mansard.frontends.onnx.lower.scope import Scope
from mansard.frontends.onnx.lower.weights import stored
from mansard.ir.ops.tensor import Convolution, RecurrentCell
from mansard.ir.value import Value

GATES = {"LSTM": 4, "DynamicQuantizeLSTM": 4, "GRU": 3, "RNN": 1}
POINTWISE = {4: 15, 3: 12, 1: 1}
"""Gates → operations an element of the state: three sigmoids of 3, two tanhs and 4 for the cell of
an LSTM; two sigmoids, a tanh and 5 of a GRU; a tanh. The gates' sums come on top."""


@lowers("Conv", "ConvTranspose", "ConvInteger", "FusedConv", "NhwcConv", "DeformConv")
def convolution(scope: Scope, node: Node) -> None:
    """Lower a convolution of any rank, its bias with it."""
    bias = scope.input(node, 2) if node.op in ("Conv", "ConvTranspose", "FusedConv") else ""
    convolved(scope, node, node.inputs[0], node.inputs[1], bias)


@lowers("QLinearConv")
def qlinear_convolution(scope: Scope, node: Node) -> None:
    """Lower a convolution of integers; inputs are x and w, each with scale and zero point."""
    convolved(scope, node, node.inputs[0], node.inputs[3], scope.input(node, 8))


def convolved(scope: Scope, node: Node, x: str, w: str, bias: str) -> None:
    """Append a convolution of names."""
    out = node.outputs[0]
    xs = (scope.value(x), _weight(scope, w), *((_weight(scope, bias),) if bias else ()))
    op = Convolution(
        xs, scope.shape(out), scope.encoding(out), transposed=node.op == "ConvTranspose"
    )
    scope.emit(op, node, scope.label(node, weight_name(scope, w)))


def _weight(scope: Scope, name: str) -> Value:
    return stored(scope, name) if scope.tensor(name).constant else scope.value(name)


@lowers(*GATES)
def recurrent(scope: Scope, node: Node) -> None:
    """Lower an LSTM, a GRU or a plain cell over its whole sequence."""
    hidden = scope.attr(node, "hidden_size")
    directions = (scope.tensor(node.inputs[1]).shape or (1,))[0]
    params = tuple(
        stored(scope, n)
        for n in (*node.inputs[1:4], *node.inputs[8:])
        if n and scope.tensor(n).constant
    )
    states = scope.operands(node.inputs[5:7])
    shapes = tuple(scope.shape(o) if o else (expr(0),) for o in node.outputs)
    gates, sums = GATES[node.op], 2 if scope.input(node, 3) else 1  # of two products and a bias
    op = RecurrentCell(
        scope.shaped(node.inputs[0]), params, states, expr(hidden), expr(gates),
        expr(directions), shapes, expr(POINTWISE[gates] + sums * gates),
    )  # fmt: skip
    made = scope.build.multiple(op, scope.label(node))
    for name, value in zip(node.outputs, made, strict=False):
        scope.bind(name, value)
