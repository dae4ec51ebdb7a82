"""Shape rules, one module per group of operators; importing this registers them all."""

from mansard.frontends.onnx.shapes import (
    arithmetic,
    attention,
    control,
    convolution,
    elementwise,
    experts,
    indexing,
    layout,
    matmul,
    misc,
    normalization,
    optional,
    pooling,
    quantization,
    recurrent,
    reduction,
    resize,
    scatter,
    selection,
    sequence,
    signal,
    splitting,
)

__all__ = [
    "arithmetic", "attention", "control", "convolution", "elementwise", "experts", "indexing",
    "layout", "matmul", "misc", "normalization", "optional", "pooling", "quantization",
    "recurrent", "reduction", "resize", "scatter", "selection", "sequence", "signal", "splitting",
]  # fmt: skip
