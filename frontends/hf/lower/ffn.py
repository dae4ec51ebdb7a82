"""Feed-forward blocks: dense, gated, and mixtures of experts."""

from __future__ import annotations

import sympy as sp

from mansard.core.symbols import T
from mansard.frontends.hf.feed_forward import Dense, Moe
from mansard.frontends.hf.lower.scope import Scope
from mansard.ir.ops import (
    Activation,
    Add,
    Combine,
    Dispatch,
    GatedActivation,
    GroupedLinear,
    Multiply,
    Slice,
    TopK,
)
from mansard.ir.ops.elementwise import ACTIVATION_FLOPS
from mansard.ir.ops.tensor import Elementwise
from mansard.ir.value import Value

LEARNED = {"xielu": ("act_alpha_p", "act_alpha_n")}
"""Activations that learn numbers of their own: the roles of those."""


def feed(scope: Scope, x: Value, block: Dense | Moe) -> Value:
    """Append a feed-forward block; ``x`` and the result are ``[T, hidden]``."""
    return moe(scope, x, block) if isinstance(block, Moe) else dense(scope, x, block)


def dense(scope: Scope, x: Value, f: Dense) -> Value:
    """Append a dense block; ``x`` and the result are ``[T, hidden]``."""
    if not f.gated:
        up = scope.linear(x, "up_proj", f.width, bias=f.up_bias)
        hidden = _activated(scope, up, f.activation)
    elif f.fused:
        both = scope.linear(x, "gate_up_proj", 2 * f.width, bias=f.up_bias)
        hidden = _gated(scope, both, f.width, f.activation)
    else:
        gate = scope.linear(x, "gate_proj", f.width, bias=f.up_bias)
        up = scope.linear(x, "up_proj", f.width, bias=f.up_bias)
        hidden = scope(GatedActivation(gate, up, f.activation), "act")
    if f.sub_norm:
        hidden = scope.norm(hidden, "ffn_sub_norm", scope.arch.norm)
    return scope.linear(hidden, "down_proj", scope.arch.hidden, bias=f.down_bias)


def _activated(scope: Scope, x: Value, fn: str) -> Value:
    """Append an activation, with the numbers it learns where it has any."""
    params = tuple(scope.param(role, 1) for role in LEARNED.get(fn, ()))
    if not params:
        return scope(Activation(x, fn), "act")
    flops = sp.Integer(ACTIVATION_FLOPS[fn])
    return scope(Elementwise((x, *params), x.shape, fn=fn, per=flops), "act")


def moe(scope: Scope, x: Value, m: Moe, routed_by: Value | None = None) -> Value:
    """Append a mixture of experts: the chosen ones, and the shared one where there is one.

    A token needs a given expert with probability ``top_k / experts``, the experts of different
    tokens being independent. ``routed_by`` is what the router reads where it is not ``x``.
    """
    routes = _routes(scope, x if routed_by is None else routed_by, m)
    inner = scope.linear(x, "latent_in", m.latent) if m.latent else x
    real = sp.Rational(m.experts, m.experts + m.zero)  # the others return their rows where they are
    rows = scope(Dispatch(inner, routes, factor=real), "dispatch")
    down = _experts(scope, rows, m, inner.shape[-1])
    routed = scope(Combine(down, routes), "combine")
    if m.latent:
        routed = scope.linear(routed, "latent_out", scope.arch.hidden)
    if m.shared_width:
        routed = scope(Add((routed, _shared(scope, x, m))), "shared_add")
    if m.out_bias:
        routed = scope(Add((routed, scope.param("moe_bias", scope.arch.hidden))), "moe_biased")
    return scope.norm(routed, "moe_norm", scope.arch.norm) if m.norm else routed


def _routes(scope: Scope, x: Value, m: Moe) -> Value:
    if m.scales:
        x = scope.norm(x, "router_norm", "rms-none")
        x = scope(Multiply(x, scope.param("router_scale", scope.arch.hidden)), "router_scale")
    logits = scope.linear(x, "router", m.experts + m.zero, bias=m.router_bias)
    if m.correction:
        shape = (*(1,) * (m.correction - 1), m.experts)
        logits = scope(Add((logits, scope.param("router_correction", *shape))), "correction")
    routes = scope(TopK(logits, m.top_k), "top_k")
    if m.scales:
        routes = scope(Multiply(routes, scope.param("expert_scale", m.experts)), "expert_scale")
    return routes


def _experts(scope: Scope, rows: Value, m: Moe, width: sp.Expr) -> Value:
    hit = sp.Rational(m.hit.numerator, m.hit.denominator)

    def grouped(x: Value, role: str, out: int | sp.Expr, label: str) -> Value:
        w = scope.param(role, m.experts, out, x.shape[-1])
        bias = scope.param(f"{role}_bias", m.experts, out) if m.expert_bias else None
        return scope(GroupedLinear(x, w, hit, T, bias), f"experts.{label}")

    if not m.gated:
        up = grouped(rows, "experts_up", m.width, "up_proj")
        acted = scope(Activation(up, m.activation), "experts.act")
    elif m.fused:
        both = grouped(rows, "experts_gate_up", 2 * m.width, "gate_up_proj")
        acted = _gated(scope, both, m.width, m.activation, "experts.")
    else:
        gate = grouped(rows, "experts_gate", m.width, "gate_proj")
        up = grouped(rows, "experts_up", m.width, "up_proj")
        acted = scope(GatedActivation(gate, up, m.activation), "experts.act")
    return grouped(acted, "experts_down", width, "down_proj")


def _shared(scope: Scope, x: Value, m: Moe) -> Value:
    width, bias = m.shared_width, m.shared_bias
    if not m.gated:
        up = scope.linear(x, "shared_up_proj", width, bias=bias)
        acted = scope(Activation(up, m.activation), "shared_act")
    elif m.shared_fused:
        both = scope.linear(x, "shared_gate_up_proj", 2 * width, bias=bias)
        acted = _gated(scope, both, width, m.activation, "shared_")
    else:
        gate = scope.linear(x, "shared_gate_proj", width, bias=bias)
        up = scope.linear(x, "shared_up_proj", width, bias=bias)
        acted = scope(GatedActivation(gate, up, m.activation), "shared_act")
    out = scope.linear(acted, "shared_down_proj", scope.arch.hidden, bias=bias)
    if not m.shared_gate:
        return out
    weight = scope(Activation(scope.linear(x, "shared_gate", 1), "sigmoid"), "shared_gate_act")
    return scope(Multiply(out, weight), "shared_scale")


def _gated(scope: Scope, both: Value, width: int, fn: str, prefix: str = "") -> Value:
    gate = scope(Slice(both, 1, 0, width), f"{prefix}gate")
    up = scope(Slice(both, 1, width, width), f"{prefix}up")
    return scope(GatedActivation(gate, up, fn), f"{prefix}act")
