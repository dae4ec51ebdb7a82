"""Attention operators: queries, keys and values, caches appended to, scores, softmax, values."""

from __future__ import annotations

from dataclasses import field

from mansard.core.dtypes import Encoding
from mansard.core.records import dataclass
from mansard.core.symbols import B, Expr, P, S, T, expr
from mansard.frontends.onnx.dtypes import encoded
from mansard.frontends.onnx.graph import Node
from mansard.frontends.onnx.lower.matmul import weight_name
from mansard.frontends.onnx.lower.registry import lowers
from mansard.frontends.onnx.lower.scope import Scope
from mansard.frontends.onnx.lower.weights import stored
from mansard.ir.mask import Mask
from mansard.ir.op import same_size
from mansard.ir.ops import Add, Append, Linear, Rope, Scores, Slice, SoftCap, Softmax, Values
from mansard.ir.ops.tensor import Elementwise, MatMul, Reduce
from mansard.ir.value import Value


@dataclass(frozen=True)
class Heads:
    """Sizes of one attention.

    Args:
        heads: query heads.
        kv_heads: key heads.
        dim: width of a key head.
        v_dim: width of a value head.
        mask: the pairs that count.
        softcap: whether scores are capped.
    """

    heads: Expr
    kv_heads: Expr
    dim: Expr
    v_dim: Expr
    mask: Mask = field(default=Mask())
    softcap: bool = False


def attended(
    scope: Scope, node: Node, q: Value, keys: Value, values: Value, h: Heads,
    bias: Value | None = None,
) -> Value:  # fmt: skip
    """Append scores, softmax and values; the result is ``[T, heads·v_dim]``."""
    inside = scope.label(node).rpartition(".")[0]
    prefix = f"{inside}." if inside else ""
    scores = scope.build(Scores(q, keys, h.heads, h.mask), f"{prefix}scores")
    if h.softcap:
        scores = scope.build(SoftCap(scores), f"{prefix}softcap")
    if bias is not None:
        scores = scope.build(Add((scores, bias)), f"{prefix}position_bias")
    weights = scope.build(Softmax(scores), f"{prefix}softmax")
    rows = flat_rows(q)
    return scope.emit(Values(weights, values, rows, h.mask), node, f"{prefix}values")


def flat_rows(q: Value) -> tuple[Expr, ...]:
    """Return the leading shape of what attention makes for queries."""
    return (T,) if T in q.numel.free_symbols or {B, S} <= q.numel.free_symbols else q.shape[:-1]


def appended(scope: Scope, cache: str, new: Value, role: str, h: Heads, width: Expr) -> Value:
    """Append new rows to a cache that the caller hands in."""
    kind = scope.tensor(cache)
    encoding = Encoding(encoded(kind.dtype or "fp32"))
    kept = h.mask.kept(P)
    leaf = cache_leaf(scope, cache, (B, h.kv_heads, kept, width), encoding)
    return scope.build(Append(leaf, new), f"{prefix_of(scope, cache)}{role}_append")


def prefix_of(scope: Scope, cache: str) -> str:
    """Return what names of ops of a layer begin with, for a cache that names its layer."""
    return "layers." if any(part.isdigit() for part in cache.replace("_", ".").split(".")) else ""


def cache_leaf(scope: Scope, name: str, shape: tuple[Expr, ...], encoding: Encoding) -> Value:
    """Return the leaf of a cache."""
    return scope.build.leaf(name, *shape, encoding=encoding, role="cache")


def as_keys(scope: Scope, x: Value, heads: Expr, width: Expr, keys: Expr) -> Value:
    """Return keys or values that are in no cache as ``[B, heads, keys, width]``."""
    return scope.viewed(x, (B, heads, keys, width))


_PROJECTING = ("Attention", "QAttention", "PackedAttention")
"""onnxruntime's own, which make q, k and v themselves; ONNX's has heads by other names."""


@lowers("Attention", "GroupQueryAttention", "MultiHeadAttention", "PackedMultiHeadAttention",
        "DecoderMaskedMultiHeadAttention", "SparseAttention", "PagedAttention",
        "PackedAttention", "QAttention")  # fmt: skip
def attention(scope: Scope, node: Node) -> None:
    """Lower a fused attention of either operator set."""
    if node.op in _PROJECTING and scope.attr(node, "num_heads"):
        _with_projection(scope, node)
    elif node.op in ("GroupQueryAttention", "SparseAttention"):
        grouped(scope, node)
    elif node.op == "Attention":
        standard(scope, node)
    else:
        multi_head(scope, node)


