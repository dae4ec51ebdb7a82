"""Gemma 3n's conformer: half a feed-forward block, local attention, a convolution, another half."""

from __future__ import annotations

from mansard.core.symbols import B, Expr, S, T, ceil_div
from mansard.frontends.hf.architecture import NormKind
from mansard.frontends.hf.feed_forward import Dense
from mansard.frontends.hf.lower.scope import Scope
from mansard.frontends.hf.mixers import Conformer
from mansard.ir.ops import (
    Activation,
    Add,
    GatedActivation,
    Linear,
    Reshape,
    Slice,
    SoftCap,
    Softmax,
    Transpose,
)
from mansard.ir.ops.tensor import Convolution, Elementwise, MatMul, Move
from mansard.ir.value import Value


def conformer_layer(scope: Scope, x: Value, c: Conformer, f: Dense, norm: NormKind) -> Value:
    """Append one layer [Gulati 2020, §2]; ``x`` and the result are ``[T, hidden]``.

    Clamps to ±1e10, which alter nothing, are left out.
    """
    x = _half(scope, x, f, norm, "start")
    y = attention(scope, scope.norm(x, "attn_norm", norm), c, norm)
    x = scope(Add((x, scope.norm(y, "attn_post_norm", norm))), "attn_add")
    x = scope(Add((x, _filtered(scope, x, c, norm))), "conv_add")
    x = _half(scope, x, f, norm, "end")
    return scope.norm(x, "layer_norm", norm)


def attention(scope: Scope, x: Value, c: Conformer, norm: NormKind) -> Value:
    """Append attention of blocks of ``chunk`` queries to the keys around them.

    Scores are those of the keys and those of learned projections of distances, as transformers
    computes them: blocks are padded, and every query meets all keys of its block's context.
    """
    hidden, dim = scope.arch.hidden, scope.arch.hidden // c.heads
    q, k, v = (scope.linear(x, f"{name}_proj", hidden) for name in "qkv")
    q = scope(
        Elementwise((q, scope.param("query_scale", dim)), q.shape, fn="scale", per=2), "q_scale"
    )
    blocks = ceil_div(S, c.chunk)
    rows, context = c.chunk * blocks, c.chunk + c.before + c.right
    keys, values = (_around(scope, y, blocks * context, n) for y, n in ((k, "k"), (v, "v")))
    shape = (B, c.heads, rows, context)
    content = scope(MatMul((q, keys), shape, k=dim), "scores")
    spans = c.before + c.right + 1
    path = f"{scope.arch.names.path('relative_proj')}.weight"
    sines = scope.build.leaf("distances", spans, hidden, encoding=scope.encoding, role="table")
    far = scope(Linear(sines, scope.tensor(path, hidden, hidden)), "relative_proj")
    near = scope(MatMul((q, far), (B, c.heads, rows, spans), k=dim), "relative_scores")
    near = scope(Move((near,), shape, fn="shift", taken=near.numel), "relative_shift")
    weights = scope(
        Softmax(scope(SoftCap(scope(Add((content, near)), "scores_add")), "softcap")), "softmax"
    )
    y = scope(MatMul((weights, values), (B, c.heads, rows, dim), k=context), "values")
    y = scope(Reshape(scope(Transpose(y, (0, 2, 1, 3)), "heads"), (B * rows, hidden)), "padded")
    return scope.linear(_first(scope, y), "o_proj", hidden)


def _around(scope: Scope, x: Value, rows: Expr, name: str) -> Value:
    """Append a copy of the rows each block's queries meet, those of its neighbours included."""
    return scope(Move((x,), (B * rows, x.shape[-1]), fn="context"), f"{name}_context")


def _first(scope: Scope, x: Value) -> Value:
    """Append the rows of a sequence without those its last block was padded with."""
    return scope(Move((x,), (T, x.shape[-1]), fn="cut", taken=T * x.shape[-1]), "cut")


def _half(scope: Scope, x: Value, f: Dense, norm: NormKind, which: str) -> Value:
    """Append a feed-forward block of which half is added."""
    y = scope.linear(scope.norm(x, f"{which}_norm", norm), f"{which}_up", f.width)
    y = scope.linear(
        scope(Activation(y, f.activation), f"{which}_act"), f"{which}_down", scope.arch.hidden
    )
    y = scope.norm(y, f"{which}_post_norm", norm)
    return scope(Elementwise((x, y), x.shape, fn="add_half", per=2), f"{which}_add")


def _filtered(scope: Scope, x: Value, c: Conformer, norm: NormKind) -> Value:
    """Append the gated convolution: ``taps`` past tokens, each channel by itself."""
    hidden = scope.arch.hidden
    both = scope.linear(scope.norm(x, "conv_norm", norm), "conv_in", 2 * hidden)
    gate, up = (
        scope(Slice(both, 1, k * hidden, hidden), n) for k, n in ((1, "conv_gate"), (0, "conv_up"))
    )
    y = scope(GatedActivation(gate, up, "sigmoid"), "conv_glu")
    w = scope.param("conv_taps", hidden, 1, c.taps)
    y = scope(Convolution((y, w), (T, hidden)), "conv")
    y = scope(Activation(scope.norm(y, "conv_post_norm", norm), "silu"), "conv_act")
    return scope.linear(y, "conv_out", hidden)
