"""Operators that cut and join along an axis: Concat, Split, Slice, Pad."""

from __future__ import annotations

import numpy as np

from mansard.core.errors import SpecError
from mansard.frontends.onnx.dims import (
    Dim,
    Unresolved,
    add,
    blocks,
    mul,
    never_below,
    smaller,
    sub,
    total,
)
from mansard.frontends.onnx.registry import Call, rule
from mansard.frontends.onnx.values import KNOWN_ELEMENTS, Scalar, Tensor

_FAR = 2**31 - 1
"""Exporters write "to the end" as the largest int32 or more."""


@rule("Concat")
def concat(call: Call, *parts: Tensor) -> Tensor:
    """Join along an axis; the other axes are one quantity."""
    known = [p for p in parts if p.shape is not None]
    first = known[0] if known else parts[0]
    axis = first.axis(call.attr("axis", 1 if call.version < 4 else 0))
    dims = list(first.dims)
    for part in known[1:]:
        for k, d in enumerate(part.dims):
            if k != axis:
                dims[k] = call.same(dims[k], d)
    if len(known) < len(parts):
        dims[axis] = call.fresh(axis)
        return first.like(dims)
    dims[axis] = total(p.dims[axis] for p in parts)
    out = first.like(dims)
    return out.filled(_joined(parts, axis, out.size))


def _joined(parts: tuple[Tensor, ...], axis: int, size: Dim) -> object:
    if not isinstance(size, int) or size > KNOWN_ELEMENTS or all(p.value is None for p in parts):
        return None
    arrays = [
        np.full([int(d) for d in p.dims], None) if p.value is None else p.array for p in parts
    ]
    return np.concatenate(arrays, axis)


@rule("Split")
def split(call: Call, x: Tensor, sizes: Tensor | None = None) -> list[Tensor]:
    """Cut along an axis into the sizes given, else evenly."""
    axis, count = x.axis(call.attr("axis", 0)), len(call.node.outputs)
    pieces: list[Dim]
    if sizes is not None and sizes.value is None:
        pieces = [call.fresh(k) for k in range(count)]
    elif sizes is not None or "split" in call.node.attributes:
        given: tuple[Scalar, ...] = sizes.value or () if sizes else call.need("split", tuple)
        pieces = [call.fresh(k) if d is None else d for k, d in enumerate(given)]
    else:
        each = blocks(x.dims[axis], call.attr("num_outputs", count))
        pieces = [each] * (count - 1)
        pieces.append(sub(x.dims[axis], mul(each, count - 1)))
    outs = [x.like((*x.dims[:axis], d, *x.dims[axis + 1 :])) for d in pieces]
    if x.value is None or not all(isinstance(d, int) for d in pieces):
        return outs
    arrays = np.split(x.array, np.cumsum([int(d) for d in pieces])[:-1].tolist(), axis)
    return [o.filled(a) for o, a in zip(outs, arrays, strict=True)]


@rule("Slice")
def slice_(
    call: Call,
    x: Tensor,
    starts: Tensor | None = None,
    ends: Tensor | None = None,
    axes: Tensor | None = None,
    steps: Tensor | None = None,
) -> Tensor:
    """Take a range of each axis named."""
    first = _scalars(call, "starts", starts)
    last = _scalars(call, "ends", ends)
    count = len(first)
    where = call.ints("axes", axes) or tuple(range(count))
    stride = steps.integers() if steps is not None else (1,) * count
    dims, cuts = list(x.dims), [slice(None)] * x.rank
    for axis, begin, end, step in zip(where, first, last, stride, strict=True):
        axis = x.axis(axis)
        dims[axis] = _length(call, x.dims[axis], begin, end, step, axis)
        cuts[axis] = slice(begin, end, step)
    out = x.like(dims)
    exact = all(isinstance(v, int) for v in (*first, *last))
    return out.filled(x.array[tuple(cuts)]) if x.value is not None and exact else out


def _scalars(call: Call, name: str, given: Tensor | None) -> tuple[Scalar, ...]:
    if given is None:
        return tuple(call.need(name, tuple))
    if given.value is not None:
        return given.value
    count = given.dims[0] if given.rank else 1
    if not isinstance(count, int) or count > KNOWN_ELEMENTS:
        raise Unresolved("the number of slices is not known")
    return (None,) * count


def _length(call: Call, dim: Dim, begin: Scalar, end: Scalar, step: int, axis: int) -> Dim:
    if begin is None or end is None:
        return call.fresh(axis)
    if step == 0:
        raise SpecError("a slice of step 0")
    if step < 0:
        return _backwards(call, dim, begin, end, -step, axis)
    start, stop = position(dim, begin), position(dim, end)
    if never_below(stop, start):
        return blocks(sub(stop, start), step)
    return blocks(sub(stop, smaller(start, stop)), step)


def _backwards(call: Call, dim: Dim, begin: Scalar, end: Scalar, step: int, axis: int) -> Dim:
    """Count from ``begin`` down to above ``end``."""
    begin = dim if isinstance(begin, int) and begin >= _FAR else begin
    top = begin if begin is not None and never_below(begin, 0) else add(begin or 0, dim)
    top = smaller(top, sub(dim, 1))
    if isinstance(end, int) and end <= -_FAR:
        bottom: Dim = -1
    else:
        bottom = position(dim, end if end is not None else 0)
        if isinstance(dim, int) and isinstance(end, int) and end + dim < 0:
            bottom = -1
    width = sub(top, bottom)
    if isinstance(width, int):
        return max(0, -(-width // step))
    return blocks(width, step)


def position(dim: Dim, at: Dim) -> Dim:
    """Return where an index into an axis points, negative ones counted from its end."""
    if isinstance(at, int) and at >= _FAR:
        return dim
    if isinstance(at, int) and at <= -_FAR:
        return 0
    if never_below(at, 0):
        return smaller(at, dim)
    if never_below(-1, at):
        found = add(dim, at)
        return found if never_below(found, 0) else sub(dim, smaller(dim, mul(-1, at)))
    return smaller(at, dim)


@rule("Pad")
def pad(
    call: Call,
    x: Tensor,
    pads: Tensor | None = None,
    value: Tensor | None = None,
    axes: Tensor | None = None,
) -> Tensor:
    """Add elements before and after each axis."""
    given = call.attr("pads", call.attr("paddings", ())) if pads is None else pads.value
    where = [x.axis(a) for a in axes.integers()] if axes is not None else list(range(x.rank))
    if given is None:
        given = (None,) * (2 * len(where))
    dims = list(x.dims)
    for k, axis in enumerate(where):
        before, after = given[k], given[k + len(where)]
        unknown = before is None or after is None
        dims[axis] = call.fresh(axis) if unknown else add(dims[axis], add(before or 0, after or 0))
    return x.like(dims)
