"""Operators that give the same elements another shape or order."""

from __future__ import annotations

from collections.abc import Iterable

from mansard.core.errors import SpecError
from mansard.frontends.onnx.dims import Dim, equal, floor_div, mul, product
from mansard.frontends.onnx.registry import Call, rule
from mansard.frontends.onnx.shapes.arithmetic import sizes
from mansard.frontends.onnx.values import KNOWN_ELEMENTS, Tensor, shaped


@rule("Reshape")
def reshape(call: Call, x: Tensor, wanted: Tensor | None = None) -> Tensor:
    """Arrange in a shape: 0 keeps an axis, -1 is what is left."""
    if wanted is None:  # version 1
        target: tuple[Dim | None, ...] = tuple(call.need("shape", tuple))
    elif wanted.value is not None:
        target = wanted.value
    else:
        target = sizes(call, wanted)
    keeps = call.attr("allowzero", 0) == 0
    dims: list[Dim | None] = [
        (x.dims[axis] if keeps and d == 0 else d) for axis, d in enumerate(target)
    ]
    if sum(d == -1 for d in dims) > 1:
        raise SpecError(f"its shape {_list(dims)} leaves more than one axis open")
    open_axes = [axis for axis, d in enumerate(dims) if d is None or d == -1]
    for axis in open_axes[1:]:
        dims[axis] = call.fresh(axis)
    if open_axes:
        axis = open_axes[0]
        known = product(d for k, d in enumerate(dims) if k != axis and d is not None)
        dims[axis] = _left(call, x, known, axis)
    out = shaped(x.dtype, (d for d in dims if d is not None))
    if x.shape is not None and equal(x.size, out.size) is False and _are_numbers(x, out):
        raise SpecError(f"{_list(x.shape)} cannot be arranged as {_list(target)}")
    return _moved(out, x)


def _are_numbers(*tensors: Tensor) -> bool:
    return all(isinstance(t.size, int) for t in tensors)


def _list(sizes: Iterable[Dim | None]) -> str:
    return f"[{', '.join('?' if d is None else str(d) for d in sizes)}]"


def _left(call: Call, x: Tensor, known: Dim, axis: int) -> Dim:
    if x.shape is None or known == 0:
        return call.fresh(axis) if known != 0 else 0
    return floor_div(x.size, known)


def _moved(out: Tensor, x: Tensor) -> Tensor:
    """Return the result with the operand's elements, in their order."""
    if x.value is None or equal(out.size, x.size) is not True or len(x.value) > KNOWN_ELEMENTS:
        return out
    return Tensor(out.dtype, out.shape, x.value)


@rule("Flatten")
def flatten(call: Call, x: Tensor) -> Tensor:
    """Make a matrix: the axes before ``axis``, and the rest."""
    axis = call.attr("axis", 1)
    axis = axis + x.rank if axis < 0 else axis
    return _moved(shaped(x.dtype, (product(x.dims[:axis]), product(x.dims[axis:]))), x)


@rule("Squeeze")
def squeeze(call: Call, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """Drop axes of size 1."""
    given = call.ints("axes", axes)
    if given is None:
        drop = {k for k, d in enumerate(x.dims) if d == 1}
    else:
        drop = {x.axis(a) for a in given}
    return _moved(shaped(x.dtype, (d for k, d in enumerate(x.dims) if k not in drop)), x)


@rule("Unsqueeze")
def unsqueeze(call: Call, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """Insert axes of size 1."""
    given = call.ints("axes", axes)
    if given is None:
        raise SpecError("it names no axes")
    rank = x.rank + len(given)
    if any(not -rank <= a < rank for a in given):
        raise SpecError(f"axes {given} of a result of {rank} axes")
    new = {a % rank for a in given}
    if len(new) < len(given):
        raise SpecError(f"axes {given} name one twice")
    old = iter(x.dims)
    return _moved(shaped(x.dtype, [1 if k in new else next(old) for k in range(rank)]), x)


@rule("Transpose")
def transpose(call: Call, x: Tensor) -> Tensor:
    """Order the axes anew."""
    order = call.attr("perm", tuple(reversed(range(x.rank))))
    if sorted(order) != list(range(x.rank)):
        raise SpecError(f"perm {order} of {x.rank} axes")
    out = x.like(x.dims[a] for a in order)
    return out if x.value is None else out.filled(x.array.transpose(order))


@rule("SpaceToDepth", "DepthToSpace")
def blocked(call: Call, x: Tensor) -> Tensor:
    """Trade space for channels, in blocks of ``blocksize`` squared."""
    n, c, h, w = x.dims
    block = call.need("blocksize", int)
    if call.node.op == "SpaceToDepth":
        return x.like((n, mul(c, block * block), floor_div(h, block), floor_div(w, block)))
    return x.like((n, floor_div(c, block * block), mul(h, block), mul(w, block)))


@rule("ReverseSequence")
def same(call: Call, x: Tensor, *others: Tensor) -> Tensor:
    """Keep the shape."""
    return x.like()
