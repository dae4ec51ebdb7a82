"""What exporters decompose, found again: each pattern ends at one node and needs a few names."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mansard.frontends.onnx.graph import Node
from mansard.frontends.onnx.lower.index import Index
from mansard.frontends.onnx.lower.pattern_activations import bias, gate, gelu, silu
from mansard.frontends.onnx.lower.pattern_attention import attention, guarded, joined
from mansard.frontends.onnx.lower.pattern_norms import layer_norm, rms_norm, rope
from mansard.frontends.onnx.lower.registry import Raised

Matcher = Callable[[Index, Node], Iterator[tuple[Node, Raised]]]
MATCHERS: dict[str, tuple[Matcher, ...]] = {
    "MatMul": (attention,),
    "Mul": (rms_norm, layer_norm, gelu, gate, silu),
    "Div": (rms_norm, layer_norm),
    "Attention": (joined,),
    "MultiHeadAttention": (joined,),
    "Where": (guarded,),
    "Add": (rope, layer_norm, bias),
}
"""Operator a pattern ends with → what to try, the larger first."""


def patterns(index: Index) -> dict[Node, Raised]:
    """Return what was found, by the node it ends at."""
    found: dict[Node, Raised] = {}
    for node in index.graph.body.nodes:
        if node.domain not in ("", "com.microsoft"):
            continue
        for matcher in MATCHERS.get(node.op, ()):
            made = dict(matcher(index, node))
            if made:
                found.update(made)
                break
    return found
