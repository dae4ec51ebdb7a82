"""What scales the result of attention: a linear of its own, one number a head or an element."""

from __future__ import annotations

from mansard.core.symbols import T
from mansard.frontends.hf.architecture import Attention
from mansard.frontends.hf.lower.scope import Scope
from mansard.ir.ops import Activation, Multiply, Reshape
from mansard.ir.ops.tensor import Elementwise
from mansard.ir.value import Value


def gated(scope: Scope, x: Value, out: Value, a: Attention) -> Value:
    """Append the gate that a linear of its own makes of ``x``: one a head, or one an element."""
    width = a.heads * a.value_width
    gate = scope.linear(x, "attn_gate", width if a.gate == "full" else a.heads)
    if a.gate_bias:
        bias = scope.param("attn_gate_bias", a.heads)
        gate = scope(Elementwise((gate, bias), gate.shape, fn="add"), "attn_gate_biased")
    gate = scope(Activation(gate, a.gate_activation), "attn_gate_act")
    if a.gate == "full":
        return scope(Multiply(out, gate), "attn_gated")
    return gated_by_head(scope, out, gate, a.heads, a.value_width)


def gated_by_head(scope: Scope, out: Value, gate: Value, heads: int, each: int) -> Value:
    """Append the product of each head of ``out``, ``each`` wide, with its number in ``gate``."""
    rows = scope(Reshape(out, (T * heads, each)), "attn_heads")
    by = scope(Reshape(gate, (T * heads, 1)), "attn_gate_heads")
    return scope(Reshape(scope(Multiply(rows, by), "attn_gated"), (T, heads * each)), "attn_joined")
