"""One layer: its mixer and its feed-forward block, with the norms and sums around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

from mansard.frontends.hf.architecture import Attention, LayerSpec, NormKind
from mansard.frontends.hf.feed_forward import ChannelMix, Dense
from mansard.frontends.hf.latent_mixers import Compressed, Mla
from mansard.frontends.hf.lower.cross import cross
from mansard.frontends.hf.lower.ffn import feed
from mansard.frontends.hf.lower.gemma import altup_layer, beside, gated_inputs
from mansard.frontends.hf.lower.scope import Scope
from mansard.frontends.hf.lower.shared import shared_block
from mansard.frontends.hf.lower.shortcut import shortcut_layer
from mansard.frontends.hf.mixers import (
    Conformer,
    Cross,
    Differential,
    GatedDelta,
    Lightning,
    Mamba1,
    Mamba2,
    Mlstm,
    RgLru,
    RoutedAttention,
    Rwkv,
    ShortConv,
    SpeechConformer,
)
from mansard.ir.ops import Activation, Add, Multiply
from mansard.ir.value import Value

LAYERS = "layers."
Block = Callable[[Value], Value]
Lowering = Callable[[Scope, Value, Any, NormKind], Value]
LOWERINGS: dict[type, str] = {
    Attention: "attention.attention",
    Mla: "mla.mla",
    Compressed: "compressed.compressed",
    Mamba1: "mamba.mamba1",
    Mamba2: "mamba.mamba2",
    GatedDelta: "delta.gated_delta",
    Lightning: "delta.lightning",
    Mlstm: "mlstm.mlstm",
    ShortConv: "recurrent.short_conv",
    RgLru: "recurrent.rg_lru",
    Rwkv: "recurrent.rwkv",
    Cross: "cross.cross",
    Differential: "differential.differential",
    RoutedAttention: "routed_attention.routed_attention",
    Conformer: "conformer.attention",
    SpeechConformer: "speech_conformer.biased",
}
"""Which function of this package lowers each kind of mixer; a model imports those it has."""


def lowering_of(mixer: type) -> Lowering:
    """Return what lowers a kind of mixer."""
    module, _, name = LOWERINGS[mixer].partition(".")
    found: Lowering = getattr(import_module(f"mansard.frontends.hf.lower.{module}"), name)
    return found


def layer(scope: Scope, x: Value, spec: LayerSpec) -> Value:
    """Append one block; ``x`` and the result are ``[T, hidden]`` (all streams side by side)."""
    norm = spec.norm

    def mix(y: Value) -> Value:
        return _scaled(scope, _mixed(y), spec, "attn_scale")

    def _mixed(y: Value) -> Value:
        mixed = lowering_of(type(spec.mixer))(_own(scope, spec), y, spec.mixer, norm)
        if spec.also is None:
            return mixed
        also = lowering_of(type(spec.also))(scope, y, spec.also, norm)
        return scope(Add((mixed, also)), "mixers_add")

    def fed(y: Value) -> Value:
        if isinstance(spec.ffn, ChannelMix):
            from mansard.frontends.hf.lower.recurrent import channel_mixing

            return channel_mixing(scope, y, spec.ffn.width)
        if spec.ffn is None:
            raise TypeError(f"a {spec.topology} layer needs a feed-forward block")
        return _scaled(scope, feed(scope, y, spec.ffn), spec, "ffn_scale")

    if spec.topology == "conformer":
        if not isinstance(spec.mixer, Conformer) or not isinstance(spec.ffn, Dense):
            raise TypeError(f"no conformer layer of {spec.mixer!r} and {spec.ffn!r}")
        from mansard.frontends.hf.lower.conformer import conformer_layer

        return conformer_layer(scope, x, spec.mixer, spec.ffn, norm)
    if spec.topology == "speech":
        if not isinstance(spec.mixer, SpeechConformer) or not isinstance(spec.ffn, Dense):
            raise TypeError(f"no conformer layer of {spec.mixer!r} and {spec.ffn!r}")
        from mansard.frontends.hf.lower.speech_conformer import speech_layer

        return speech_layer(scope, x, spec.mixer, spec.ffn, norm)
    if spec.topology == "shortcut":
        return shortcut_layer(scope, x, spec, lowering_of(type(spec.mixer)))
    if spec.topology == "hyper":
        from mansard.frontends.hf.lower.hyper import hyper_layer

        return hyper_layer(scope, x, norm, mix, fed)
    if spec.topology == "altup":
        return altup_layer(scope, x, norm, mix, fed)
    x = _around(scope, x, spec, mix, fed)
    return gated_inputs(scope, x, norm) if scope.arch.per_layer else x


def _scaled(scope: Scope, y: Value, spec: LayerSpec, role: str) -> Value:
    """Append the product with a stored vector, or with the tanh of a stored number."""
    if spec.scaled == "vector":
        return scope.scaled(y, role)
    if spec.scaled == "gate":
        gate = scope(Activation(scope.param(role, 1), "tanh"), role)
        return scope(Multiply(y, gate), f"{role}d")
    return y


def _after(scope: Scope, block: str) -> str:
    """Return the role of the one norm a block has, where that stands after it."""
    post = f"{block}_post_norm"
    return post if post in scope.arch.names.paths else f"{block}_norm"


def _own(scope: Scope, spec: LayerSpec) -> Scope:
    """Return where a layer's own tensors lie: in a module of it, beside a block that it shares."""
    if spec.shared is None:
        return scope
    return replace(scope, arch=replace(scope.arch, names=scope.arch.names.inside()))


