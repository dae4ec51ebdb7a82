"""Convolutions: windows that slide over space, plain, quantized and transposed."""

from __future__ import annotations

from collections.abc import Sequence

from mansard.core.errors import SpecError
from mansard.frontends.onnx.dims import Dim, add, blocks, floor_div, mul, sub
from mansard.frontends.onnx.registry import MS, Call, rule
from mansard.frontends.onnx.values import Shape, Tensor, shaped


def slid(call: Call, space: Shape, kernel: Sequence[Dim], *, ceil: bool = False) -> Shape:
    """Return the places of a window along each axis: ``⌊(x + pads - reach) / stride⌋ + 1``."""
    n = len(space)
    strides, dilations = call.attr("strides", (1,) * n), call.attr("dilations", (1,) * n)
    pads = call.attr("pads", (0,) * (2 * n))
    mode = call.attr("auto_pad", "NOTSET")
    if any(step < 1 for step in (*strides, *dilations)):
        raise SpecError(f"its strides are {strides}, its dilations {dilations}; both start at 1")
    found = []
    for k, x in enumerate(space):
        reach = add(mul(dilations[k], sub(kernel[k], 1)), 1)
        if mode in ("SAME_UPPER", "SAME_LOWER"):
            found.append(blocks(x, strides[k]))
            continue
        padded = add(x, 0 if mode == "VALID" else pads[k] + pads[k + n])
        room = sub(padded, reach)
        places = add((blocks if ceil else floor_div)(room, strides[k]), 1)
        if ceil and isinstance(places, int) and isinstance(x, int):
            before = 0 if mode == "VALID" else pads[k]
            places -= int((places - 1) * strides[k] >= x + before)  # a window must start inside
        if isinstance(places, int) and places < 1:
            raise SpecError(f"its window of {reach} does not fit a side of {padded}")
        found.append(places)
    return tuple(found)


def _convolved(call: Call, x: Tensor, w: Tensor) -> Shape:
    groups, kernel = call.attr("group", 1), w.dims[2:]
    channels, held = x.dims[1], w.dims[1]
    if groups < 1:
        raise SpecError(f"it has {groups} groups")
    if isinstance(channels, int) and isinstance(held, int) and channels != held * groups:
        raise SpecError(f"its weight is for {held * groups} channels, and {channels} come")
    return (x.dims[0], w.dims[0], *slid(call, x.dims[2:], call.attr("kernel_shape", kernel)))


@rule("Conv")
@rule("FusedConv", domain=MS)
def conv(call: Call, x: Tensor, w: Tensor, *rest: Tensor | None) -> Tensor:
    """Convolve with ``w[out, in/group, *kernel]``."""
    return x.like(_convolved(call, x, w))


@rule("ConvInteger")
def conv_integer(call: Call, x: Tensor, w: Tensor, *zeros: Tensor | None) -> Tensor:
    """Convolve integers into int32."""
    return shaped("int32", _convolved(call, x, w))


@rule("QLinearConv")
def qlinear_conv(
    call: Call, x: Tensor, x_scale: Tensor, x_zero: Tensor, w: Tensor, *rest: Tensor | None
) -> Tensor:
    """Convolve quantized tensors into a quantized one."""
    zero = rest[3] if len(rest) > 3 else None
    return shaped(zero.dtype if zero else x.dtype, _convolved(call, x, w))


@rule("ConvTranspose")
def conv_transpose(call: Call, x: Tensor, w: Tensor, bias: Tensor | None = None) -> Tensor:
    """Undo a convolution's shape with ``w[in, out/group, *kernel]``."""
    space, kernel = x.dims[2:], call.attr("kernel_shape", w.dims[2:])
    n = len(space)
    strides, dilations = call.attr("strides", (1,) * n), call.attr("dilations", (1,) * n)
    more, pads = call.attr("output_padding", (0,) * n), call.attr("pads", (0,) * (2 * n))
    stated = call.attr("output_shape", ())
    same = call.attr("auto_pad", "NOTSET").startswith("SAME")
    found: list[Dim] = []
    for k, size in enumerate(space):
        if stated:
            found.append(stated[k - n])
        elif same:
            found.append(mul(size, strides[k]))
        else:
            reach = add(mul(dilations[k], sub(kernel[k], 1)), 1)
            grown = add(mul(strides[k], sub(size, 1)), add(reach, more[k]))
            found.append(sub(grown, pads[k] + pads[k + n]))
    return x.like((x.dims[0], mul(w.dims[1], call.attr("group", 1)), *found))
