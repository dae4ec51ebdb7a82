"""Ops that touch elements where they lie: operands are divided alike, or are summands."""

from __future__ import annotations

from dataclasses import replace

from mansard.ir.graph import Graph
from mansard.ir.op import Op, finish
from mansard.ir.ops import (
    Add,
    LayerNorm,
    Multiply,
    RMSNorm,
)
from mansard.ir.value import Value
from mansard.passes.parallel.gathered import normed
from mansard.passes.parallel.layout import PARTIAL, Partial, Sharding, Split
from mansard.passes.parallel.sharder import Sharder


def add_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """Sums of divided operands, of summands, or of both kinds after an all-reduce.

    Several summands beside a whole value are added first, so that one all-reduce adds them up.
    """
    assert isinstance(op, Add)
    states = {x: s.of(x) for x in op.xs}
    for x in op.xs:
        if x in s.reduced:
            s.plan(op).operands[x] = s.reduced[x]
    summands = [x for x, its in states.items() if isinstance(its, Partial)]
    if any(isinstance(its, Split) for its in states.values()):
        for x in summands:
            s.summed(graph, op, x)
        return alike(s, graph, op, op.xs)
    whole = [x for x in op.xs if x not in summands]
    if not whole:
        return PARTIAL
    if len(summands) < 2:
        for x in summands:
            s.summed(graph, op, x)
        return None
    inner = Add(tuple(summands), name=f"{op.name}.partial", kernel=op.kernel, because=(s.why,))
    made = finish(inner, s.fresh(f"{op.out.name}.partial"))
    reduce = s.collective(made.out, "all_reduce", op.name)
    s.plan(op).before += [made, reduce]
    s.set(op, xs=(*(s.reduced.get(x, x) for x in whole), reduce.out))
    return None


def multiply_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """A product may scale summands by what is whole; else operands are divided alike."""
    assert isinstance(op, Multiply)
    for v in op.operands:
        if v in s.reduced:
            s.plan(op).operands[v] = s.reduced[v]
    if isinstance(s.of(op.by), Partial):
        s.summed(graph, op, op.by)
    if isinstance(s.of(op.x), Partial):
        if s.of(op.by) is None:
            return PARTIAL
        s.summed(graph, op, op.x)
    x = s.split(op.x)
    if x is None:
        return s.refuse(op, op.by)
    narrow = op.by.shape[-1] == 1 and op.x.shape[-1] != 1
    return x if narrow and s.of(op.by) is None else alike(s, graph, op, op.operands)


def linear_map_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """An op that a sum may pass: ``f(a + b) = f(a) + f(b)``."""
    x = op.operands[0]
    if x in s.reduced:
        s.plan(op).operands[x] = s.reduced[x]
    return s.of(x)


def alike(s: Sharder, graph: Graph, op: Op, xs: tuple[Value, ...]) -> Sharding:
    """Operands divided alike; a stored vector is divided along."""
    found = next(its for x in xs if (its := s.split(x)) is not None)
    origins = set(found.origins)
    for x in xs:
        its = s.split(x)
        if its is None and x.storage and x not in graph.producers and x.role == "weight":
            axis = len(x.shape) - 1 if found.axis == len(op.out.shape) - 1 else found.axis
            if x.shape[axis] == found.whole:
                s.claim(graph, op, x, axis, found.parts)
        elif its is None or (its.axis, its.parts) != (found.axis, found.parts):
            return s.refuse(op, *xs)
        else:
            origins |= its.origins
    return replace(found, origins=frozenset(origins))


def follow_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """The result is divided as every operand is."""
    values = tuple(v for v in op.operands if v.role not in ("index", "table"))
    return alike(s, graph, op, values)


def first_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """The result is divided as the first operand; the others are whole."""
    if any(s.of(v) is not None for v in op.operands[1:]):
        return s.refuse(op, *op.operands[1:])
    return s.split(op.operands[0])


def whole_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """The op needs its operands undivided."""
    return s.refuse(op, *op.operands)


def norm_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """Over heads: follow. Over a whole axis that is divided: gather it, and keep one's own part.

    A narrow projection between two products is not worth dividing: it stays whole.
    """
    assert isinstance(op, (RMSNorm, LayerNorm))
    x = s.split(op.x)
    last = len(op.x.shape) - 1
    if x is None or x.axis != last:
        return s.refuse(op, op.x)
    if op.width is not None and (op.width != op.x.shape[last] or x.ratio == 1):
        return x
    return normed(s, graph, op, x)
