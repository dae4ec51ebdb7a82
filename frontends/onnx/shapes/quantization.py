"""Quantized tensors: to and from integers, and arithmetic on them."""

from __future__ import annotations

from mansard.frontends.onnx.dims import floor_div, mul, total
from mansard.frontends.onnx.dtypes import name_of
from mansard.frontends.onnx.registry import MS, Call, rule
from mansard.frontends.onnx.values import Tensor, shaped


@rule("QuantizeLinear")
@rule("QuantizeLinear", domain=MS)
def quantize(call: Call, x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    """Round to integers of the zero point's dtype."""
    stated = call.attr("output_dtype", 0)
    dtype = name_of(stated, "its output_dtype") or (zero.dtype if zero is not None else "uint8")
    return x.like(dtype=dtype)


@rule("DequantizeLinear")
@rule("DequantizeLinear", domain=MS)
def dequantize(call: Call, x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    """Scale integers to the scale's dtype."""
    stated = call.attr("output_dtype", 0)
    return x.like(dtype=name_of(stated, "its output_dtype") or scale.dtype)


@rule("DynamicQuantizeLinear")
def dynamic(call: Call, x: Tensor) -> list[Tensor]:
    """Quantize by the range found: yields also the scale and the zero point."""
    return [x.like(dtype="uint8"), Tensor("fp32", ()), Tensor("uint8", ())]


@rule("QLinearAdd", "QLinearMul", domain=MS)
def combined(
    call: Call, a: Tensor, a_scale: Tensor, a_zero: Tensor | None, b: Tensor, *rest: Tensor | None
) -> Tensor:
    """Add or multiply two quantized tensors."""
    return a.like(call.broadcast(a, b))


@rule("QLinearSigmoid", "QLinearLeakyRelu", domain=MS)
def unary(call: Call, x: Tensor, *scales: Tensor | None) -> Tensor:
    """Keep the shape."""
    return x.like()


@rule("QLinearConcat", domain=MS)
def concat(call: Call, scale: Tensor, zero: Tensor, *parts: Tensor) -> Tensor:
    """Join quantized tensors, each followed by its scale and zero point."""
    tensors = parts[::3]
    axis = tensors[0].axis(call.need("axis", int))
    dims = list(tensors[0].dims)
    dims[axis] = total(t.dims[axis] for t in tensors)
    return shaped(zero.dtype, dims)


@rule("GatherBlockQuantized", domain=MS)
def gather(
    call: Call, data: Tensor, indices: Tensor, scales: Tensor, *rest: Tensor | None
) -> Tensor:
    """Look up rows packed in blocks and scale them; bytes may hold several elements."""
    axis, quantized = data.axis(call.attr("gather_axis", 0)), call.attr("quantize_axis", -1)
    bits = call.attr("bits", 4)
    dims = list(data.dims)
    if data.dtype == "uint8":
        where = data.axis(quantized)
        dims[where] = mul(dims[where], 8 // bits)
    return shaped(scales.dtype, (*dims[:axis], *indices.dims, *dims[axis + 1 :]))


@rule("QAttention", domain=MS)
def attention(call: Call, x: Tensor, weights: Tensor, *rest: Tensor | None) -> Tensor:
    """Project quantized rows to q, k, v and attend."""
    scale = rest[1] if len(rest) > 1 else None
    width = floor_div(weights.dims[1], 3)
    return shaped(scale.dtype if scale else "fp32", (*x.dims[:2], width))
