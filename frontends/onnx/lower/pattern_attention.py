"""Attention that exporters spell out: scores, scale and mask, softmax, values, repeated heads."""

from __future__ import annotations

from collections.abc import Iterator

from mansard.core.records import dataclass
from mansard.core.symbols import expr
from mansard.frontends.onnx.dims import floor_div
from mansard.frontends.onnx.graph import Node
from mansard.frontends.onnx.lower.attention import Heads, attend_values
from mansard.frontends.onnx.lower.index import Index
from mansard.frontends.onnx.lower.registry import Raised
from mansard.frontends.onnx.lower.scope import Scope
from mansard.frontends.onnx.values import Shape
from mansard.ir.mask import Mask

Found = Iterator[tuple[Node, Raised]]
_SAME = ("Cast", "Identity", "Dropout", "QuantizeLinear", "DequantizeLinear")
_MOVED = (*_SAME, "Transpose", "Reshape", "Unsqueeze", "Squeeze")
_DEEPEST = 40


@dataclass(frozen=True)
class Side:
    """Keys or values: the name that holds them new, the cache they join, how many heads."""

    name: str
    past: str
    heads: int


def attention(index: Index, node: Node) -> Found:
    """Find the product of softmax and values, and all that led to it."""
    p, v = node.inputs[:2]
    softmax = _softmax(index, p)
    if softmax is None or not index.is_scores(softmax.inputs[0]):
        return
    found = _scores(index, softmax.inputs[0], 0)
    if found is None:
        return
    scores, added = found
    shape = index.tensor(scores.outputs[0]).dims
    out = index.tensor(node.outputs[0]).shape
    heads = shape[1]
    if not isinstance(heads, int) or out is None or len(out) != 4:
        return
    q, k = _unscaled(index, scores.inputs[0]), _side(index, scores.inputs[1], heads)
    values = _side(index, v, heads)
    width = index.tensor(scores.inputs[0]).dims[3]
    causal = bool(k.past)
    yield node, _attention(q, k, values, shape, (width, out[3]), _bias(index, added, heads), causal)


def joined(index: Index, node: Node) -> Found:
    """Find a fused attention whose keys and values a node before it joined to their past."""
    late = 4 if node.op == "Attention" else 6
    given = len(node.inputs) > late and bool(node.inputs[late])
    if given or len(node.inputs) < 3 or not all(node.inputs[:3]):
        return
    q, k, v = node.inputs[:3]
    shape, out = index.tensor(q).shape or (), index.tensor(node.outputs[0]).shape or ()
    told = node.attributes.get("q_num_heads" if node.op == "Attention" else "num_heads", 0)
    heads = shape[1] if len(shape) == 4 else told
    kv = index.tensor(k).shape or ()
    own = kv[1] if len(kv) == 4 else node.attributes.get("kv_num_heads", heads)
    if not isinstance(heads, int) or not heads or not isinstance(own, int) or not out:
        return
    keys, values = _side(index, k, own), _side(index, v, own)
    if not keys.past or keys.past == keys.name:
        return
    wide = len(shape) == 4
    widths = (
        (shape[3], out[3]) if wide else (floor_div(shape[-1], heads), floor_div(out[-1], heads))
    )
    length = kv[2] if len(kv) == 4 else kv[1]
    made = (shape[0], heads, shape[2] if wide else shape[1], length)
    yield node, _attention(q, keys, values, made, widths, "", True)


def guarded(index: Index, node: Node) -> Found:
    """Find the ``Where`` that zeroes rows of attention that see nothing: no work of a kernel."""
    condition, zero, x = (*node.inputs, "", "", "")[:3]
    shape = index.tensor(condition).shape or ()
    if len(shape) != 4 or shape[-1] != 1 or not index.scalar(zero):
        return
    maker = index.makers.get(x)
    while maker is not None and maker.op in ("Reshape", "Transpose"):
        maker = index.makers.get(maker.inputs[0])
    fused = maker is not None and maker.op in ("Attention", "MultiHeadAttention")
    if not fused and not (
        maker is not None and maker.op == "MatMul" and _softmax(index, maker.inputs[0])
    ):
        return

    def lower(scope: Scope, found: Node) -> None:
        scope.bind(found.outputs[0], scope.value(x))

    yield node, Raised((x,), lower)


