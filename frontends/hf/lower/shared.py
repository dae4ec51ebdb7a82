"""A transformer block that several layers share, before their own mixer (Zamba)."""

from __future__ import annotations

from dataclasses import replace

from mansard.frontends.hf.architecture import NormKind, SharedBlock
from mansard.frontends.hf.lower.attention import attention
from mansard.frontends.hf.lower.ffn import dense
from mansard.frontends.hf.lower.scope import Scope
from mansard.ir.ops import Add, GatedActivation, Join, Slice
from mansard.ir.value import Value

EMBEDDED = "embedded"
"""Under which name a layer finds the embedding among what is carried."""


def shared_block(scope: Scope, x: Value, s: SharedBlock, norm: NormKind) -> Value:
    """Append the block and the layer's own linear; ``x`` and the result are ``[T, hidden]``."""
    common = replace(scope, weights=str(s.first))
    both = scope(Join((x, scope.carried[EMBEDDED]), 1), "beside_embedding")
    y = attention(common, common.norm(both, "shared_attn_norm", norm), s.attention, norm)
    y = common.norm(y, "shared_ffn_norm", norm)
    if not s.ffn.fused:
        return scope.linear(dense(common, y, s.ffn), "shared_out", scope.arch.hidden)
    up = common.linear(y, "gate_up_proj", 2 * s.ffn.width, bias=s.ffn.up_bias)
    if s.rank:
        low = scope.linear(y, "adapter_in", s.rank)
        up = scope(Add((up, scope.linear(low, "adapter_out", 2 * s.ffn.width))), "adapter_add")
    gate = scope(Slice(up, 1, 0, s.ffn.width), "gate")
    rest = scope(Slice(up, 1, s.ffn.width, s.ffn.width), "up")
    y = scope(GatedActivation(gate, rest, s.ffn.activation), "act")
    y = common.linear(y, "down_proj", scope.arch.hidden, bias=s.ffn.down_bias)
    return scope.linear(y, "shared_out", scope.arch.hidden)
