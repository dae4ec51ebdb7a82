"""Views of divided values: the axis moves, is cut or is joined."""

from __future__ import annotations

from dataclasses import replace

from mansard.core.symbols import total
from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.ops import (
    Dequantize,
    Join,
    Reshape,
    Slice,
    Transpose,
)
from mansard.passes.parallel.layout import Sharding, Split, regrouped
from mansard.passes.parallel.sharder import Sharder


def slice_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """A part of a divided axis, cut at the borders of what the rank holds."""
    assert isinstance(op, Slice)
    x = s.split(op.x)
    if x is None or int(op.axis) != x.axis:
        return x
    inside = x.between(op.start, op.size)
    if inside is None:
        return s.refuse(op, op.x)
    start, parts = inside
    s.set(op, start=start, size=total(p.local for p in parts))
    return replace(x, parts=parts)


def reshape_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """The divided axis moves with its blocks."""
    assert isinstance(op, Reshape)
    x = s.split(op.x)
    if x is None:
        return None
    carried = regrouped(op.x.shape, op.out.shape, x.axis)
    if carried is None:
        return s.refuse(op, op.x)
    moved = x.at(*carried)
    s.set(op, shape=moved.shape(op.out.shape))
    return moved


def transpose_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """The divided axis takes its new place."""
    assert isinstance(op, Transpose)
    x = s.split(op.x)
    return None if x is None else replace(x, axis=[int(k) for k in op.order].index(x.axis))


def join_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """Divided parts side by side, or whole ones that a divided part is broadcast with."""
    assert isinstance(op, Join)
    axis = int(op.axis)
    splits = [s.split(x) for x in op.xs]
    found = next(sp_ for sp_ in splits if sp_ is not None)
    origins = frozenset(o for sp_ in splits if sp_ for o in sp_.origins)
    if found.axis == axis:
        if any(sp_ is None or sp_.axis != axis for sp_ in splits):
            return s.refuse(op, *op.xs)
        return Split(axis, tuple(p for sp_ in splits if sp_ for p in sp_.parts), origins)
    for x, its in zip(op.xs, splits, strict=True):
        leaf = x.storage and x not in graph.producers
        if its is None and (leaf or isinstance(graph.producers.get(x), Dequantize)):
            s.claim(graph, op, x, found.axis, found.parts)
        elif (its is None and x.shape[found.axis] != 1) or (
            its is not None and (its.axis, its.parts) != (found.axis, found.parts)
        ):
            return s.refuse(op, *op.xs)
    return replace(found, origins=origins)


def last_rows_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """Rows are chosen; the width stays divided."""
    x = s.split(op.operands[0])
    return s.refuse(op, *op.operands) if x is None or x.axis == 0 else x