def standard(scope: Scope, node: Node) -> None:
    """Lower ONNX's own: inputs of three axes (heads in attributes) or four."""
    q, k, v = node.inputs[:3]
    mask, past_k, past_v = (scope.input(node, i) for i in (3, 4, 5))
    shape, kshape, vshape = (tuple(map(expr, scope.tensor(n).shape or ())) for n in (q, k, v))
    if len(shape) == 4:
        heads, dim, kv, v_dim = shape[1], shape[3], kshape[1], vshape[3]
    else:
        heads, kv = (
            expr(scope.attr(node, "q_num_heads", 1)),
            expr(scope.attr(node, "kv_num_heads", 1)),
        )
        dim, v_dim = shape[-1] / heads, vshape[-1] / kv
    keys = kshape[-2] if len(kshape) == 4 else kshape[1]
    causal = bool(scope.attr(node, "is_causal")) or (bool(past_k) and scope.shared.causal)
    softcap = float(node.attributes.get("softcap", 0.0) or 0.0) != 0
    h = Heads(heads, kv, dim, v_dim, Mask() if causal else Mask("full"), softcap)
    whole(scope, node, (q, k, v), (past_k, past_v), keys, h, head_bias(scope, mask, heads))


def head_bias(scope: Scope, mask: str, heads: Expr) -> Value | None:
    """Return what a mask adds to each head's scores, when heads differ: a position bias."""
    shape = scope.tensor(mask).shape if mask else None
    if shape is None or len(shape) != 4 or shape[1] != heads or heads == 1:
        return None
    return (
        scope.value(mask)
        if "fp" in scope.tensor(mask).dtype or "bf" in scope.tensor(mask).dtype
        else None
    )


def whole(
    scope: Scope, node: Node, qkv: tuple[str, str, str], past: tuple[str, str], keys: Expr,
    h: Heads, bias: Value | None = None,
) -> None:  # fmt: skip
    """Append an attention of names; caches are appended to where they are handed in."""
    new = tuple(scope.value(n) for n in qkv)
    attend_values(scope, node, new, past, keys, h, bias)


def attend_values(
    scope: Scope, node: Node, new: tuple[Value, ...], past: tuple[str, str], keys: Expr, h: Heads,
    bias: Value | None = None,
) -> None:  # fmt: skip
    """Append an attention of values; see ``whole``."""
    q, k, v = new
    if not same_size(q.numel, B * S * h.heads * h.dim):
        _anonymous(scope, node, q, k, v, h, keys + _kept(scope, past[0]))
        return
    if past[0] and scope.index.is_cache(past[0]):
        k = appended(scope, past[0], k, "k", h, h.dim)
        v = appended(scope, past[1], v, "v", h, h.v_dim)
    else:
        k = as_keys(scope, k, h.kv_heads, h.dim, keys)
        v = as_keys(scope, v, h.kv_heads, h.v_dim, keys)
    attended(scope, node, q, k, v, h, bias)
    for name, value in zip(node.outputs[1:3], (k, v), strict=False):
        scope.bind(name, value)


def _kept(scope: Scope, past: str) -> Expr:
    """Return how many keys a cache holds that is no cache of the model's own."""
    shape = scope.tensor(past).shape if past else None
    return expr(shape[-2]) if shape is not None and len(shape) in (4, 5) else expr(0)


def _anonymous(
    scope: Scope, node: Node, q: Value, k: Value, v: Value, h: Heads, keys: Expr
) -> None:
    """Append an attention whose sizes are not the model's B and S as plain products."""
    rows = q.numel / (h.heads * h.dim)
    scores = scope.build(MatMul((q, k), (h.heads, rows, keys), k=h.dim), "scores")
    weights = scope.build(Reduce((scores,), scores.shape, fn="softmax", per=expr(5)), "softmax")
    out = node.outputs[0]
    scope.emit(MatMul((weights, v), scope.shape(out), scope.encoding(out), keys), node)
    for name, value in zip(node.outputs[1:3], (k, v), strict=False):
        scope.bind(name, value)


def grouped(scope: Scope, node: Node) -> None:
    """Lower onnxruntime's grouped-query attention; q may hold k and v too, and not be rotated."""
    heads, kv = expr(scope.attr(node, "num_heads", 1)), expr(scope.attr(node, "kv_num_heads", 1))
    q, k, v = (scope.input(node, i) for i in range(3))
    width = expr((scope.tensor(q).shape or (1,))[-1])
    dim = width / heads if k else width / (heads + 2 * kv)
    if k:
        parts = [scope.rows(q, width), scope.value(k), scope.value(v)]
    else:
        parts = list(_cut(scope, scope.rows(q, width), (heads * dim, kv * dim, kv * dim), node))
    window = scope.attr(node, "local_window_size", -1)
    mask = Mask("window", expr(window)) if window > 0 else Mask()
    h = Heads(heads, kv, dim, dim, mask, float(node.attributes.get("softcap", 0.0) or 0.0) != 0)
    if scope.attr(node, "do_rotary"):
        prefix = prefix_of(scope, scope.input(node, 3))
        cos = scope.tensor(scope.input(node, 7)).shape or ()
        rotated = 2 * expr(cos[-1]) if cos else dim
        parts[0] = scope.build(Rope(parts[0], heads, rotated), f"{prefix}q_rope")
        parts[1] = scope.build(Rope(parts[1], kv, rotated), f"{prefix}k_rope")
    past = (scope.input(node, 3), scope.input(node, 4))
    new = (scope.tensor(q).shape or (B, S))[1]
    attend_values(scope, node, tuple(parts), past, expr(new), h)


