"""What part of a tensor's elements is expected not to be zero, read off how the tensor is made.

A router chooses among ``E`` experts; a mask of the tokens that chose one of them is one in ``E`` of
all choices where routing is even. So the rows an expert gets have an expectation before any data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

from mansard.frontends.onnx.graph import Graph, Node
from mansard.frontends.onnx.values import Tensor

Makers = Mapping[str, Node]

_SAME = frozenset(
    {"Cast", "CastLike", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose",
     "Gather", "Slice", "Split", "Expand"}
)  # fmt: skip
"""Operators after which the share of elements that are not zero is what it was."""
_DEEPEST = 64


def makers(graph: Graph) -> dict[str, Node]:
    """Return the node that makes each name of a graph."""
    return {out: node for node in graph.body.nodes for out in node.outputs if out}


def share(graph: Graph, made: Makers, name: str, depth: int = 0) -> Fraction | None:
    """Return the expected share of a tensor's elements that are not zero, where one is known."""
    node = made.get(name)
    if node is None or depth > _DEEPEST:
        return None
    if node.op in _SAME:
        return share(graph, made, node.inputs[0], depth + 1)
    match node.op:
        case "OneHot":
            return _one_in(_number(_tensor(graph, node.inputs[1])))
        case "Equal":
            found = (_choices(graph, made, i, depth + 1) for i in node.inputs)
            return next((_one_in(n) for n in found if n), None)
        case "Not":
            inner = share(graph, made, node.inputs[0], depth + 1)
            return None if inner is None else 1 - inner
        case "Greater" if _number(_tensor(graph, node.inputs[1])) == 0:
            return share(graph, made, node.inputs[0], depth + 1)
        case "ReduceSum" | "ReduceMax":
            return _reduced(graph, made, node, depth)
    return None


def _reduced(graph: Graph, made: Makers, node: Node, depth: int) -> Fraction | None:
    """Return the share of sums that are not zero: of terms of which at most one is not, theirs."""
    inner = share(graph, made, node.inputs[0], depth + 1)
    before, after = _size(graph, node.inputs[0]), _size(graph, node.outputs[0])
    if inner is None or before is None or after is None or not after:
        return None
    ratio = before / after
    return min(inner * Fraction(int(ratio)), Fraction(1)) if ratio == int(ratio) else None


def _choices(graph: Graph, made: Makers, name: str, depth: int) -> int | None:
    """Return among how many a tensor of indices chooses, where it is the result of a choice."""
    node = made.get(name)
    if node is None or depth > _DEEPEST:
        return None
    if node.op in _SAME:
        return _choices(graph, made, node.inputs[0], depth + 1)
    if node.op == "TopK" and name != node.outputs[1 % len(node.outputs)]:
        return None
    if node.op in ("TopK", "ArgMax", "ArgMin"):
        axis = node.attributes.get("axis", -1 if node.op == "TopK" else 0)
        shape = _tensor(graph, node.inputs[0]).shape or ()
        among = shape[axis] if -len(shape) <= axis < len(shape) else None
        return among if isinstance(among, int) else None
    return None


def _tensor(graph: Graph, name: str) -> Tensor:
    try:
        value = graph.value(name)
    except KeyError:
        return Tensor()
    return value if isinstance(value, Tensor) else Tensor()


def _number(tensor: Tensor) -> int | None:
    value = tensor.value[0] if tensor.value is not None and len(tensor.value) == 1 else None
    return value if isinstance(value, int) else None


def _one_in(among: int | None) -> Fraction | None:
    return Fraction(1, among) if among is not None and among > 0 else None


def _size(graph: Graph, name: str) -> float | None:
    """Return a tensor's elements with every symbol as 1: enough for ratios of sizes."""
    shape = _tensor(graph, name).shape
    if shape is None:
        return None
    numbers = [d if isinstance(d, int) else 1 for d in shape]
    return float(math.prod(numbers))
