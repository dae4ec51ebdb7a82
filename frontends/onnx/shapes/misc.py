"""Operators of training, text and losses that appear in exported graphs."""

from __future__ import annotations

from mansard.frontends.onnx.registry import Call, rule
from mansard.frontends.onnx.values import Tensor, shaped


@rule("Dropout")
def dropout(call: Call, x: Tensor, *rest: Tensor | None) -> list[Tensor]:
    """Keep the shape; the second result is the mask."""
    return [x.like(), x.like(dtype="bool" if call.version >= 10 else None)]


@rule("Det")
def determinant(call: Call, x: Tensor) -> Tensor:
    """Drop the matrix axes."""
    return x.like(x.dims[:-2])


@rule("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")
def loss(call: Call, x: Tensor, target: Tensor, *rest: Tensor | None) -> list[Tensor]:
    """Yield one number, or one per target; and the log-probabilities."""
    each = call.attr("reduction", "mean") == "none"
    return [shaped(x.dtype, target.dims if each else ()), x.like()]


@rule("TfIdfVectorizer")
def counted(call: Call, x: Tensor) -> Tensor:
    """Count n-grams."""
    width = max(call.need("ngram_indexes", tuple), default=-1) + 1
    return shaped("fp32", (*x.dims[:-1], width))