def _cut(scope: Scope, x: Value, sizes: tuple[Expr, ...], node: Node) -> list[Value]:
    start, axis, found = expr(0), len(x.shape) - 1, []
    inside = "layers." if scope.label(node).startswith("layers.") else ""
    for size, role in zip(sizes, "qkv", strict=True):
        found.append(scope.build(Slice(x, expr(axis), start, size), f"{inside}{role}"))
        start += size
    return found


def multi_head(scope: Scope, node: Node) -> None:
    """Lower onnxruntime's multi-head attention: keys may come with their past already joined."""
    heads = expr(scope.attr(node, "num_heads", 1))
    q, k, v, bias = (scope.input(node, i) for i in range(4))
    width = expr((scope.tensor(q).shape or (1,))[-1])
    value = scope.value(q)
    if bias:
        xs = (value, *scope.operands((bias,)))
        value = scope.build(Elementwise(xs, value.shape, fn="add"), scope.label(node))
    kshape = tuple(map(expr, scope.tensor(k).shape or (1, 1, 1)))
    vshape = tuple(map(expr, scope.tensor(v).shape or (1, 1, 1)))
    keys = kshape[2] if len(kshape) == 4 else kshape[1]
    v_dim = vshape[3] if len(vshape) == 4 else vshape[-1] / heads
    past = (scope.input(node, 6), scope.input(node, 7))
    mask = Mask() if scope.attr(node, "unidirectional") or past[0] else Mask("full")
    h = Heads(heads, heads, width / heads, v_dim, mask)
    attend_values(scope, node, (value, scope.value(k), scope.value(v)), past, keys, h)


def _with_projection(scope: Scope, node: Node) -> None:
    """Lower onnxruntime's first attention, which projects q, k and v itself."""
    heads = expr(scope.attr(node, "num_heads", 1))
    x, w, bias = node.inputs[0], node.inputs[1], scope.input(node, 2)
    width = expr((scope.tensor(w).shape or (1,))[-1])
    made = _projected(scope, node, x, w, width)
    if bias:
        more = (made, *scope.operands((bias,)))
        label = f"{scope.label(node, weight_name(scope, w))}_bias"
        made = scope.build(Elementwise(more, made.shape, fn="add"), label)
    size = width / 3
    parts = _cut(scope, made, (size, size, size), node)
    mask = Mask() if scope.attr(node, "unidirectional") else Mask("full")
    h = Heads(heads, heads, size / heads, size / heads, mask)
    past = scope.input(node, 4) if node.op == "Attention" else ""
    new = (scope.tensor(x).shape or (B, S))[1]
    attend_values(scope, node, tuple(parts), (past, past), expr(new), h)


def _projected(scope: Scope, node: Node, x: str, w: str, width: Expr) -> Value:
    """Append the projection of an input to queries, keys and values side by side."""
    label = scope.label(node, weight_name(scope, w))
    if scope.tensor(w).constant:
        weight = stored(scope, w, turned=True)
        return scope.build(Linear(scope.rows(x, weight.shape[1]), weight), label)
    value, k = scope.shaped(x), expr((scope.tensor(x).shape or (1,))[-1])
    shape = (*value.shape[:-1], width)
    return scope.build(MatMul((value, scope.value(w)), shape, value.encoding.plain, k), label)


@lowers("RotaryEmbedding", reads=1)
def rotary(scope: Scope, node: Node) -> None:
    """Lower a rotation of the first elements of each head; the table of angles is small."""
    shape = tuple(map(expr, scope.tensor(node.inputs[0]).shape or ()))
    x = scope.value(node.inputs[0])
    heads = expr(scope.attr(node, "num_heads"))
    if len(shape) == 4:
        heads, dim = shape[1], shape[3]
    else:
        heads = heads or expr(1)
        dim = shape[-1] / heads if shape else expr(1)
    width = expr(scope.attr(node, "rotary_embedding_dim")) or dim
    if not same_size(x.shape[-1], heads * dim):
        x = scope.viewed(x, (x.numel / (heads * dim), heads * dim))
    scope.emit(Rope(x, heads, width), node)
