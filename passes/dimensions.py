"""Which axes of which values are one dimension, and what it takes to make one smaller.

Every op ties axes of its operands to axes of its results: the rows of a weight to the width of
what it makes, that width to a norm's weight. Followed through a whole graph the ties show that the
width of a feed-forward layer is one dimension of three matrices. Scaling it is then exact: leaves
get new shapes, the attributes that name the dimension follow, everything else is inferred.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

from mansard.core.dtypes import Encoding
from mansard.core.errors import MansardError, SpecError
from mansard.core.symbols import Expr
from mansard.ir.graph import Graph
from mansard.ir.op import Op, same_size
from mansard.ir.ops import (
    Add,
    Append,
    BlockLinear,
    Combine,
    Dispatch,
    Embedding,
    GroupedLinear,
    Join,
    LastRows,
    LayerNorm,
    Linear,
    Multiply,
    Reshape,
    RMSNorm,
    Rope,
    Scores,
    Slice,
    Softmax,
    TopK,
    Transpose,
    Values,
)
from mansard.ir.ops.recent import AppendRecent
from mansard.ir.region import Region, Repeat
from mansard.ir.value import Shape, TensorType, Value, stored_parts
from mansard.passes.editing import edited

Axis = tuple[Value, int]
Ties = Iterator[tuple[Axis, Axis]]


class Dimensions:
    """The axes of a graph's values, regions included, sorted into dimensions."""

    def __init__(self, graph: Graph):
        self._parent: dict[Axis, Axis] = {}
        self._read(graph)

    def of(self, value: Value, axis: int) -> Axis:
        """Return the axis that stands for the dimension of an axis."""
        at = (value, axis % len(value.shape))
        while (above := self._parent.get(at, at)) != at:
            at = above
        return at

    def _read(self, graph: Graph) -> None:
        for op in graph.ops:
            for a, b in _ties(op):
                self._parent[self.of(*a)] = self.of(*b)
            for part in (p for v in op.operands for p in v.parts):
                self._parent.setdefault((part, 0), self.of(part, 0))
            for body in op.bodies:
                self._read(body)


def scaled(graph: Graph, seeds: Iterable[Axis], ratio: Expr, why: str) -> Graph:
    """Return the graph with the dimensions of some axes made smaller by an exact ratio.

    Args:
        graph: to change.
        seeds: axes whose dimensions change, all by the same ratio.
        ratio: new size over old.
        why: reason, for ops whose attributes or weights change.

    Raises:
        SpecError: a size does not divide.
        MansardError: an op outside the ones mansard follows needs the old size.
    """
    known = Dimensions(graph)
    wanted = {known.of(*seed) for seed in seeds}

    def is_scaled(value: Value, axis: int) -> bool:
        return known.of(value, axis) in wanted

    def retyped(leaf: Value) -> TensorType:
        shape = tuple(
            _whole(d * ratio, leaf) if is_scaled(leaf, k) else d for k, d in enumerate(leaf.shape)
        )
        share = 1
        for new, old in zip(shape, leaf.shape, strict=True):
            share = share * new / old
        live = None if leaf.type.live is None else leaf.type.live * share
        return replace(leaf.type, shape=shape, live=live, encoding=_regrouped(leaf, shape))

    def attributes(op: Op) -> Op:
        new = _resized(op, ratio, is_scaled)
        touched = new is not op or any(
            is_scaled(p, k)
            for v in op.operands
            for p in stored_parts(v)
            if p.role == "weight"
            for k in range(len(p.shape))
        )
        return new.explained(why) if touched else op

    try:
        return edited(graph, leaves=retyped, attributes=attributes)
    except SpecError:
        raise
    except MansardError as error:
        raise MansardError(
            f"a dimension meets an op that needs its old size: {error.message}",
            hint="prune another dimension, or prune before the pass that made the op",
        ) from error


def _regrouped(leaf: Value, shape: Shape) -> Encoding:
    """Return the encoding of a smaller leaf: a scale a channel serves as many as are left."""
    if not leaf.shape:  # a scalar, as CLIP's scale of logits
        return leaf.encoding
    old, rows = leaf.encoding, leaf.shape[-1]
    whole = rows.is_Integer and old.group == rows and shape[-1].is_Integer
    return replace(old, group=int(shape[-1])) if whole else old


def _whole(size: Expr, leaf: Value) -> Expr:
    if size.is_number and not size.is_Integer:
        raise SpecError(f"{leaf.storage}: {size} is no whole size", hint="keep another share")
    return size


