"""Llama 3.2's vision: tiles of an image through local layers, then gated ones over all of them."""

from __future__ import annotations

from mansard.frontends.hf.lower.scope import Scope
from mansard.frontends.hf.lower.stack import stacked
from mansard.frontends.hf.lower.stems import begun, with_layout
from mansard.frontends.hf.towers import Head, Patches
from mansard.ir.ops import Join, Linear
from mansard.ir.value import Value

MEMORY = "memory"
"""The output that cross-attention reads."""


def tiled(scope: Scope, head: Head) -> Value:
    """Append both stacks; return the last states beside those of ``taps``, projected."""
    local, stem = scope.arch.encoder, scope.arch.stem
    if local is None or not isinstance(stem, Patches):
        raise TypeError("tiles need a stack of local layers and a stem that cuts them")
    inner = Scope(local, scope.build)
    states = stacked(inner, begun(inner, stem)[0], frozenset(head.taps))
    x = inner.norm(states[len(local.layers)], "final_norm", local.norm)
    x = with_layout(inner, x, stem, "post_tile")
    x = stacked(scope, x)[len(scope.arch.layers)]
    wide = scope(Join((x, *(states[tap] for tap in head.taps)), 1), "features")
    path = scope.arch.names.path("project")
    w = scope.tensor(f"{path}.weight", head.width, wide.shape[-1])
    bias = scope.tensor(f"{path}.bias", head.width)
    return scope.build(Linear(wide, w, bias, name="project"), MEMORY)
