"""Attention whose query and output projections are experts; keys and values are everyone's.

JetMoE: each token picks ``top_k`` experts, each of which gives it ``heads`` queries over the same
keys and values [Shen 2024, §3.1].
"""

from __future__ import annotations

import sympy as sp

from mansard.core.symbols import B, P, T
from mansard.frontends.hf.architecture import NormKind
from mansard.frontends.hf.lower.scope import Scope
from mansard.frontends.hf.mixers import RoutedAttention
from mansard.ir.ops import (
    Add,
    Append,
    Combine,
    Dispatch,
    GroupedLinear,
    Reshape,
    Rope,
    Scores,
    Slice,
    Softmax,
    TopK,
    Values,
)
from mansard.ir.value import Value


def routed_attention(scope: Scope, x: Value, m: RoutedAttention, norm: NormKind) -> Value:
    """Append one block; ``x`` and the result are ``[T, hidden]``."""
    wide, heads = m.heads * m.head_dim, m.heads * m.top_k
    routes = scope(TopK(scope.linear(x, "attn_router", m.experts), m.top_k), "attn_top_k")
    rows = scope(Dispatch(x, routes), "attn_dispatch")
    q = scope(Reshape(_expert(scope, rows, "experts_q", wide, m), (T, m.top_k * wide)), "q")
    q = scope(Rope(q, heads, m.head_dim), "q_rope")
    both = scope.linear(x, "kv_proj", 2 * wide)
    k = scope(Rope(scope(Slice(both, 1, 0, wide), "k"), m.heads, m.head_dim), "k_rope")
    v = scope(Slice(both, 1, wide, wide), "v")
    keys, values = (
        scope(Append(scope.cache(f"{n}_cache", B, m.heads, P, m.head_dim), part), f"{n}_append")
        for n, part in (("k", k), ("v", v))
    )
    weights = scope(Softmax(scope(Scores(q, keys, heads), "scores")), "softmax")
    y = scope(Values(weights, values, (T,)), "values")
    y = scope(Reshape(y, (T * m.top_k, wide)), "attn_rows")
    out = _expert(scope, y, "experts_o", scope.arch.hidden, m)
    return scope(
        Add((scope(Combine(out, routes), "attn_combine"), _bias(scope, "attn_bias"))), "attn_biased"
    )


def _expert(scope: Scope, rows: Value, role: str, out: int, m: RoutedAttention) -> Value:
    w = scope.param(role, m.experts, out, rows.shape[-1])
    return scope(GroupedLinear(rows, w, sp.Rational(m.top_k, m.experts), T), f"attn.{role}")


def _bias(scope: Scope, role: str) -> Value:
    return scope.param(role, scope.arch.hidden)