def _resized(op: Op, ratio: Expr, is_scaled: Callable[[Value, int], bool]) -> Op:
    """Return an op with the attributes that name a scaled dimension made smaller."""
    match op:
        case Slice() if is_scaled(op.x, int(op.axis)):
            return replace(op, start=op.start * ratio, size=op.size * ratio)
        case Reshape() if any(is_scaled(op.out, k) for k in range(len(op.shape))):
            sizes = enumerate(op.shape)
            return replace(
                op, shape=tuple(d * ratio if is_scaled(op.out, k) else d for k, d in sizes)
            )
        case Rope() if is_scaled(op.out, -1):
            return replace(op, heads=op.heads * ratio)
        case Scores() if is_scaled(op.out, 1):
            return replace(op, heads=op.heads * ratio)
        case RMSNorm() | LayerNorm() if op.width is not None and op.w is not None:
            return replace(op, width=op.width * ratio) if is_scaled(op.w, 0) else op
        case GroupedLinear() if is_scaled(op.w, 0):
            return replace(op, hit=op.hit / ratio)
    return op


def _same(a: Value, b: Value, axes: Mapping[int, int] | None = None) -> Ties:
    """Tie axes of two values of one rank, where the sizes are the same."""
    pairs = axes.items() if axes else ((k, k) for k in range(min(len(a.shape), len(b.shape))))
    for i, j in pairs:
        if same_size(a.shape[i], b.shape[j]):
            yield (a, i), (b, j)


def _ties(op: Op) -> Ties:
    """Yield pairs of axes that an op makes one dimension."""
    match op:
        case Linear():
            yield (op.x, -1), (op.w, 1)
            yield (op.w, 0), (op.out, -1)
            if op.bias is not None:
                yield (op.bias, 0), (op.w, 0)
            yield from _leading(op.x, op.out)
        case GroupedLinear():
            yield (op.x, -1), (op.w, 2)
            yield (op.w, 1), (op.out, -1)
            if op.bias is not None:
                yield (op.bias, 1), (op.w, 1)
                yield (op.bias, 0), (op.w, 0)
        case BlockLinear():
            yield (op.x, -1), (op.w, 0)
            yield (op.w, 0), (op.out, -1)
            if op.bias is not None:
                yield (op.bias, 0), (op.w, 0)
        case Embedding():
            yield (op.w, 1), (op.out, -1)
        case RMSNorm() | LayerNorm():
            yield from _same(op.x, op.out)
            weights = [v for v in op.operands[1:] if op.width in (None, op.x.shape[-1])]
            yield from (((v, 0), (op.x, -1)) for v in weights)
        case Softmax():
            yield from _same(op.x, op.out)
            if op.sinks is not None:
                yield (op.sinks, 0), (op.x, 1)
        case Add():
            yield from (tie for a, b in pairwise(op.xs) for tie in _same(a, b))
            yield from _same(op.xs[0], op.out)
        case Multiply():
            yield from _same(op.x, op.out)
            if same_size(op.by.shape[-1], op.x.shape[-1]):
                yield (op.by, -1), (op.x, -1)
        case Append():
            yield (op.x, -1), (op.cache, 1)
            if isinstance(op, AppendRecent):
                yield (op.older, 1), (op.cache, 1)
                yield (op.outs[1], 1), (op.cache, 1)
            yield from _same(op.cache, op.out)
        case Scores():
            yield (op.q, -1), (op.out, 1)
        case Values():
            yield (op.p, 1), (op.out, -1)
        case Dispatch() | Combine() | LastRows():
            yield (op.operands[0], -1), (op.out, -1)
        case TopK():
            return
        case Slice():
            yield from (((op.x, k), (op.out, k)) for k in range(len(op.x.shape)))
        case Join():
            yield from (((x, int(op.axis)), (op.out, int(op.axis))) for x in op.xs)
            yield from (tie for x in op.xs for tie in _same(x, op.out))
        case Transpose():
            yield from (((op.x, int(k)), (op.out, i)) for i, k in enumerate(op.order))
        case Reshape():
            yield from _reshaped(op.x, op.out)
        case Region():
            handed = zip(op.ins, op.body.inputs, strict=True)
            left = zip(op.body.outputs, op.outs, strict=True)
            trips = zip(op.body.outputs, op.body.inputs, strict=False)
            again = trips if isinstance(op, Repeat) else ()
            yield from (tie for a, b in (*handed, *left, *again) for tie in _same(a, b))
        case _:
            for x in op.operands:
                if len(x.shape) == len(op.out.shape):
                    yield from _same(x, op.out)


def _leading(a: Value, b: Value) -> Ties:
    return ((((a, k), (b, k))) for k in range(min(len(a.shape), len(b.shape)) - 1))


def _reshaped(x: Value, y: Value) -> Ties:
    """Tie a last axis that is split into heads, or heads that are merged into one."""
    if len(y.shape) > 1 and same_size(x.shape[-1], y.shape[-2] * y.shape[-1]):
        yield (x, -1), (y, -2)
    elif len(x.shape) > 1 and same_size(y.shape[-1], x.shape[-2] * x.shape[-1]):
        yield (x, -2), (y, -1)
    elif len(y.shape) == len(x.shape) + 1 and same_size(x.shape[0], y.shape[0] * y.shape[1]):
        yield (x, 0), (y, 0)
    elif same_size(x.shape[-1], y.shape[-1]):
        yield (x, -1), (y, -1)
