"""xLSTM's mixer: linear attention, its memory written and forgotten through exponential gates."""

from __future__ import annotations

import sympy as sp

from mansard.core.symbols import B
from mansard.frontends.hf.architecture import NormKind
from mansard.frontends.hf.lower.scope import Scope
from mansard.frontends.hf.mixers import Mlstm
from mansard.ir.ops import GatedActivation, Join, SoftCap
from mansard.ir.ops.recurrent import StateSpaceDual
from mansard.ir.value import Value


def mlstm(scope: Scope, x: Value, m: Mlstm, norm: NormKind) -> Value:
    """Append ``C = f·C + i·v kᵀ``, ``o · norm(C·q / max(|n·q|, 1))`` [Beck 2024, eq. 19-27].

    A state-space dual with keys and queries a head; the normalizer ``n`` is one row more of the
    memory, since it is the memory of a value that is 1.
    """
    keys, values = m.heads * m.key_dim, m.heads * m.value_dim
    q, k = (scope.linear(x, f"{name}_proj", keys, bias=m.bias) for name in "qk")
    v = scope.linear(x, "v_proj", values, bias=m.bias)
    side = scope.linear(x, "out_gate", values, bias=m.bias)
    gates = tuple(
        scope(SoftCap(scope.linear(x, f"{name}_gate", m.heads, bias=True)), f"{name}_gate_cap")
        for name in ("input", "forget")
    )
    state = scope.state("memory_state", B, m.heads, m.value_dim + 1, m.key_dim, wide=True)
    inputs = (scope(Join((k, q), 1), "kq"), *gates)
    groups, chunk = sp.Integer(m.heads), sp.Integer(m.chunk)
    y = scope(StateSpaceDual(v, state, inputs, (), groups, chunk), "memory")
    y = scope.norm(y, "mix_norm", "none", m.value_dim)
    y = scope.scaled(y, "mix_scale")
    y = scope(GatedActivation(side, y, "sigmoid"), "memory_gated")
    return scope.linear(y, "out_proj", scope.arch.hidden, bias=m.bias)
