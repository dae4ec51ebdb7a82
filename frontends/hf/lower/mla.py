"""Multi-head latent attention as written: the cached latent is expanded again every step.

Only general ops are used, so that absorbing the expansion into queries and outputs is a rewrite of
this pattern: ``linear(slice(append))`` → slices → scores, values.
"""

from __future__ import annotations

import sympy as sp

from mansard.core.symbols import B, P, S, T, least
from mansard.frontends.hf.architecture import NormKind
from mansard.frontends.hf.latent_mixers import Mla
from mansard.frontends.hf.lower.attention_gate import gated_by_head
from mansard.frontends.hf.lower.scope import Scope
from mansard.ir.mask import Mask
from mansard.ir.ops import (
    Activation,
    Append,
    Join,
    Multiply,
    Reshape,
    Rope,
    Scores,
    Slice,
    Softmax,
    TopK,
    Transpose,
    Values,
)
from mansard.ir.ops.index import KeepChosen, WeighHeads
from mansard.ir.value import Value


def mla(scope: Scope, x: Value, m: Mla, norm: NormKind) -> Value:
    """Append one latent-attention block; ``x`` and the result are ``[T, hidden]``."""
    q, latent = _queries(scope, x, m, norm)
    mask = _mask(m)
    cache = _cached(scope, x, m, norm, mask)
    keys, values = _expanded(scope, cache, m)
    scores = scope(Scores(q, keys, m.heads, mask), "scores")
    if m.index_heads:
        scores = scope(KeepChosen(scores, _indexed(scope, x, latent, m)), "keep_chosen")
    sinks = scope.param("sinks", m.heads) if m.sinks else None
    weights = scope(Softmax(scores, sinks), "softmax")
    out = scope(Values(weights, values, (T,), mask), "values")
    if m.gate:
        gate = scope(Activation(scope.linear(x, "attn_gate", m.heads), "sigmoid"), "attn_gate_act")
        out = gated_by_head(scope, out, gate, m.heads, m.value)
    if m.gate_full:
        gate = scope.linear(x, "attn_gate", m.heads * m.value)
        gate = scope(Activation(gate, "sigmoid"), "attn_gate_act")
        out = scope(Multiply(out, gate), "attn_gated")
    return scope.linear(out, "o_proj", scope.arch.hidden, bias=m.bias)


def _mask(m: Mla) -> Mask:
    if m.index_keys:
        return Mask("budget", sp.Integer(m.index_keys))
    return Mask("window", sp.Integer(m.window)) if m.window else Mask()


def _queries(scope: Scope, x: Value, m: Mla, norm: NormKind) -> tuple[Value, Value]:
    """Return queries ``[T, heads·(nope + rope)]`` and what they were projected from."""
    width, latent = m.heads * m.query, x
    if m.q_rank:
        latent = scope.linear(x, "q_a_proj", m.q_rank, bias=m.bias)
        latent = scope.norm(latent, "q_a_norm", norm)
        q = scope.linear(latent, "q_b_proj", width)
    else:
        q = scope.linear(x, "q_proj", width)
    return scope(Rope(q, m.heads, m.rope), "q_rope"), latent


def _cached(scope: Scope, x: Value, m: Mla, norm: NormKind, mask: Mask) -> Value:
    """Return latents and rotated keys of all tokens seen, ``[B, 1, P + S, rank + rope]``."""
    both = scope.linear(x, "kv_a_proj", m.rank + m.rope, bias=m.bias)
    latent = scope(Slice(both, 1, 0, m.rank), "latent")
    latent = scope.norm(latent, "kv_a_norm", norm)
    turned = scope(Slice(both, 1, m.rank, m.rope), "k_shared")
    if m.rope_norm:
        turned = scope.norm(turned, "k_rope_norm", norm)
    turned = scope(Rope(turned, 1, m.rope), "k_rope")
    row = scope(Join((latent, turned), 1), "latent_row")
    leaf = scope.cache("latent_cache", B, 1, mask.kept(P), m.rank + m.rope)
    return scope(Append(leaf, row), "latent_append")


def _expanded(scope: Scope, cache: Value, m: Mla) -> tuple[Value, Value]:
    """Return keys ``[B, heads, P + S, rope + nope]`` and values, expanded from the latents."""
    latents = scope(Slice(cache, 3, 0, m.rank), "latents")
    both = scope.linear(latents, "kv_b_proj", m.heads * (m.nope + m.value))
    rows = scope(Reshape(both, (B, cache.shape[2], m.heads, m.nope + m.value)), "kv_rows")
    heads = scope(Transpose(rows, (0, 2, 1, 3)), "kv_heads")
    plain = scope(Slice(heads, 3, 0, m.nope), "k_plain")
    values = scope(Slice(heads, 3, m.nope, m.value), "v")
    turned = scope(Slice(cache, 3, m.rank, m.rope), "k_turned")
    return scope(Join((turned, plain), 3), "k"), values


def _indexed(scope: Scope, x: Value, latent: Value, m: Mla) -> Value:
    """Return which keys the indexer picks: ``[B, 1, S, index_keys]`` [DeepSeek-AI 2025, eq. 1]."""
    q = scope.linear(latent, "index_q", m.index_heads * m.index_dim)
    q = scope(Rope(q, m.index_heads, m.rope), "index_q_rope")
    k = scope.norm(scope.linear(x, "index_k", m.index_dim), "index_k_norm", "layer")
    k = scope(Rope(k, 1, m.rope), "index_k_rope")
    cache = scope(Append(scope.cache("index_cache", B, 1, P, m.index_dim), k), "index_append")
    scores = scope(Scores(q, cache, m.index_heads), "index_scores")
    weights = scope.linear(x, "index_weights", m.index_heads)
    kept = scope(Activation(scores, "relu"), "index_relu")
    joined = scope(WeighHeads(kept, weights), "index_sum")
    return scope(TopK(joined, least(P + S, m.index_keys)), "index_top_k")
