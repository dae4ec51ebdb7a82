"""State-space mixers, Mamba-1 and Mamba-2: a short convolution, a scan, an output gate."""

from __future__ import annotations

from mansard.core.symbols import B
from mansard.frontends.hf.architecture import NormKind
from mansard.frontends.hf.lower.scope import Scope
from mansard.frontends.hf.mixers import Mamba1, Mamba2
from mansard.ir.ops import Activation, GatedActivation, Join, Slice
from mansard.ir.ops.block_linear import BlockLinear
from mansard.ir.ops.recurrent import CausalConv, SelectiveScan, StateSpaceDual
from mansard.ir.value import Value


def convolved(scope: Scope, x: Value, taps: int, *, bias: bool = False) -> Value:
    """Append a short convolution over all channels of ``x`` and its activation."""
    width = x.shape[-1]
    params = [scope.tensor(f"{scope.arch.names.path('conv')}.weight", width, 1, taps)]
    if bias:
        params.append(scope.tensor(f"{scope.arch.names.path('conv')}.bias", width))
    state = scope.state("conv_state", B, width, taps)
    y = scope(CausalConv(x, state, (), tuple(params)), "conv")
    return scope(Activation(y, "silu"), "conv_act")


def mamba1(scope: Scope, x: Value, m: Mamba1, norm: NormKind) -> Value:
    """Append one Mamba-1 mixer; ``x`` and the result are ``[T, hidden]``."""
    both = scope.linear(x, "in_proj", 2 * m.inner, bias=m.bias)
    y = convolved(scope, scope(Slice(both, 1, 0, m.inner), "ssm_x"), m.taps, bias=m.conv_bias)
    gate = scope(Slice(both, 1, m.inner, m.inner), "ssm_gate")
    if m.heads > 1:
        return _by_block(scope, y, gate, m)
    made = scope.linear(y, "x_proj", m.rank + 2 * m.state)
    step = scope(Slice(made, 1, 0, m.rank), "ssm_dt")
    if m.norms:
        b = scope.norm(scope(Slice(made, 1, m.rank, m.state), "ssm_b"), "b_norm", norm)
        c = scope(Slice(made, 1, m.rank + m.state, m.state), "ssm_c")
        step, c = scope.norm(step, "dt_norm", norm), scope.norm(c, "c_norm", norm)
        mixing = scope(Join((b, c), 1), "ssm_bc")
    else:
        mixing = scope(Slice(made, 1, m.rank, 2 * m.state), "ssm_bc")
    step = scope.linear(step, "dt_proj", m.inner, bias=True)
    params = (scope.param("a_log", m.inner, m.state), scope.param("skip", m.inner))
    return _scanned(scope, y, gate, (step, mixing), params, m)


def _by_block(scope: Scope, y: Value, gate: Value, m: Mamba1) -> Value:
    """Append the rest of a mixer whose blocks of channels make a time step, B and C each."""
    each = m.inner // m.heads
    x_proj = scope.param("x_proj", m.heads, each, m.rank + 2 * m.state)
    dt_proj = scope.param("dt_proj", m.heads, m.rank, each)
    made = scope(BlockLinear(y, x_proj), "x_proj")
    step = scope(Slice(made, 1, 0, m.heads * m.rank), "ssm_dt")
    mixing = scope(Slice(made, 1, m.heads * m.rank, 2 * m.heads * m.state), "ssm_bc")
    step = scope(BlockLinear(step, dt_proj, scope.param("dt_bias", m.heads, each)), "dt_proj")
    params = (scope.param("a_log", m.heads, each, m.state), scope.param("skip", m.heads, each))
    return _scanned(scope, y, gate, (step, mixing), params, m)


def _scanned(
    scope: Scope,
    y: Value,
    gate: Value,
    inputs: tuple[Value, Value],
    params: tuple[Value, Value],
    m: Mamba1,
) -> Value:
    state = scope.state("ssm_state", B, m.inner, m.state, wide=True)
    y = scope(SelectiveScan(y, state, inputs, params), "scan")
    y = scope(GatedActivation(gate, y, "silu"), "ssm_gated")
    return scope.linear(y, "out_proj", scope.arch.hidden, bias=m.bias)


def mamba2(scope: Scope, x: Value, m: Mamba2, norm: NormKind) -> Value:
    """Append one Mamba-2 mixer; ``x`` and the result are ``[T, hidden]``."""
    made = scope.linear(x, "in_proj", m.inner + m.conv_width + m.heads, bias=m.bias)
    gate = scope(Slice(made, 1, 0, m.inner), "ssm_gate")
    mixed = scope(Slice(made, 1, m.inner, m.conv_width), "ssm_xbc")
    step = scope(Slice(made, 1, m.inner + m.conv_width, m.heads), "ssm_dt")
    mixed = convolved(scope, mixed, m.taps, bias=m.conv_bias)
    y = scope(Slice(mixed, 1, 0, m.inner), "ssm_x")
    rest = scope(Slice(mixed, 1, m.inner, m.conv_width - m.inner), "ssm_bc")
    params = tuple(scope.param(role, m.heads) for role in ("a_log", "skip", "dt_bias"))
    state = scope.state("ssm_state", B, m.heads, m.head_dim, m.state, wide=True)
    y = scope(StateSpaceDual(y, state, (rest, step), params, m.groups, m.chunk), "scan")
    y = scope(GatedActivation(gate, y, "silu"), "ssm_gated")
    if m.norm:
        y = scope.norm(y, "mix_norm", norm)
    return scope.linear(y, "out_proj", scope.arch.hidden, bias=m.bias)
