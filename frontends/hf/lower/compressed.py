"""Attention over a window and over summaries of what lies before it (DeepSeek-V4)."""

from __future__ import annotations

import sympy as sp

from mansard.core.symbols import B, P, S, T, least
from mansard.frontends.hf.architecture import NormKind
from mansard.frontends.hf.latent_mixers import Compressed
from mansard.frontends.hf.lower.scope import Scope
from mansard.ir.mask import Mask
from mansard.ir.ops import (
    Activation,
    Append,
    BlockLinear,
    Join,
    Rope,
    Scores,
    Softmax,
    TopK,
    Values,
)
from mansard.ir.ops.index import KeepChosen, WeighHeads
from mansard.ir.ops.summaries import AppendSummaries, Summarize
from mansard.ir.value import Value


def compressed(scope: Scope, x: Value, m: Compressed, norm: NormKind) -> Value:
    """Append one block; ``x`` and the result are ``[T, hidden]`` [DeepSeek-AI 2026, §2.3]."""
    latent = scope.norm(scope.linear(x, "q_a_proj", m.q_rank), "q_a_norm", norm)
    q = scope.linear(latent, "q_b_proj", m.heads * m.head_dim)
    q = scope.norm(q, "q_b_norm", "rms-none", m.head_dim)
    q = scope(Rope(q, m.heads, m.rope), "q_rope")
    keys, mask = _window(scope, x, m, norm), Mask("window", sp.Integer(m.window))
    if m.stride:
        mask = _summary(m)
        far = _summaries(scope, x, m, norm, m.head_dim, "summary")
        keys = scope(Join((far, keys), 2), "keys")
    scores = scope(Scores(q, keys, m.heads, mask), "scores")
    if m.stride and m.index_heads:
        scores = scope(KeepChosen(scores, _chosen(scope, x, latent, m, norm)), "keep_chosen")
    weights = scope(Softmax(scores, scope.param("sinks", m.heads)), "softmax")
    out = scope(Values(weights, keys, (T,), mask), "values")
    out = scope(Rope(out, m.heads, m.rope), "o_rope")
    return scope.linear(_grouped(scope, out, m), "o_b_proj", scope.arch.hidden)


def _summary(m: Compressed) -> Mask:
    most = sp.Integer(m.index_keys) if m.index_heads else None
    return Mask("summary", sp.Integer(m.window), stride=sp.Integer(m.stride), most=most)


def _window(scope: Scope, x: Value, m: Compressed, norm: NormKind) -> Value:
    """Return the keys of the last tokens, which are their values, ``[B, 1, …, head_dim]``."""
    row = scope.norm(scope.linear(x, "kv_proj", m.head_dim), "kv_norm", norm, m.head_dim)
    row = scope(Rope(row, 1, m.rope), "kv_rope")
    kept = Mask("window", sp.Integer(m.window)).kept(P)
    return scope(Append(scope.cache("kv_cache", B, 1, kept, m.head_dim), row), "kv_append")


def _summaries(
    scope: Scope, x: Value, m: Compressed, norm: NormKind, width: int, what: str
) -> Value:
    """Return all summaries so far, those the step completes appended, ``[B, 1, …, width]``."""
    size, wide = sp.Integer(m.stride), width * (2 if m.overlap else 1)
    rows = scope.linear(x, f"{what}_kv", wide)
    gate = scope.linear(x, f"{what}_gate", wide)
    bias = scope.param(f"{what}_bias", m.stride, wide)
    waits = 2 * wide + (
        2 * width if m.overlap else 0
    )  # the last window's halves are read once more
    state = scope.state(f"{what}_state", B, m.stride, waits)
    made = scope(Summarize(rows, gate, bias, state, size, sp.Integer(width)), what)
    made = scope.norm(made, f"{what}_norm", norm)
    made = scope(Rope(made, 1, m.rope), f"{what}_rope")
    cache = scope.cache(f"{what}_cache", B, 1, P / size, width)
    return scope(AppendSummaries(cache, made, S / size), f"{what}_append")


def _chosen(scope: Scope, x: Value, latent: Value, m: Compressed, norm: NormKind) -> Value:
    """Return which summaries the indexer picks, ``[B, 1, S, index_keys]``."""
    keys = _summaries(scope, x, m, norm, m.index_dim, "index")
    q = scope.linear(latent, "index_q", m.index_heads * m.index_dim)
    q = scope(Rope(q, m.index_heads, m.rope), "index_q_rope")
    mask = Mask("strided", sp.Integer(m.stride))
    kept = scope(Activation(scope(Scores(q, keys, m.index_heads, mask), "index_scores"), "relu"),
                 "index_relu")  # fmt: skip
    joined = scope(WeighHeads(kept, scope.linear(x, "index_weights", m.index_heads)), "index_sum")
    return scope(TopK(joined, least((P + S) / m.stride, m.index_keys)), "index_top_k")


def _grouped(scope: Scope, out: Value, m: Compressed) -> Value:
    """Return each group of heads projected to ``rank`` features."""
    path = scope.arch.names.path("o_a_proj")
    each = m.heads * m.head_dim // m.groups
    return scope(
        BlockLinear(out, scope.tensor(f"{path}.weight", m.groups, each, m.rank)), "o_a_proj"
    )
