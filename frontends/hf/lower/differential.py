"""Differential attention: of two softmaxes over the same values, one is subtracted from the other.

``(softmax(Q₁K₁ᵀ) - λ·softmax(Q₂K₂ᵀ))·V`` over pairs of heads whose value is twice as wide
[Ye 2024, eq. 1], then a norm a pair. λ is made of four learned vectors.
"""

from __future__ import annotations

import sympy as sp

from mansard.core.symbols import B, P, T
from mansard.frontends.hf.architecture import NormKind
from mansard.frontends.hf.lower.scope import Scope
from mansard.frontends.hf.mixers import Differential
from mansard.ir.ops import Append, Rope, Scale, Scores, Slice, Softmax, Values
from mansard.ir.ops.tensor import Elementwise
from mansard.ir.value import Value

LAMBDAS = ("lambda_q1", "lambda_k1", "lambda_q2", "lambda_k2")


def differential(scope: Scope, x: Value, m: Differential, norm: NormKind) -> Value:
    """Append one block; ``x`` and the result are ``[T, hidden]``."""
    wide = m.heads * m.head_dim
    q = scope.linear(x, "q_proj", wide, bias=m.bias)
    k = scope.linear(x, "k_proj", m.kv_heads * m.head_dim, bias=m.bias)
    v = scope.linear(x, "v_proj", m.kv_heads * m.head_dim, bias=m.bias)
    q = scope(Rope(q, m.heads, m.head_dim), "q_rope")
    k = scope(Rope(k, m.kv_heads, m.head_dim), "k_rope")
    keys = scope(Append(scope.cache("k_cache", B, m.kv_heads, P, m.head_dim), k), "k_append")
    pairs = (B, m.kv_heads // 2, P, 2 * m.head_dim)
    values = scope(Append(scope.cache("v_cache", *pairs), v), "v_append")
    weights = scope(Softmax(scope(Scores(q, keys, m.heads), "scores")), "softmax")
    both = scope(Values(weights, values, (T,)), "values")
    first, second = (scope(Slice(both, 1, k * wide, wide), f"half_{k}") for k in range(2))
    lambdas = tuple(scope.param(role, m.head_dim) for role in LAMBDAS)
    op = Elementwise((first, second, *lambdas), first.shape, fn="difference", per=sp.Integer(2))
    y = scope.norm(scope(op, "difference"), "pair_norm", "rms-none", 2 * m.head_dim)
    y = scope(Scale(y), "difference_scale")
    return scope.linear(y, "o_proj", scope.arch.hidden, bias=m.bias)
