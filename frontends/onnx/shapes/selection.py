"""Operators whose result is as large as data decide; the size gets a name and an expectation."""

from __future__ import annotations

import sympy as sp

from mansard.frontends.onnx.dims import Dim, product
from mansard.frontends.onnx.registry import Call, rule
from mansard.frontends.onnx.values import Tensor, shaped


@rule("NonZero")
def nonzero(call: Call, x: Tensor) -> Tensor:
    """Yield where elements are not zero: ``[rank, count]``."""
    if x.value is not None and None not in x.value and all(isinstance(v, int) for v in x.value):
        count: Dim = sum(1 for v in x.value if v)
    else:
        count = call.fresh("count", _expected(call, x.size))
    return shaped("int64", (x.rank, count))


def _expected(call: Call, size: Dim) -> Dim:
    """Return how many of the elements are expected not to be zero: all, where nothing says."""
    part = call.nonzero(call.node.inputs[0])
    return size if part is None else sp.Rational(part.numerator, part.denominator) * size


@rule("Unique")
def unique(call: Call, x: Tensor) -> list[Tensor]:
    """Yield the distinct elements, or slices along an axis."""
    axis = call.attr("axis", None)
    if axis is None:
        count, dims = call.fresh("count", x.size), x.size
        found = shaped(x.dtype, (count,))
    else:
        axis = x.axis(axis)
        dims = x.dims[axis]
        count = call.fresh("count", dims)
        found = x.like((*x.dims[:axis], count, *x.dims[axis + 1 :]))
    first = shaped("int64", (count,))
    return [found, first, shaped("int64", (dims,)), first]


@rule("NonMaxSuppression")
def suppressed(call: Call, boxes: Tensor, scores: Tensor, *limits: Tensor | None) -> Tensor:
    """Yield the boxes that no better one overlaps, as (batch, class, box)."""
    limit = limits[0] if limits else None
    most: Dim | None = None
    if limit is not None and limit.value is not None and limit.value[0] is not None:
        most = product((*scores.dims[:2], limit.value[0]))
    return shaped("int64", (call.fresh("count", most), 3))


@rule("Multinomial")
def drawn(call: Call, x: Tensor) -> Tensor:
    """Draw classes, ``sample_size`` per row."""
    dtype = "int64" if call.attr("dtype", 6) == 7 else "int32"
    return shaped(dtype, (x.dims[0], call.attr("sample_size", 1)))
