"""Elementwise recurrences and short convolutions: RG-LRU, RWKV-4, LFM2's gated convolution."""

from __future__ import annotations

from mansard.core.symbols import B
from mansard.frontends.hf.architecture import NormKind
from mansard.frontends.hf.lower.scope import Scope
from mansard.frontends.hf.mixers import RgLru, Rwkv, ShortConv
from mansard.ir.ops import Activation, GatedActivation, Multiply, Slice
from mansard.ir.ops.block_linear import BlockLinear
from mansard.ir.ops.recurrent import CausalConv, GatedRecurrence, TokenShift, Wkv
from mansard.ir.value import Value


def short_conv(scope: Scope, x: Value, m: ShortConv, norm: NormKind) -> Value:
    """Append ``out(C · conv(B · x))``; ``x`` and the result are ``[T, hidden]``."""
    hidden = scope.arch.hidden
    made = scope.linear(x, "conv_in", 3 * hidden, bias=m.bias)
    b, c, y = (
        scope(Slice(made, 1, k * hidden, hidden), role)
        for k, role in enumerate(("conv_b", "conv_c", "conv_x"))
    )
    y = _filtered(scope, scope(Multiply(y, b), "conv_bx"), m.taps, bias=m.bias)
    return scope.linear(scope(Multiply(y, c), "conv_cx"), "conv_out", hidden, bias=m.bias)


def rg_lru(scope: Scope, x: Value, m: RgLru, norm: NormKind) -> Value:
    """Append one recurrent block of Griffin; ``x`` and the result are ``[T, hidden]``."""
    side = scope.linear(x, "linear_y", m.width, bias=True)
    y = scope.linear(x, "linear_x", m.width, bias=True)
    y = _filtered(scope, y, m.taps, bias=True)
    gates = tuple(
        scope(BlockLinear(y, *_block(scope, role, m)), role)
        for role in ("recurrence_gate", "input_gate")
    )
    state = scope.state("lru_state", B, m.width, wide=True)
    y = scope(GatedRecurrence(y, state, gates, (scope.param("decay", m.width),)), "lru")
    y = scope(GatedActivation(side, y, "gelu_tanh"), "lru_gated")
    return scope.linear(y, "linear_out", scope.arch.hidden, bias=True)


def rwkv(scope: Scope, x: Value, m: Rwkv, norm: NormKind) -> Value:
    """Append RWKV-4's time mixing; ``x`` and the result are ``[T, hidden]``."""
    mixed = _shifted(scope, x, "time", ("key", "value", "receptance"))
    k, v, r = (
        scope.linear(part, f"time_{role}", m.width)
        for part, role in zip(mixed, ("key", "value", "receptance"), strict=True)
    )
    r = scope(Activation(r, "sigmoid"), "time_receptance_act")
    params = (scope.param("time_decay", m.width), scope.param("time_first", m.width))
    y = scope(Wkv(k, scope.state("wkv_state", B, m.width, 3, wide=True), (v,), params), "wkv")
    return scope.linear(scope(Multiply(r, y), "wkv_gated"), "time_output", scope.arch.hidden)


def channel_mixing(scope: Scope, x: Value, width: int) -> Value:
    """Append RWKV-4's feed-forward block ``σ(r)·W·relu(k)²``; both ends are ``[T, hidden]``."""
    hidden = scope.arch.hidden
    k, r = _shifted(scope, x, "channel", ("key", "receptance"))
    k = scope(Activation(scope.linear(k, "up_proj", width), "relu2"), "act")
    v = scope.linear(k, "down_proj", hidden)
    gate = scope(Activation(scope.linear(r, "channel_receptance", hidden), "sigmoid"), "gate_act")
    return scope(Multiply(gate, v), "channel_gated")


def _shifted(scope: Scope, x: Value, block: str, roles: tuple[str, ...]) -> tuple[Value, ...]:
    hidden = scope.arch.hidden
    mixes = tuple(scope.param(f"{block}_mix_{role}", 1, 1, hidden) for role in roles)
    shift = TokenShift(x, scope.state(f"{block}_state", B, hidden), (), mixes)
    every = scope(shift, f"{block}_shift")
    return tuple(
        scope(Slice(every, 1, k * hidden, hidden), f"{block}_{role}_in")
        for k, role in enumerate(roles)
    )


def _filtered(scope: Scope, x: Value, taps: int, *, bias: bool) -> Value:
    width, path = x.shape[-1], scope.arch.names.path("conv")
    params = [scope.tensor(f"{path}.weight", width, 1, taps)]
    params += [scope.tensor(f"{path}.bias", width)] if bias else []
    state = scope.state("conv_state", B, width, taps)
    return scope(CausalConv(x, state, (), tuple(params)), "conv")


def _block(scope: Scope, role: str, m: RgLru) -> tuple[Value, Value]:
    size = m.width // m.heads
    weight = scope.param(f"{role}_weight", m.heads, size, size)
    return weight, scope.param(f"{role}_bias", m.heads, size)
