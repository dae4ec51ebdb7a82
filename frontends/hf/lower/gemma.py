"""What Gemma 3n and 4 add around a layer: streams, per-layer inputs, experts beside the block."""

from __future__ import annotations

from collections.abc import Callable

from mansard.frontends.hf.architecture import NormKind
from mansard.frontends.hf.ends import AltUp
from mansard.frontends.hf.feed_forward import Moe
from mansard.frontends.hf.lower.ffn import moe
from mansard.frontends.hf.lower.scope import Scope
from mansard.ir.ops import Activation, Add, GatedActivation, Scale, Slice
from mansard.ir.ops.streams import MixStreams, SpreadStream
from mansard.ir.value import Value

Block = Callable[[Value], Value]
INPUTS = "per_layer"
"""Under which name a layer finds its own inputs among what is carried."""


def altup_layer(scope: Scope, x: Value, norm: NormKind, mix: Block, fed: Block) -> Value:
    """Append one Gemma-3n layer; ``x`` and the result are ``[T, streams·hidden]``."""
    up = _altup(scope)
    hidden = scope.arch.hidden
    active = scope(Slice(x, 1, 0, hidden), "active")
    coefs = scope.linear(_modalities(scope, active, norm, up, ""), "predict", up.streams**2)
    x = scope(MixStreams(x, coefs, up.streams), "predicted")
    active = scope(Slice(x, 1, 0, hidden), "stream")
    y = scope.norm(active, "attn_norm", norm)
    low = scope.linear(scope.linear(y, "laurel_left", up.rank), "laurel_right", hidden)
    laurel = scope(Add((y, scope.norm(low, "laurel_norm", norm))), "laurel_add")
    attended = scope.norm(mix(y), "attn_post_norm", norm)
    y = scope(Scale(scope(Add((active, attended, laurel)), "attn_add")), "laurel_scale")
    inner = scope.norm(fed(scope.norm(y, "ffn_norm", norm)), "ffn_post_norm", norm)
    y = scope(Add((y, inner)), "ffn_add")
    coefs = scope.linear(_modalities(scope, y, norm, up, "_2"), "correct", up.streams)
    change = scope(Add((y, active)), "innovation")
    x = scope(SpreadStream(x, change, coefs), "corrected")
    first = scope(Slice(x, 1, 0, hidden), "first")
    first = scope.scaled(first, "correct_scale")
    return scope(SpreadStream(x, _inputs(scope, first, norm)), "per_layer_add")


def gated_inputs(scope: Scope, x: Value, norm: NormKind) -> Value:
    """Append Gemma 4's per-layer inputs: ``x + norm(W·(act(G·x) · inputs))``."""
    return scope(Add((x, _inputs(scope, x, norm))), "per_layer_add")


def beside(scope: Scope, x: Value, dense: Value, block: Moe, norm: NormKind) -> Value:
    """Append the experts beside a dense block and return the sum of both."""
    dense = scope.norm(dense, "dense_post_norm", norm)
    y = moe(scope, scope.norm(x, "experts_norm", norm), block, routed_by=x)
    return scope(Add((dense, scope.norm(y, "experts_post_norm", norm))), "beside_add")


def _inputs(scope: Scope, x: Value, norm: NormKind) -> Value:
    own = scope.carried[INPUTS]
    gate = scope.linear(x, "per_layer_gate", int(own.shape[-1]))
    y = scope(GatedActivation(gate, own, "gelu_tanh"), "per_layer_gated")
    y = scope.linear(y, "per_layer_out", scope.arch.hidden)
    return scope.norm(y, "per_layer_post_norm", norm)


def _modalities(scope: Scope, x: Value, norm: NormKind, up: AltUp, again: str) -> Value:
    y = scope(Scale(scope.norm(x, "altup_norm", norm)), f"altup_scale{again}")
    return scope(Activation(scope.linear(y, "altup_router", up.streams), "tanh"), f"altup{again}")


def _altup(scope: Scope) -> AltUp:
    if scope.arch.altup is None:
        raise TypeError("an altup layer needs streams")
    return scope.arch.altup
