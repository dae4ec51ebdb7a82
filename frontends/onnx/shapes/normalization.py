"""Norms and softmax: the shape stays; extra results are statistics and sums."""

from __future__ import annotations

from mansard.frontends.onnx.registry import MS, Call, rule
from mansard.frontends.onnx.values import Tensor, shaped


@rule(
    "Softmax", "LogSoftmax", "Hardmax", "LRN", "InstanceNormalization", "GroupNormalization",
    "LpNormalization", "MeanVarianceNormalization", "RMSNormalization",
)  # fmt: skip
@rule("QLinearSoftmax", domain=MS)
def kept(call: Call, x: Tensor, *rest: Tensor | None) -> Tensor:
    """Keep the shape."""
    return x.like()


@rule("LayerNormalization", "SimplifiedLayerNormalization")
def layer(call: Call, x: Tensor, *rest: Tensor | None) -> list[Tensor]:
    """Keep the shape; the mean and the inverse deviation have one element per row."""
    axis = x.axis(call.attr("axis", -1))
    rows = shaped("fp32", (*x.dims[:axis], *[1] * (x.rank - axis)))
    return [x.like(), rows, rows]


@rule("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", domain=MS)
def skip(call: Call, x: Tensor, skipped: Tensor, *rest: Tensor | None) -> list[Tensor]:
    """Normalize a sum; yield it as the fourth result."""
    out = x.like(call.broadcast(x, skipped)) if skipped.shape is not None else x.like()
    rows = shaped("fp32", (*x.dims[:-1], 1))
    return [out, rows, rows, out]


@rule("EmbedLayerNormalization", domain=MS)
def embed(
    call: Call,
    ids: Tensor,
    segments: Tensor | None,
    words: Tensor,
    *rest: Tensor | None,
) -> list[Tensor]:
    """Look up and normalize embeddings; the second result counts each row's tokens."""
    out = shaped(words.dtype, (*ids.dims, words.dims[1]))
    return [out, shaped("int32", (ids.dims[0],)), out]


@rule("BatchNormalization")
def batch(call: Call, x: Tensor, *rest: Tensor | None) -> list[Tensor]:
    """Keep the shape; what training yields has one element per channel."""
    channels = shaped(x.dtype, (x.dims[1] if x.rank > 1 else 1,))
    return [x.like(), *[channels] * (len(call.node.outputs) - 1)]
