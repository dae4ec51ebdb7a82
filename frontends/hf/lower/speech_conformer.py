"""Phi-4-multimodal's conformer: gated halves, attention to all with biases, a separable filter."""

from __future__ import annotations

from mansard.core.symbols import T
from mansard.frontends.hf.architecture import Attention, NormKind
from mansard.frontends.hf.feed_forward import Dense
from mansard.frontends.hf.lower.attention import attention
from mansard.frontends.hf.lower.scope import Scope
from mansard.frontends.hf.mixers import SpeechConformer
from mansard.ir.ops import Activation, Add, GatedActivation, Linear, Reshape, Slice
from mansard.ir.ops.tensor import Convolution, Elementwise
from mansard.ir.value import Value


def speech_layer(scope: Scope, x: Value, c: SpeechConformer, f: Dense, norm: NormKind) -> Value:
    """Append one layer [Gulati 2020, §2]; ``x`` and the result are ``[T, hidden]``.

    transformers computes two more rows of each filter than it keeps; they are left out.
    """
    x = _half(scope, x, f, norm, "start")
    y = biased(scope, scope.norm(x, "attn_norm", norm), c, norm)
    x = scope(Add((x, y)), "attn_add")
    x = scope(Add((x, _filtered(scope, scope.norm(x, "conv_norm", norm), c, f))), "conv_add")
    x = _half(scope, x, f, norm, "end")
    return scope.norm(x, "layer_norm", norm)


def biased(scope: Scope, x: Value, c: SpeechConformer, norm: NormKind) -> Value:
    """Append attention of all tokens to all, with a learned number a distance and head."""
    dim = scope.arch.hidden // c.heads
    own = Attention(
        c.heads, c.heads, dim, q_bias=True, k_bias=True, v_bias=True, o_bias=True,
        causal=False, cached=False, buckets=c.buckets,
    )  # fmt: skip
    return attention(scope, x, own, norm)


def _half(scope: Scope, x: Value, f: Dense, norm: NormKind, which: str) -> Value:
    """Append a gated feed-forward block of which half is added."""
    y = scope.norm(x, f"{which}_norm", norm)
    both = scope.linear(y, f"{which}_up", 2 * f.width, bias=True)
    up, gate = (scope(Slice(both, 1, k * f.width, f.width), f"{which}_{k}") for k in (0, 1))
    y = scope(GatedActivation(gate, up, f.activation), f"{which}_act")
    y = scope.linear(y, f"{which}_down", scope.arch.hidden, bias=True)
    return scope(Elementwise((x, y), x.shape, fn="add_half", per=2), f"{which}_add")


def _filtered(scope: Scope, x: Value, c: SpeechConformer, f: Dense) -> Value:
    """Append a gated linear, ``taps`` past tokens of each channel, and two linears."""
    hidden = scope.arch.hidden
    both = _mixed(scope, x, "conv_in", 2 * hidden)
    halves = []
    for k, role in enumerate(("conv_up_bias", "conv_gate_bias")):
        part = scope(Slice(both, 1, k * hidden, hidden), f"{role}_part")
        bias = scope.param(role, 1, hidden, 1)
        halves.append(scope(Elementwise((part, bias), part.shape, fn="add"), role))
    y = scope(GatedActivation(halves[1], halves[0], "silu"), "conv_glu")
    path = scope.arch.names.path("conv_taps")
    w, b = scope.tensor(f"{path}.weight", hidden, 1, c.taps), scope.tensor(f"{path}.bias", hidden)
    y = scope(Convolution((y, w, b), (T, hidden)), "conv")
    y = _mixed(scope, y, "conv_point", hidden)
    return _mixed(scope, scope(Activation(y, "silu"), "conv_act"), "conv_out", hidden)


def _mixed(scope: Scope, x: Value, role: str, out: int) -> Value:
    """Append a convolution of one tap, which is a linear; its weight has a third axis."""
    path, width = scope.arch.names.path(role), x.shape[-1]
    w = scope(Reshape(scope.tensor(f"{path}.weight", out, width, 1), (out, width)), f"{role}_flat")
    return scope(Linear(x, w, scope.tensor(f"{path}.bias", out)), role)
