"""Mixtures of experts as one operator, and other fused parts of language models."""

from __future__ import annotations

from mansard.frontends.onnx.dims import floor_div
from mansard.frontends.onnx.registry import MS, Call, rule
from mansard.frontends.onnx.values import Tensor


@rule("MoE", "QMoE", domain=MS)
def experts(call: Call, x: Tensor, router: Tensor, *rest: Tensor | None) -> Tensor:
    """Send each token to its experts; it keeps its shape."""
    return x.like()


@rule("GatedRelativePositionBias", domain=MS)
def gated(call: Call, q: Tensor, *rest: Tensor | None) -> Tensor:
    """Bias every pair of positions, per head."""
    heads = call.need("num_heads", int)
    return q.like((q.dims[0], heads, q.dims[1], q.dims[1]))


@rule("BiasSplitGelu", domain=MS)
def split_gelu(call: Call, x: Tensor, bias: Tensor) -> Tensor:
    """Gate one half by the other."""
    return x.like((*x.dims[:-1], floor_div(x.dims[-1], 2)))


@rule("BiasAdd", "BiasSoftmax", domain=MS)
def kept(call: Call, x: Tensor, *rest: Tensor | None) -> Tensor:
    """Keep the shape."""
    return x.like()
