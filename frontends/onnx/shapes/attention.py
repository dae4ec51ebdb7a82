"""Attention as one operator, and rotary embeddings."""

from __future__ import annotations

from mansard.frontends.onnx.dims import Dim, Unresolved, add, floor_div, larger, mul
from mansard.frontends.onnx.registry import MS, Call, rule
from mansard.frontends.onnx.values import Tensor


@rule("Attention", since=23)
def attention(
    call: Call,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    past_key: Tensor | None = None,
    past_value: Tensor | None = None,
    lengths: Tensor | None = None,
) -> list[Tensor]:
    """Attend: operands are ``[B, heads, S, d]``, or ``[B, S, heads*d]``."""
    b = call.same(q.dims[0], k.dims[0])
    if q.rank == 4:
        heads, kv_heads = q.dims[1], k.dims[1]
        d_key, d_value = k.dims[3], v.dims[3]
    else:
        heads, kv_heads = call.need("q_num_heads", int), call.need("kv_num_heads", int)
        d_key, d_value = floor_div(k.dims[2], kv_heads), floor_div(v.dims[2], kv_heads)
    rows, new = q.dims[-2], k.dims[-2]
    keys = new if past_key is None else add(past_key.dims[2], new)
    _within(call, mask, keys)
    out = (b, heads, rows, d_value) if q.rank == 4 else (b, rows, mul(heads, d_value))
    return [
        q.like(out),
        k.like((b, kv_heads, keys, d_key)),
        v.like((b, kv_heads, keys, d_value)),
        q.like((b, heads, rows, keys)),
    ]


def _within(call: Call, mask: Tensor | None, keys: Dim) -> None:
    """A mask that is one row per query is as wide as the keys; a narrower one is padded."""
    if mask is not None and mask.shape and not isinstance(mask.shape[-1], int):
        call.facts.broadcast(((mask.shape[-1],), (keys,)), call.node.label)


@rule("Attention", domain=MS)
def packed(
    call: Call,
    x: Tensor,
    weights: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    past: Tensor | None = None,
    *rest: Tensor | None,
) -> list[Tensor]:
    """Project to packed q, k, v and attend; the cache is ``[2, B, heads, P+S, d]``."""
    b, s, _ = x.dims
    sizes = call.attr("qkv_hidden_sizes", ())
    hidden = sizes[2] if sizes else floor_div(weights.dims[1], 3)
    heads = call.need("num_heads", int)
    keys = s if past is None else add(past.dims[3], s)
    width = floor_div(sizes[1] if sizes else hidden, heads)
    return [x.like((b, s, hidden)), x.like((2, b, heads, keys, width))]


@rule("GroupQueryAttention", domain=MS)
def grouped(
    call: Call,
    q: Tensor,
    k: Tensor | None,
    v: Tensor | None,
    past_key: Tensor | None = None,
    past_value: Tensor | None = None,
    lengths: Tensor | None = None,
    longest: Tensor | None = None,
    *rest: Tensor | None,
) -> list[Tensor]:
    """Attend with fewer key heads; without ``k``, ``q`` holds q, k and v side by side.

    The cache grows to the longest sequence, ``P + S``, unless it is as long already.
    """
    b, s, width = q.dims
    heads, kv_heads = call.need("num_heads", int), call.need("kv_num_heads", int)
    d = floor_div(width, heads if k is not None else heads + 2 * kv_heads)
    out = q.like((b, s, mul(heads, d)))
    if past_key is None:
        cache = q.like((b, kv_heads, s, d))
        return [out, cache, cache]
    call.same(past_key.dims[0], b)
    call.same(past_key.dims[3], d)
    keys = longest.value[0] if longest is not None and longest.value else None
    length = add(past_key.dims[2], s)
    if keys is not None and not isinstance(keys, int):
        length = call.same(keys, length)
    elif keys is not None:
        length = larger(past_key.dims[2], keys)
    cache = past_key.like((b, kv_heads, length, d))
    return [out, cache, cache]


@rule("MultiHeadAttention", domain=MS)
def multi_head(
    call: Call,
    q: Tensor,
    k: Tensor | None = None,
    v: Tensor | None = None,
    bias: Tensor | None = None,
    padding: Tensor | None = None,
    scores: Tensor | None = None,
    past_key: Tensor | None = None,
    past_value: Tensor | None = None,
    *rest: Tensor | None,
) -> list[Tensor]:
    """Attend: ``k`` and ``v`` apart, packed beside each other, or all packed in ``q``."""
    heads = call.need("num_heads", int)
    b, s = q.dims[0], q.dims[1]
    if q.rank == 5:  # [B, S, heads, 3, d]
        d = d_value = q.dims[4]
        new: Dim = s
    else:
        d = d_value = floor_div(q.dims[2], heads)
        if k is None:
            raise Unresolved("a query without keys")
        new = k.dims[1] if k.rank != 4 else k.dims[2]
        if v is not None:
            d_value = floor_div(v.dims[2], heads) if v.rank == 3 else v.dims[3]
    keys = new if past_key is None else add(past_key.dims[2], new)
    return [
        q.like((b, s, mul(heads, d_value))),
        q.like((b, heads, keys, d)),
        q.like((b, heads, keys, d_value)),
        q.like((b, heads, s, keys)),
    ]


@rule("RotaryEmbedding")
@rule("RotaryEmbedding", domain=MS)
def rotary(call: Call, x: Tensor, *rest: Tensor | None) -> Tensor:
    """Rotate pairs; the shape stays."""
    return x.like()