def _around(scope: Scope, x: Value, spec: LayerSpec, mix: Block, fed: Block) -> Value:
    norm = spec.norm

    def normed(y: Value, role: str) -> Value:
        return _own(scope, spec).norm(y, role, norm)

    def add(*xs: Value, role: str) -> Value:
        return scope(Add(xs), role)

    def seen(y: Value) -> Value:
        if spec.cross is None:
            raise TypeError("no cross-attention")
        return cross(scope, y, spec.cross, norm)

    match spec.topology:
        case "pre":
            if spec.mixer is not None:
                y = x
                if spec.shared is not None:
                    y = add(x, shared_block(scope, x, spec.shared, norm), role="shared_add")
                y = normed(y, "attn_norm") if spec.attn_norm else y
                x = add(x, mix(y), role="attn_add")
            if spec.cross is not None:
                x = add(x, seen(normed(x, "cross_norm")), role="cross_add")
            if spec.ffn is not None:
                x = add(x, fed(normed(x, "ffn_norm")), role="ffn_add")
            return x
        case "post":
            x = normed(add(x, mix(x), role="attn_add"), "attn_norm")
            if spec.cross is not None:
                x = normed(add(x, seen(x), role="cross_add"), "cross_norm")
            return normed(add(x, fed(x), role="ffn_add"), "ffn_norm")
        case "branch":
            first, second = _after(scope, "attn"), _after(scope, "ffn")
            x = add(x, normed(mix(x), first), role="attn_add")
            return add(x, normed(fed(x), second), role="ffn_add")
        case "sandwich":
            inner = mix(normed(x, "attn_norm"))
            x = add(x, normed(inner, "attn_post_norm"), role="attn_add")
            inner = fed(normed(x, "ffn_norm"))
            if spec.beside is not None:
                inner = beside(scope, x, inner, spec.beside, norm)
            return add(x, normed(inner, "ffn_post_norm"), role="ffn_add")
        case "parallel":
            y = normed(x, "attn_norm")
            return add(x, mix(y), fed(y), role="add")
        case "parallel2":
            branch = mix(normed(x, "attn_norm"))
            return add(x, branch, fed(normed(x, "ffn_norm")), role="add")
    raise TypeError(f"no layer of topology {spec.topology!r}")
