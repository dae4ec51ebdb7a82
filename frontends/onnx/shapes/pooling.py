"""Pools: windows that fold space."""

from __future__ import annotations

from mansard.frontends.onnx.dims import add, floor_div, mul, product, sub
from mansard.frontends.onnx.registry import MS, Call, rule
from mansard.frontends.onnx.shapes.convolution import slid
from mansard.frontends.onnx.values import Shape, Tensor, shaped


def _pooled(call: Call, x: Tensor) -> Shape:
    kernel = call.need("kernel_shape", tuple)
    ceil = bool(call.attr("ceil_mode", 0))
    return (*x.dims[:2], *slid(call, x.dims[2:], kernel, ceil=ceil))


@rule("AveragePool", "LpPool")
@rule("QLinearAveragePool", domain=MS)
def pool(call: Call, x: Tensor, *scales: Tensor | None) -> Tensor:
    """Fold each window."""
    return x.like(_pooled(call, x))


@rule("MaxPool")
def max_pool(call: Call, x: Tensor) -> list[Tensor]:
    """Yield each window's largest, and where it lies."""
    out = x.like(_pooled(call, x))
    return [out, out.like(dtype="int64")]


@rule("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
@rule("QLinearGlobalAveragePool", domain=MS)
def everywhere(call: Call, x: Tensor, *scales: Tensor | None) -> Tensor:
    """Fold all of space."""
    if call.attr("channels_last", 0):
        return x.like((x.dims[0], *[1] * (x.rank - 2), x.dims[-1]))
    return x.like((*x.dims[:2], *[1] * (x.rank - 2)))


@rule("MaxRoiPool")
def regions(call: Call, x: Tensor, rois: Tensor) -> Tensor:
    """Fold each region into a grid."""
    return x.like((rois.dims[0], x.dims[1], *call.need("pooled_shape", tuple)))


@rule("RoiAlign")
def aligned(call: Call, x: Tensor, rois: Tensor, batch: Tensor) -> Tensor:
    """Sample each region on a grid."""
    grid = (call.attr("output_height", 1), call.attr("output_width", 1))
    return x.like((rois.dims[0], x.dims[1], *grid))


@rule("MaxUnpool")
def unpool(call: Call, x: Tensor, where: Tensor, shape: Tensor | None = None) -> Tensor:
    """Undo a pool's shape."""
    if shape is not None:
        return x.like(shape.numbers())
    kernel = call.need("kernel_shape", tuple)
    n = len(kernel)
    strides, pads = call.attr("strides", (1,) * n), call.attr("pads", (0,) * (2 * n))
    space = (
        sub(add(mul(strides[k], sub(d, 1)), kernel[k]), pads[k] + pads[k + n])
        for k, d in enumerate(x.dims[2:])
    )
    return x.like((*x.dims[:2], *space))


@rule("Col2Im")
def folded_back(call: Call, x: Tensor, image: Tensor, block: Tensor) -> Tensor:
    """Put columns of blocks back into an image."""
    size = product(block.numbers())
    return shaped(x.dtype, (x.dims[0], floor_div(x.dims[1], size), *image.numbers()))