def _softmax(index: Index, name: str) -> Node | None:
    for _ in range(_DEEPEST):
        node = index.makers.get(name)
        if node is None or node.op == "Softmax":
            return node
        if node.op == "Where":  # rows that see nothing are not a number; they become zeros
            name = node.inputs[2] if index.is_scores(node.inputs[2]) else node.inputs[1]
        elif node.op in _SAME:
            name = node.inputs[0]
        else:
            return None
    return None


def _scores(index: Index, name: str, depth: int) -> tuple[Node, tuple[str, ...]] | None:
    """Return the product of queries and keys behind scores, and the names added to it."""
    node = index.makers.get(name)
    if node is None or depth > _DEEPEST:
        return None
    if node.op == "MatMul":
        shapes = [len(index.tensor(i).shape or ()) for i in node.inputs]
        return (node, ()) if shapes == [4, 4] and index.is_scores(name) else None
    if node.op in _SAME:
        return _scores(index, node.inputs[0], depth + 1)
    if node.op in ("Mul", "Div", "Add", "Sub", "Where", "Max"):
        for at in node.inputs:
            found = _scores(index, at, depth + 1) if index.is_scores(at) else None
            if found is not None:
                rest = tuple(i for i in node.inputs if i != at) if node.op == "Add" else ()
                return found[0], (*found[1], *rest)
    return None


def _unscaled(index: Index, name: str) -> str:
    """Return queries before a number scaled them."""
    for _ in range(_DEEPEST):
        node = index.maker(name, "Mul", "Div", *_SAME)
        if node is None:
            break
        if node.op in _SAME:
            name = node.inputs[0]
            continue
        rest = [i for i in node.inputs if not index.scalar(i)]
        if len(rest) != 1:
            break
        name = rest[0]
    return name


def _side(index: Index, name: str, heads: int) -> Side:
    """Return keys or values before they were turned, scaled, repeated and joined to a past."""
    for _ in range(_DEEPEST):
        name = _unscaled(index, name)
        if index.is_cache(name):
            return Side(name, name, heads)
        node = index.makers.get(name)
        if node is None:
            break
        if node.op == "Expand":
            shape = index.tensor(node.inputs[0]).shape or ()
            heads = shape[1] if len(shape) == 5 and isinstance(shape[1], int) else heads
        elif node.op in ("Concat", "TensorScatter"):
            past = node.inputs[0]
            if index.is_cache(past) and len(node.inputs) > 1:
                return Side(node.inputs[1], past, heads)
            break
        elif node.op not in _MOVED:
            break
        name = node.inputs[0]
    return Side(name, "", heads)


def _bias(index: Index, added: tuple[str, ...], heads: int) -> str:
    """Return what is added to each head's scores, when heads differ."""
    for name in added:
        shape = index.tensor(name).shape
        if shape is not None and len(shape) == 4 and shape[1] == heads > 1:
            return name
    return ""


def _attention(
    q: str, k: Side, v: Side, shape: Shape, widths: tuple[object, object], bias: str,
    causal: bool,
) -> Raised:  # fmt: skip
    def lower(scope: Scope, node: Node) -> None:
        heads, kv = expr(shape[1]), expr(k.heads)
        kept = causal or (scope.shared.causal and shape[2] == shape[3])
        mask = Mask() if kept and k.past != k.name else Mask("full")
        dim, v_dim = map(expr, widths)
        h = Heads(heads, kv, dim, v_dim, mask)
        added = scope.shaped(bias) if bias else None
        past = ("", "") if k.past == k.name else (k.past, v.past)  # or a cache only read
        new = (scope.value(q), scope.value(k.name), scope.value(v.name))
        attend_values(scope, node, new, past, expr(shape[3]), h, added)

    caches = {k.past, v.past}
    return Raised(tuple(n for n in (q, k.name, v.name, bias) if n and n not in caches), lower)
