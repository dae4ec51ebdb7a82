"""Sequences of tensors."""

from __future__ import annotations

from dataclasses import replace

from mansard.frontends.onnx.dims import Unresolved, add, blocks, total
from mansard.frontends.onnx.dtypes import name_of
from mansard.frontends.onnx.registry import Call, rule
from mansard.frontends.onnx.shapes.control import joined
from mansard.frontends.onnx.values import Sequence, Tensor

MOST_ITEMS = 1024
"""Elements of a sequence that are followed one by one."""


def _of(call: Call, items: tuple[Tensor, ...]) -> Sequence:
    element = items[0] if items else Tensor()
    for item in items[1:]:
        if item != element:
            found = joined(call, 0, element, item)
            element = found if isinstance(found, Tensor) else Tensor()
    return Sequence(element, len(items), items if len(items) <= MOST_ITEMS else None)


@rule("SequenceEmpty")
def empty(call: Call) -> Sequence:
    """Make a sequence of nothing."""
    dtype = name_of(call.attr("dtype", 1), "its attribute 'dtype'")
    return Sequence(Tensor(dtype), 0, ())


@rule("SequenceConstruct")
def construct(call: Call, *items: Tensor) -> Sequence:
    """Make a sequence of tensors."""
    return _of(call, items)


@rule("SequenceInsert")
def insert(call: Call, into: Sequence, item: Tensor, at: Tensor | None = None) -> Sequence:
    """Add an element."""
    if into.items is not None and (at is None or at.value is not None):
        where = len(into.items) if at is None else at.integers()[0]
        return _of(call, (*into.items[:where], item, *into.items[where:]))
    length = None if into.length is None else add(into.length, 1)
    unseen = into.element.shape is None and into.length in (0, None)
    found = item if unseen else joined(call, 0, into.element, item)
    return Sequence(found if isinstance(found, Tensor) else item, length)


@rule("SequenceErase")
def erase(call: Call, of: Sequence, at: Tensor | None = None) -> Sequence:
    """Drop an element."""
    if of.items is not None and (at is None or at.value is not None):
        items = list(of.items)
        items.pop(-1 if at is None else at.integers()[0])
        return _of(call, tuple(items))
    return replace(of, length=None if of.length is None else add(of.length, -1), items=None)


@rule("SequenceAt")
def at(call: Call, of: Sequence, where: Tensor) -> Tensor:
    """Take an element."""
    if of.items is not None and where.value is not None and isinstance(where.value[0], int):
        return of.items[where.value[0]]
    return of.element


@rule("SequenceLength")
def length(call: Call, of: Sequence) -> Tensor:
    """Yield how many there are."""
    return Tensor("int64", (), None if of.length is None else (of.length,))


@rule("SplitToSequence")
def split(call: Call, x: Tensor, sizes: Tensor | None = None) -> Sequence:
    """Cut a tensor along an axis."""
    axis = x.axis(call.attr("axis", 0))
    before, after = x.dims[:axis], x.dims[axis + 1 :]
    if sizes is None:
        kept = (1,) if call.attr("keepdims", 1) else ()
        return Sequence(x.like((*before, *kept, *after)), x.dims[axis])
    if sizes.rank == 1 and sizes.value is not None:
        return _of(call, tuple(x.like((*before, d, *after)) for d in sizes.numbers()))
    if sizes.rank == 0 and sizes.value is not None:
        (each,) = sizes.numbers()
        count = blocks(x.dims[axis], each)
        whole = isinstance(count, int) and x.dims[axis] == count * each
        size = each if whole else call.fresh(axis, each)
        return Sequence(x.like((*before, size, *after)), count)
    return Sequence(
        x.like((*before, call.fresh(axis), *after)), sizes.dims[0] if sizes.rank else None
    )


@rule("ConcatFromSequence")
def concat(call: Call, of: Sequence) -> Tensor:
    """Join all elements along an axis, a new one if asked."""
    axis, new = call.need("axis", int), call.attr("new_axis", 0)
    element = of.element
    rank = element.rank + bool(new)
    axis %= rank
    if new:
        count = call.fresh("length") if of.length is None else of.length
        return element.like((*element.dims[:axis], count, *element.dims[axis:]))
    items = of.items
    size = call.fresh(axis) if items is None else total(i.dims[axis] for i in items)
    if not element.dims:
        raise Unresolved("scalars in a sequence")
    return element.like((*element.dims[:axis], size, *element.dims[axis + 1 :]))
