"""Activation functions, gates and biases that exporters spell out."""

from __future__ import annotations

from collections.abc import Iterator

from mansard.frontends.onnx.graph import Node
from mansard.frontends.onnx.lower.index import Index
from mansard.frontends.onnx.lower.matmul import packed_linear, product
from mansard.frontends.onnx.lower.registry import Raised
from mansard.frontends.onnx.lower.scope import Scope
from mansard.ir.ops import Activation, GatedActivation

Found = Iterator[tuple[Node, Raised]]


def silu(index: Index, node: Node) -> Found:
    """Find ``x · σ(x)``."""
    x = silu_of(index, node)
    if x:
        yield node, _activation(x, "silu")


def silu_of(index: Index, node: Node | None) -> str:
    """Return x of ``x · σ(x)``, or nothing."""
    if node is None or node.op not in ("Mul", "Silu", "Swish"):
        return ""
    if node.op != "Mul":
        return node.inputs[0]
    for x, factor in (node.inputs, tuple(reversed(node.inputs))):
        sigmoid = index.maker(factor, "Sigmoid")
        if sigmoid is not None and sigmoid.inputs[0] == x:
            return x
    return ""


def gate(index: Index, node: Node) -> Found:
    """Find ``act(gate) · up`` of two activations of one shape, the product alone reading act."""
    for name, up in (node.inputs, tuple(reversed(node.inputs))):
        maker = index.maker(name, "Mul", "Silu", "Swish", "Gelu")
        if maker is None or index.only_reader(name) is not node or index.tensor(up).constant:
            continue
        if index.tensor(up).shape != index.tensor(name).shape:
            continue
        x = silu_of(index, maker)
        fn = "silu" if x else ""
        if not x and maker.op == "Gelu":
            x, fn = maker.inputs[0], "gelu"
        if x:
            yield node, _gated(x, up, fn)
            return


def gelu(index: Index, node: Node) -> Found:
    """Find ``½·x·(1 + erf(x/√2))`` and its tanh form, in either order of factors."""
    for a, b in (node.inputs, tuple(reversed(node.inputs))):
        if index.scalar(a):  # ½ · (x · (1 + f))
            inner = index.maker(b, "Mul")
            if inner is not None and (found := _one_plus(index, inner)):
                yield node, _activation(*found)
                return
        halved = index.maker(a, "Mul")  # (½·x) · (1 + f)
        if halved is not None and any(index.scalar(i) for i in halved.inputs):
            function = _function(index, b)
            x = next((i for i in halved.inputs if not index.scalar(i)), "")
            if function and x:
                yield node, _activation(x, function)
                return


def _one_plus(index: Index, node: Node) -> tuple[str, str] | None:
    for x, factor in (node.inputs, tuple(reversed(node.inputs))):
        if function := _function(index, factor):
            return x, function
    return None


def _function(index: Index, name: str) -> str:
    """Return which gelu has the factor ``1 + f``."""
    plus = index.maker(name, "Add")
    if plus is None or not any(index.scalar(i) for i in plus.inputs):
        return ""
    inner = next((m for i in plus.inputs if (m := index.maker(i, "Erf", "Tanh"))), None)
    return "" if inner is None else {"Erf": "gelu", "Tanh": "gelu_tanh"}[inner.op]


def bias(index: Index, node: Node) -> Found:
    """Find ``x @ w + b``, the sum alone reading the product."""
    for made, shift in (node.inputs, tuple(reversed(node.inputs))):
        maker = index.maker(made, "MatMul", "MatMulNBits")
        tensor = index.tensor(shift)
        if maker is None or index.only_reader(made) is not node or not tensor.constant:
            continue
        if maker.op == "MatMulNBits":
            if (tensor.shape or ()) == (maker.attributes.get("N"),):
                yield node, _biased(maker, shift)
            return
        weight = index.tensor(maker.inputs[1])
        if len(tensor.shape or ()) != 1 or not weight.constant or len(weight.shape or ()) != 2:
            continue
        if tensor.dims[0] == weight.dims[1]:
            yield node, _biased(maker, shift)
            return


def _activation(x: str, fn: str) -> Raised:
    def lower(scope: Scope, node: Node) -> None:
        scope.emit(Activation(scope.value(x), fn), node, _inside(scope, node, "act"))

    return Raised((x,), lower)


def _gated(x: str, up: str, fn: str) -> Raised:
    def lower(scope: Scope, node: Node) -> None:
        op = GatedActivation(scope.value(x), scope.value(up), fn)
        scope.emit(op, node, _inside(scope, node, "act"))

    return Raised((x, up), lower)


def _biased(maker: Node, shift: str) -> Raised:
    def lower(scope: Scope, node: Node) -> None:
        if maker.op == "MatMulNBits":
            value = packed_linear(scope, maker, shift)
        else:
            value = product(scope, maker, maker.inputs[0], maker.inputs[1], bias=shift)
        scope.bind(node.outputs[0], value)

    return Raised((maker.inputs[0],), lower)


def _inside(scope: Scope, node: Node, role: str) -> str:
    return f"layers.{role}" if scope.label(node).startswith("layers.") else role
