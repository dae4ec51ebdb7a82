"""Attention: heads are independent, and so are their caches."""

from __future__ import annotations

from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.ops import (
    Append,
    Rope,
    Scores,
    Softmax,
    Values,
)
from mansard.ir.ops.eviction import AccumulateScores, CompressCache
from mansard.ir.ops.paging import Paged
from mansard.ir.ops.partial_values import MergePartials
from mansard.ir.ops.recent import AppendRecent
from mansard.passes.parallel.layout import Part, Sharding, Split
from mansard.passes.parallel.sharder import Sharder


def append_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """Keys and values of a rank's heads go to its part of the cache."""
    assert isinstance(op, Append)
    x = s.split(op.x)
    if x is None or x.axis != len(op.x.shape) - 1:
        return s.refuse(op, op.x)
    heads = op.cache.shape[1]
    parts = (Part(heads, heads * x.ratio),)
    s.claim(graph, op, op.cache, 1, parts)
    return Split(1, parts, x.origins)


def append_recent_rule(s: Sharder, graph: Graph, op: Op) -> tuple[Sharding, ...]:
    """As an append; older rows are of the same heads."""
    assert isinstance(op, AppendRecent)
    made = append_rule(s, graph, op)
    if not isinstance(made, Split):
        return made, made
    s.claim(graph, op, op.older, 1, made.parts)
    return made, made


def scores_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """Query heads of a rank meet its key heads; keys of one head for all may be whole."""
    assert isinstance(op, Scores)
    q, k = s.split(op.q), s.split(op.k)
    if q is None:
        if k is not None and k.ratio != 1:
            s.refuse(op, op.k)
        return None
    shared = op.k.shape[1] == 1  # keys of all heads, whole on every rank
    if q.axis != len(op.q.shape) - 1 or (k is None and not shared) or (k and k.axis != 1):
        s.refuse(op, op.q, op.k)
    s.set(op, heads=op.heads * q.ratio)
    return Split(1, (Part(op.heads, op.heads * q.ratio),), q.origins | (k.origins if k else set()))


def softmax_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """Rows of each head are normalized alone; sinks are one a head."""
    assert isinstance(op, Softmax)
    x = s.split(op.x)
    if x is None or x.axis != 1:
        return s.refuse(op, op.x)
    if op.sinks is not None:
        s.claim(graph, op, op.sinks, 0, x.parts)
    return x


def values_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """Heads stay apart: the result is as wide as the rank's heads."""
    assert isinstance(op, Values)
    p, v = s.split(op.p), s.split(op.v)
    if p is None:
        if v is not None and v.ratio != 1:
            s.refuse(op, op.v)
        return None
    if v is None and op.v.shape[1] != 1:
        s.refuse(op, op.p)
    each = op.out.shape[-1] / op.p.shape[1]
    return p.at(len(op.out.shape) - 1, each)


def merge_partials_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """Parts of each head's keys are merged; the rank has fewer heads."""
    assert isinstance(op, MergePartials)
    x = s.split(op.x)
    if x is not None:
        s.set(op, heads=op.heads * x.ratio)
    return x


def accumulate_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """A running sum a head follows its probabilities."""
    assert isinstance(op, AccumulateScores)
    p = s.split(op.p)
    if p is not None:
        s.claim(graph, op, op.sums, 1, p.parts)
    return p


def compress_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """Each rank keeps keys of its own heads."""
    assert isinstance(op, CompressCache)
    q = s.split(op.q)
    if q is None:
        return s.refuse(op, op.k, op.v)
    s.set(op, heads=op.heads * q.ratio)
    k = s.split(op.k)
    return None if k is None else k


def rope_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """A rank turns its own heads."""
    assert isinstance(op, Rope)
    x = s.split(op.x)
    if x is None or x.axis != len(op.x.shape) - 1:
        return s.refuse(op, op.x)
    s.set(op, heads=op.heads * x.ratio)
    return x


def paged_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """Pages hold a rank's heads; the table is everybody's."""
    assert isinstance(op, Paged)
    return s.split(op.cache)
