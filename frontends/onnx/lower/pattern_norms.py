"""Norms and rotary embeddings that exporters spell out."""

from __future__ import annotations

from collections.abc import Iterator

from mansard.core.symbols import expr
from mansard.frontends.onnx.graph import Node
from mansard.frontends.onnx.lower.index import Index
from mansard.frontends.onnx.lower.norm import normed
from mansard.frontends.onnx.lower.registry import Raised
from mansard.frontends.onnx.lower.scope import Scope
from mansard.ir.ops import Rope

Found = Iterator[tuple[Node, Raised]]
_SAME = ("Cast", "Identity")


def past_casts(index: Index, name: str) -> str:
    """Return the name that casts and identities begin with."""
    while (node := index.maker(name, *_SAME)) is not None:
        name = node.inputs[0]
    return name


def rms_norm(index: Index, node: Node) -> Found:
    """Find ``w · cast(x · 1/√(mean(x²) + ε))``, its weight a vector."""
    for weight, scaled in (node.inputs, reversed(node.inputs)):
        if node.op != "Mul" or not _vector(index, weight):
            continue
        x = _by_root(index, past_casts(index, scaled))
        if x and _is_square_mean(index, x[1], x[0]):
            yield node, _norm(past_casts(index, x[0]), weight, "", rms=True)
            return


def layer_norm(index: Index, node: Node) -> Found:
    """Find ``w · (x - mean) / √(mean((x - mean)²) + ε) + b``, as it ends: with the bias."""
    if node.op != "Add":
        return
    for shift, scaled in (node.inputs, reversed(node.inputs)):
        inner = index.maker(scaled, "Mul")
        if inner is None or not _vector(index, shift):
            continue
        for weight, unit in (inner.inputs, reversed(inner.inputs)):
            if not _vector(index, weight):
                continue
            found = _by_root(index, past_casts(index, unit))
            centred = index.maker(found[0], "Sub") if found else None
            middle = past_casts(index, centred.inputs[1]) if centred else ""
            mean = index.maker(middle, "ReduceMean")
            if found and mean is not None and _is_square_mean(index, found[1], found[0]):
                yield node, _norm(past_casts(index, mean.inputs[0]), weight, shift, rms=False)
                return


def _norm(x: str, weight: str, shift: str, *, rms: bool) -> Raised:
    def lower(scope: Scope, node: Node) -> None:
        normed(scope, node, x, weight, shift, rms=rms)

    return Raised((x,), lower)


def _vector(index: Index, name: str) -> bool:
    tensor = index.tensor(name)
    return tensor.constant and len(tensor.shape or ()) == 1 and tensor.size != 1


def _by_root(index: Index, name: str) -> tuple[str, str] | None:
    """Return x and the square under the root, of ``x / √v`` in any of its spellings."""
    node = index.maker(name, "Mul", "Div")
    if node is None:
        return None
    if node.op == "Div":
        root = index.maker(past_casts(index, node.inputs[1]), "Sqrt")
        return (node.inputs[0], root.inputs[0]) if root is not None else None
    for x, factor in (node.inputs, tuple(reversed(node.inputs))):
        inverse = index.maker(past_casts(index, factor), "Reciprocal", "Div", "Pow")
        if inverse is None:
            continue
        if inverse.op == "Pow":
            return (x, inverse.inputs[0]) if index.number(inverse.inputs[1]) == -0.5 else None
        root = index.maker(inverse.inputs[-1], "Sqrt")
        if root is not None and (inverse.op == "Reciprocal" or index.scalar(inverse.inputs[0])):
            return x, root.inputs[0]
    return None


def _is_square_mean(index: Index, name: str, x: str) -> bool:
    """Whether a name is ``mean(x²) + ε``."""
    plus = index.maker(past_casts(index, name), "Add")
    if plus is None:
        return False
    mean = next((m for i in plus.inputs if (m := index.maker(i, "ReduceMean"))), None)
    inside = past_casts(index, mean.inputs[0]) if mean is not None else ""
    square = index.maker(inside, "Pow", "Mul")
    if square is None:
        return False
    base = past_casts(index, square.inputs[0])
    right = square.op == "Pow" or past_casts(index, square.inputs[1]) == base
    return right and base == past_casts(index, x)


def rope(index: Index, node: Node) -> Found:
    """Find ``x·cos + rotate_half(x)·sin``."""
    a, b = (index.maker(i, "Mul") for i in node.inputs[:2])
    if a is None or b is None:
        return
    for plain, turned in ((a, b), (b, a)):
        for half in turned.inputs:
            x = _rotated(index, half)
            if x and x in plain.inputs and len(index.tensor(x).shape or ()) == 4:
                yield node, _rope(x)
                return


def _rotated(index: Index, name: str) -> str:
    """Return x of ``concat(-x[half:], x[:half])``."""
    joined = index.maker(name, "Concat")
    if joined is None or len(joined.inputs) != 2:
        return ""
    negated = index.maker(joined.inputs[0], "Neg")
    high = index.maker(negated.inputs[0], "Slice", "Split") if negated is not None else None
    low = index.maker(joined.inputs[1], "Slice", "Split")
    same = high is not None and low is not None and high.inputs[0] == low.inputs[0]
    return low.inputs[0] if same and low is not None else ""


def _rope(x: str) -> Raised:
    def lower(scope: Scope, node: Node) -> None:
        shape = tuple(map(expr, scope.tensor(x).dims))
        b_first = shape[2] if shape[1] == expr(scope.tensor(node.outputs[0]).dims[1]) else shape[1]
        heads = next((d for d in shape[1:3] if d.is_Integer), b_first)
        value = scope.value(x)
        if value.shape[-1] != heads * shape[3]:
            flat = value.numel / (heads * shape[3])
            value = scope.viewed(value, (flat, heads * shape[3]))
        scope.emit(Rope(value, heads, shape[3]), node)

    return Raised((x,), lower)
