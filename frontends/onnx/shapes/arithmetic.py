"""Operators whose results are sizes, or whose sizes are values: Shape, Range, Expand."""

from __future__ import annotations

import numpy as np

from mansard.core.errors import SpecError
from mansard.frontends.onnx.dims import (
    Dim,
    Unresolved,
    add,
    blocks,
    floor,
    larger,
    mul,
    never_below,
    product,
    quotient,
    smaller,
    sub,
)
from mansard.frontends.onnx.dtypes import FLOATS, name_of
from mansard.frontends.onnx.graph import Weight
from mansard.frontends.onnx.registry import Call, rule
from mansard.frontends.onnx.tensors import exact
from mansard.frontends.onnx.values import (
    KNOWN_ELEMENTS,
    MAX_RANK,
    Scalar,
    Tensor,
    listed,
    shaped,
)


def sizes(call: Call, tensor: Tensor) -> tuple[Dim, ...]:
    """Return the sizes a shape operand states; those data decide get a name.

    Raises:
        Unresolved: not even how many there are is known.
    """
    if tensor.value is not None:
        return tuple(
            call.fresh(axis) if v is None or v == -1 else v for axis, v in enumerate(tensor.value)
        )
    count = tensor.dims[0]
    if not isinstance(count, int) or count > MAX_RANK:
        raise Unresolved("the number of axes is not known")
    return tuple(call.fresh(axis) for axis in range(count))


@rule("Constant")
def constant(call: Call) -> Tensor:
    """Yield the tensor the node carries."""
    for name, value in call.node.attributes.items():
        match name, value:
            case (("value" | "sparse_value"), Weight()):
                return value.type
            case "value_int", int():
                return Tensor("int64", (), (value,))
            case "value_float", float():
                return Tensor("fp32", (), (exact(value),))
            case "value_ints", tuple():
                return listed(value)
            case "value_floats", tuple():
                kept = len(value) <= 8
                out = Tensor("fp32", (len(value),))
                return listed(map(exact, value), "fp32") if kept else out
            case "value_string", bytes():
                return Tensor("string", ())
            case "value_strings", tuple():
                return Tensor("string", (len(value),))
    raise SpecError("a constant without a value")


@rule("Shape")
def shape(call: Call, x: Tensor) -> Tensor:
    """Yield the sizes of the axes from ``start`` to ``end``."""
    end = call.attr("end", x.rank)
    return listed(x.dims[slice(call.attr("start", 0), end)])


@rule("Size")
def size(call: Call, x: Tensor) -> Tensor:
    """Yield the number of elements."""
    return Tensor("int64", (), (x.size,))


@rule("ConstantOfShape")
def constant_of_shape(call: Call, dims: Tensor) -> Tensor:
    """Fill a shape with one value."""
    given = call.attr("value", None)
    weight = given if isinstance(given, Weight) else None
    found = shaped(weight.dtype if weight else "fp32", sizes(call, dims))
    element: Scalar = (weight.value or (None,))[0] if weight else 0
    count = found.size
    if not isinstance(element, int) or not isinstance(count, int) or count > KNOWN_ELEMENTS:
        return found
    return Tensor(found.dtype, found.shape, (element,) * count)


@rule("Range")
def numbers(call: Call, start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    """Count from ``start`` up to ``limit`` in steps: ``⌈(limit - start) / delta⌉`` numbers."""
    try:
        (first,), (last,), (step,) = start.numbers(), limit.numbers(), delta.numbers()
    except Unresolved:
        return shaped(start.dtype, (call.fresh(),))
    if step == 0:
        raise SpecError("a range of step 0")
    if never_below(0, step):
        first, last, step = last, first, mul(-1, step)
    width = sub(last, first)
    if start.dtype in FLOATS:
        return shaped(start.dtype, (_steps(call, quotient(width, step)),))
    if isinstance(width, int) and isinstance(step, int):
        count: Dim = max(0, -(-width // step))
    elif never_below(width, 0):
        count = blocks(width, step)
    elif never_below(0, width):
        count = 0
    else:
        count = blocks(sub(last, smaller(first, last)), step)
    out = shaped(start.dtype, (count,))
    if not isinstance(count, int) or count > KNOWN_ELEMENTS:
        return out
    begin, stride = start.numbers()[0], delta.numbers()[0]
    return listed((add(begin, mul(k, stride)) for k in range(count)), start.dtype)


def _steps(call: Call, ratio: Dim | None) -> Dim:
    """Return the steps a quotient of floats rounds up to."""
    return call.fresh() if ratio is None else larger(mul(-1, floor(mul(-1, ratio))), 0)


@rule("Expand")
def expand(call: Call, x: Tensor, dims: Tensor) -> Tensor:
    """Broadcast to a shape."""
    wanted = Tensor(x.dtype, sizes(call, dims))
    out = shaped(x.dtype, call.broadcast(x, wanted))
    return _repeated(out, x)


@rule("Tile")
def tile(call: Call, x: Tensor, repeats: Tensor, axis: Tensor | None = None) -> Tensor:
    """Repeat along each axis."""
    times = sizes(call, repeats)
    if axis is not None:  # version 1: how often, and where
        (where,), old = axis.integers(), list(x.dims)
        old[where] = mul(old[where], times[0])
        return x.like(old)
    out = x.like(mul(d, t) for d, t in zip(x.dims, times, strict=True))
    if x.value is None or not all(isinstance(t, int) for t in times):
        return out
    if not isinstance(out.size, int) or out.size > KNOWN_ELEMENTS:
        return out
    return out.filled(np.tile(x.array, [int(t) for t in times]))


def _repeated(out: Tensor, x: Tensor) -> Tensor:
    if x.value is None or not all(isinstance(d, int) for d in out.dims):
        return out
    if product(out.dims) > KNOWN_ELEMENTS:
        return out
    return out.filled(np.broadcast_to(x.array, [int(d) for d in out.dims]).copy())


@rule("EyeLike", "Trilu", "RandomNormalLike", "RandomUniformLike", "Bernoulli")
def alike(call: Call, x: Tensor, k: Tensor | None = None) -> Tensor:
    """Make a tensor of the operand's shape."""
    code = call.attr("dtype", 0)
    return x.like(dtype=name_of(code, "its attribute 'dtype'") if code else None)


@rule("RandomNormal", "RandomUniform")
def random(call: Call) -> Tensor:
    """Make a tensor of a stated shape."""
    dtype = name_of(call.attr("dtype", 1), "its attribute 'dtype'")
    return shaped(dtype, call.need("shape", tuple))
