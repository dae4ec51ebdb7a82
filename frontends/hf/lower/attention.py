"""Grouped-query attention as transformers writes it: unfused, over a cache or over one step."""

from __future__ import annotations

import sympy as sp

from mansard.core.symbols import B, P, S, T
from mansard.frontends.hf.architecture import Attention, NormKind
from mansard.frontends.hf.lower.attention_gate import gated
from mansard.frontends.hf.lower.block_index import chosen_blocks
from mansard.frontends.hf.lower.scope import Scope
from mansard.ir.mask import Mask
from mansard.ir.ops import (
    Activation,
    Alibi,
    Append,
    Multiply,
    RelativeBias,
    Reshape,
    Rope,
    Scores,
    Slice,
    SoftCap,
    Softmax,
    Transpose,
    Values,
)
from mansard.ir.ops.index import KeepChosen
from mansard.ir.value import Value


def attention(scope: Scope, x: Value, a: Attention, norm: NormKind) -> Value:
    """Append one attention block; ``x`` and the result are ``[T, hidden]``."""
    q, gate = _queries(scope, x, a)
    if a.fused_qkv:
        q, k, v = _fused(scope, x, a)
    elif not a.reuses:
        k = scope.linear(x, "k_proj", a.kv_width, bias=a.k_bias)
        wide = a.kv_heads * a.value_width
        v = k if a.value_is_key else scope.linear(x, "v_proj", wide, bias=a.v_bias)
    q = _rotated(scope, _normed(scope, q, "q_norm", a, norm), a.heads, a, "q_rope")
    mask = mask_of(a)
    if a.reuses:
        keys, values = scope.carried[f"k.{a.reuses}"], scope.carried[f"v.{a.reuses}"]
    else:
        k = _rotated(scope, _normed(scope, k, "k_norm", a, norm), a.kv_heads, a, "k_rope")
        if a.value_norm is not None:
            v = scope.norm(v, "v_norm", a.value_norm, a.head_dim)
        keys, values = _kept(scope, k, v, a, mask) if a.cached else _by_head(scope, k, v, a)
        if a.keeps:
            scope.carried[f"k.{a.keeps}"], scope.carried[f"v.{a.keeps}"] = keys, values
    chosen = None if a.index is None else chosen_blocks(scope, x, a.index, a.rotary_dim, norm)
    out = _attended(scope, q, keys, values, a, mask, chosen)
    if gate is not None:
        out = scope(Multiply(out, scope(Activation(gate, "sigmoid"), "attn_gate")), "attn_gated")
    if a.gate:
        out = gated(scope, x, out, a)
    if a.sub_norm:
        out = scope.norm(out, "attn_sub_norm", norm)
    return scope.linear(out, "o_proj", scope.arch.hidden, bias=a.o_bias)


def mask_of(a: Attention) -> Mask:
    """Return the pairs a layer's queries and keys form."""
    if a.index is not None:
        return Mask("budget", sp.Integer(a.index.block * a.index.blocks))
    if a.window is None:
        return Mask("causal" if a.causal else "full")
    near, own = ("window", "chunk") if a.causal else ("band", "blocks")
    return Mask(own if a.chunked else near, sp.Integer(a.window))


def kept_caches(a: Attention) -> dict[str, tuple[sp.Expr, ...]]:
    """Return the caches a layer leaves for later ones: name → shape after the step."""
    if not a.keeps:
        return {}
    shape = (B, a.kv_heads, mask_of(a).kept(P) + S, a.head_dim)
    return {f"k.{a.keeps}": shape, f"v.{a.keeps}": (*shape[:-1], a.value_width)}


def _kept(scope: Scope, k: Value, v: Value, a: Attention, mask: Mask) -> tuple[Value, Value]:
    """Return keys and values of every step so far, the new ones appended to the caches."""
    shape = (B, a.kv_heads, mask.kept(P), a.head_dim)
    keys = scope(Append(scope.cache("k_cache", *shape), k), "k_append")
    wide = (*shape[:-1], a.value_width)
    return keys, scope(Append(scope.cache("v_cache", *wide), v), "v_append")


def _by_head(scope: Scope, k: Value, v: Value, a: Attention) -> tuple[Value, Value]:
    """Return keys and values of the only step, ``[B, kv_heads, S, head_dim]``."""

    def turned(x: Value, name: str) -> Value:
        rows = scope(Reshape(x, (B, S, a.kv_heads, a.head_dim)), f"{name}_rows")
        return scope(Transpose(rows, (0, 2, 1, 3)), f"{name}_heads")

    return turned(k, "k"), turned(v, "v")


def _attended(
    scope: Scope, q: Value, keys: Value, values: Value, a: Attention, mask: Mask,
    chosen: Value | None,
) -> Value:  # fmt: skip
    local = f"{'chunked' if a.chunked else 'sliding'}_" if a.window is not None else ""
    scores = scope(Scores(q, keys, a.heads, mask), f"{local}scores")
    if chosen is not None:
        scores = scope(KeepChosen(scores, chosen), "keep_chosen")
    if a.softcap is not None:
        scores = scope(SoftCap(scores), f"{local}softcap")
    if a.alibi:
        scores = scope(Alibi(scores), f"{local}alibi")
    if a.buckets:
        table = scope.param("relative_bias", a.buckets, a.heads)
        scores = scope(RelativeBias(scores, table), f"{local}relative_bias")
    sinks = scope.param("sinks", a.heads) if a.sinks else None
    weights = scope(Softmax(scores, sinks), f"{local}softmax")
    return scope(Values(weights, values, (T,), mask), f"{local}values")


def _queries(scope: Scope, x: Value, a: Attention) -> tuple[Value, Value | None]:
    """Return queries, and the gate that is projected with them where there is one."""
    if a.fused_qkv:
        return x, None
    if not a.gated:
        return scope.linear(x, "q_proj", a.q_width, bias=a.q_bias), None
    both = scope.linear(x, "q_proj", 2 * a.q_width, bias=a.q_bias)
    gate = scope(Slice(both, 1, a.q_width, a.q_width), "q_gate")
    return scope(Slice(both, 1, 0, a.q_width), "q"), gate


def _fused(scope: Scope, x: Value, a: Attention) -> tuple[Value, Value, Value]:
    whole = scope.linear(x, "qkv_proj", a.q_width + 2 * a.kv_width, bias=a.q_bias)
    q = scope(Slice(whole, 1, 0, a.q_width), "q")
    k = scope(Slice(whole, 1, a.q_width, a.kv_width), "k")
    v = scope(Slice(whole, 1, a.q_width + a.kv_width, a.kv_width), "v")
    return q, k, v


def _normed(scope: Scope, x: Value, role: str, a: Attention, norm: NormKind) -> Value:
    if a.qk_norm == "none":
        return x
    width = a.head_dim if a.qk_norm == "head" else None
    return scope.norm(x, role, a.qk_norm_kind or norm, width)


def _rotated(scope: Scope, x: Value, heads: int, a: Attention, role: str) -> Value:
    return scope(Rope(x, heads, a.rotary_dim), role) if a.rotary_dim else x
