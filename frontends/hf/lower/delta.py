"""Linear attention: gated delta nets (a decay a head, or a channel) and lightning attention."""

from __future__ import annotations

from mansard.core.symbols import B
from mansard.frontends.hf.architecture import NormKind
from mansard.frontends.hf.lower.mamba import convolved
from mansard.frontends.hf.lower.scope import Scope
from mansard.frontends.hf.mixers import GatedDelta, Lightning
from mansard.ir.ops import Activation, GatedActivation, Join, Multiply, Slice
from mansard.ir.ops.recurrent import GatedDelta as DeltaRule
from mansard.ir.ops.recurrent import LinearAttention
from mansard.ir.value import Value


def gated_delta(scope: Scope, x: Value, m: GatedDelta, norm: NormKind) -> Value:
    """Append one gated delta net; ``x`` and the result are ``[T, hidden]``."""
    mixed, decay, beta, gate = (_per_channel if m.per_channel else _per_head)(scope, x, m)
    mixed = convolved(scope, mixed, m.taps)
    decays = m.values if m.per_channel else m.value_heads
    shape = (1, 1, m.value_heads, 1) if m.gate_rank else (m.value_heads,)
    params = (scope.param("a_log", *shape), scope.param("dt_bias", decays))
    state = scope.state("delta_state", B, m.value_heads, m.key_dim, m.value_dim, wide=True)
    y = scope(DeltaRule(mixed, state, (decay, beta), params), "delta")
    y = scope.norm(y, "mix_norm", norm, m.value_dim)
    fn = "sigmoid" if m.per_channel else "silu"
    y = scope(GatedActivation(gate, y, fn), "delta_gated")
    return scope.linear(y, "out_proj", scope.arch.hidden)


def _per_head(scope: Scope, x: Value, m: GatedDelta) -> tuple[Value, Value, Value, Value]:
    """Return q, k and v together, decay and beta of each head, and the output gate."""
    heads, wide = m.value_heads, m.conv_width
    if m.fused:
        most = scope.linear(x, "in_proj_qkvz", wide + m.values)
        two = scope.linear(x, "in_proj_ba", 2 * heads)
        mixed, gate = (
            scope(Slice(most, 1, 0, wide), "qkv"),
            scope(Slice(most, 1, wide, m.values), "z"),
        )
        beta, decay = (
            scope(Slice(two, 1, 0, heads), "beta"),
            scope(Slice(two, 1, heads, heads), "a"),
        )
    else:
        mixed = _mixed(scope, x, m) if m.split else scope.linear(x, "in_proj_qkv", wide)
        gate = scope.linear(x, "in_proj_z", m.values)
        beta, decay = scope.linear(x, "in_proj_b", heads), scope.linear(x, "in_proj_a", heads)
    return mixed, decay, scope(Activation(beta, "sigmoid"), "beta_act"), gate


def _per_channel(scope: Scope, x: Value, m: GatedDelta) -> tuple[Value, Value, Value, Value]:
    """Return the same with a decay a channel, through ``gate_rank`` if any [Kimi Team 2025, §3]."""
    mixed = _mixed(scope, x, m)
    if m.gate_rank:
        decay = scope.linear(scope.linear(x, "decay_a", m.gate_rank), "decay_b", m.values)
        gate = scope.linear(scope.linear(x, "gate_a", m.gate_rank), "gate_b", m.values)
    else:
        decay = scope.linear(x, "decay", m.values)
        gate = scope.linear(x, "in_proj_z", m.values)
    beta = scope(Activation(scope.linear(x, "in_proj_b", m.value_heads), "sigmoid"), "beta_act")
    return mixed, decay, beta, gate


def _mixed(scope: Scope, x: Value, m: GatedDelta) -> Value:
    own = "delta_q_proj" in scope.arch.names.paths  # beside attention that has other paths
    parts = tuple((f"delta_{n}_proj" if own else f"{n}_proj", m.keys) for n in "qk")
    parts += (("delta_v_proj" if own else "v_proj", m.values),)
    return scope(Join(tuple(scope.linear(x, role, width) for role, width in parts), 1), "qkv")


def lightning(scope: Scope, x: Value, m: Lightning, norm: NormKind) -> Value:
    """Append one lightning-attention block; ``x`` and the result are ``[T, hidden]``."""
    width = m.heads * m.head_dim
    mixed = scope(Activation(scope.linear(x, "linear_qkv_proj", 3 * width), "silu"), "qkv_act")
    state = scope.state("linear_state", B, m.heads, m.head_dim, m.head_dim)
    y = scope(LinearAttention(mixed, state, chunk=m.chunk), "linear_attention")
    y = scope.norm(y, "mix_norm", norm)
    gate = scope(Activation(scope.linear(x, "out_gate", width), "sigmoid"), "out_gate_act")
    return scope.linear(scope(Multiply(y, gate), "gated"), "out_proj", scope.arch.hidden)
