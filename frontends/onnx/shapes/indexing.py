"""Operators that pick elements by index."""

from __future__ import annotations

import numpy as np

from mansard.core.errors import SpecError
from mansard.frontends.onnx.registry import Call, rule
from mansard.frontends.onnx.values import KNOWN_ELEMENTS, Shape, Tensor, shaped


@rule("Gather")
def gather(call: Call, data: Tensor, indices: Tensor) -> Tensor:
    """Pick along one axis."""
    axis = data.axis(call.attr("axis", 0))
    out = shaped(data.dtype, (*data.dims[:axis], *indices.dims, *data.dims[axis + 1 :]))
    known = data.value is not None and indices.value is not None
    if not known or not all(isinstance(i, int) for i in indices.value or ()):
        return out
    if not isinstance(out.size, int) or out.size > KNOWN_ELEMENTS:
        return out
    return out.filled(np.take(data.array, indices.array.astype(int), axis))


@rule("GatherElements")
def gather_elements(call: Call, data: Tensor, indices: Tensor) -> Tensor:
    """Pick one element per index."""
    return data.like(indices.dims)


@rule("GatherND")
def gather_nd(call: Call, data: Tensor, indices: Tensor) -> Tensor:
    """Pick the part each row of indices points at."""
    width, batch = indices.dims[-1], call.attr("batch_dims", 0)
    if not isinstance(width, int):
        (width,) = Tensor(value=(width,)).integers()
    if batch + width > data.rank:
        raise SpecError(f"indices of {width} axes into {data.rank - batch}")
    rest: Shape = data.dims[batch + width :]
    return data.like((*indices.dims[:-1], *rest))


@rule("Compress")
def compress(call: Call, x: Tensor, condition: Tensor) -> Tensor:
    """Keep what a condition says; how much, data decide."""
    axis = call.attr("axis", None)
    kept = call.fresh("kept")
    if axis is None:
        return shaped(x.dtype, (kept,))
    axis = x.axis(axis)
    return x.like((*x.dims[:axis], kept, *x.dims[axis + 1 :]))


@rule("OneHot")
def one_hot(call: Call, indices: Tensor, depth: Tensor, values: Tensor) -> Tensor:
    """Write each index as a row with one element set."""
    axis = call.attr("axis", -1)
    rank = indices.rank + 1
    axis = axis % rank if -rank <= axis < rank else rank
    count = depth.value[0] if depth.value else None
    size = call.fresh("depth") if count is None else count
    return shaped(values.dtype, (*indices.dims[:axis], size, *indices.dims[axis:]))
