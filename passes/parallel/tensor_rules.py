"""Ops of any tensor program: divided where an axis can be followed through them, else whole."""

from __future__ import annotations

from dataclasses import replace

from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.ops.tensor import Elementwise, MatMul, Reduce, TensorOp
from mansard.ir.value import Value
from mansard.passes.parallel.layout import PARTIAL, Sharding, Split
from mansard.passes.parallel.sharder import Sharder

SUMS = ("reduce_sum", "sum")
"""Reductions of which each rank makes a summand; a mean, a maximum or a norm is none."""


def broadcast_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """Each element by itself: operands divided alike, those with one element there whole."""
    assert isinstance(op, Elementwise)
    rank = len(op.out.shape)
    found: Split | None = None
    for x in op.xs:
        its = s.split(x)
        if its is not None:
            here = replace(its, axis=its.axis + rank - len(x.shape))
            if found is not None and (found.axis, found.parts) != (here.axis, here.parts):
                return s.refuse(op, *op.xs)
            origins = here.origins | (found.origins if found else frozenset())
            found = replace(here, origins=origins)
    if found is None or found.whole != op.out.shape[found.axis]:
        return s.refuse(op, *op.xs)
    for x in op.xs:
        axis = found.axis - (rank - len(x.shape))
        if s.split(x) is not None or axis < 0 or x.shape[axis] == 1:
            continue
        if x.role != "weight" or not x.storage or x in graph.producers:
            return s.refuse(op, *op.xs)
        s.claim(graph, op, x, axis, found.parts)
    return _resized(s, op, found)


def matmul_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """Rows of the left, columns of the right, or a batch axis of both; summands over ``k``."""
    assert isinstance(op, MatMul)
    a, b = op.xs[:2]
    left, right = s.split(a), s.split(b)
    rank = len(op.out.shape)
    if len(a.shape) < 2 or len(b.shape) < 2:
        return s.refuse(op, a, b)
    at = left.axis + rank - len(a.shape) if left else None
    to = right.axis + rank - len(b.shape) if right else None
    if left and right and (at, to) == (rank - 1, rank - 2) and left.parts == right.parts:
        s.set(op, k=op.k * left.ratio)
        return PARTIAL
    if left and right and at == to and at is not None and at < rank - 2:
        alike = left.parts == right.parts
        made = replace(left, axis=at, origins=left.origins | right.origins)
        return _resized(s, op, made) if alike else s.refuse(op, a, b)
    if left and right:  # one of them can be followed once the other is whole
        return s.refuse(op, a if at == rank - 1 else b)
    if left and not right and (at == rank - 2 or _is_one(b, at, rank)):
        return _resized(s, op, replace(left, axis=at or 0)) if at != rank - 1 else s.refuse(op, a)
    if right and not left and (to == rank - 1 or _is_one(a, to, rank)):
        return _resized(s, op, replace(right, axis=to or 0)) if to != rank - 2 else s.refuse(op, b)
    return s.refuse(op, a, b)


def reduce_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """Over another axis: follow. A sum over the divided axis: of summands. Else whole.

    Which axes are reduced is read off the shapes, so a softmax or a scan, whose result is as
    large as its operand, is whole.
    """
    assert isinstance(op, Reduce)
    x = s.split(op.xs[0])
    shape, out = op.xs[0].shape, op.out.shape
    same_rank = len(shape) == len(out)
    if x is None or not same_rank or shape == out or len(op.outs) != 1:
        return s.refuse(op, *op.xs)
    if out[x.axis] == shape[x.axis]:
        return _resized(s, op, x)
    return PARTIAL if op.fn in SUMS else s.refuse(op, *op.xs)


def _resized(s: Sharder, op: TensorOp, split: Split) -> Split:
    s.set(op, shape=split.shape(op.out.shape))
    return split


def _is_one(other: Value, axis: int | None, rank: int) -> bool:
    """Whether a batch axis of a product is broadcast in its other operand."""
    if axis is None or axis >= rank - 2:
        return False
    own = axis - (rank - len(other.shape))
    return own < 0 or other.shape[own] == 1
