"""Between wide and narrow activations; constants are looked through where they are used."""

from __future__ import annotations

from mansard.core.dtypes import Encoding
from mansard.core.symbols import expr
from mansard.frontends.onnx.dtypes import encoded
from mansard.frontends.onnx.graph import Node
from mansard.frontends.onnx.lower.registry import lowers
from mansard.frontends.onnx.lower.scope import Scope
from mansard.ir.ops import Dequantize, Quantize
from mansard.ir.ops.tensor import Elementwise, Reduce


@lowers("QuantizeLinear", "DynamicQuantizeLinear", reads=1)
def quantize(scope: Scope, node: Node) -> None:
    """Lower storing an activation narrower; a dynamic one finds its range first."""
    x = scope.operand(node.inputs[0])
    if x is None:
        return
    narrow = encoded(scope.tensor(node.outputs[0]).dtype or "uint8").removeprefix("u")
    of = x.encoding.plain.dtype
    scope.emit(Quantize(x, Encoding(narrow, of=of if of != narrow else "")), node)
    for k, out in enumerate(node.outputs[1:], 1):
        if out:
            per = 2 if k == 1 else 0  # one pass finds minimum and maximum
            op = Reduce((x,), scope.shape(out), scope.encoding(out), fn="range", per=expr(per))
            scope.emit(op, node, output=k)


@lowers("DequantizeLinear", reads=1)
def dequantize(scope: Scope, node: Node) -> None:
    """Lower decoding an activation; what reads it decodes it where patterns are raised."""
    x = scope.value(node.inputs[0])
    of = encoded(scope.tensor(node.outputs[0]).dtype or "fp32")
    if x.encoding.plain.dtype == of and (scope.shared.raised or x.encoding.is_plain):
        scope.bind(node.outputs[0], x)
        return
    if x.encoding.is_plain:  # integers an op that knows no scale made
        to = Encoding(of)
        op = Elementwise((x,), x.shape, to, fn="dequantize", per=expr(2))
        scope.emit(op, node)
    else:
        scope.emit(Dequantize(x), node)
