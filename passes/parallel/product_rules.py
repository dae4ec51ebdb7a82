"""Products: divided by rows over whole operands, by columns over divided ones."""

from __future__ import annotations

from dataclasses import replace

from mansard.core.symbols import total
from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.ops import (
    BlockLinear,
    Combine,
    Embedding,
    GroupedLinear,
    Linear,
)
from mansard.passes.labels import maker
from mansard.passes.parallel.elementwise_rules import linear_map_rule
from mansard.passes.parallel.layout import PARTIAL, Part, Partial, Sharding, Split
from mansard.passes.parallel.sharder import Sharder


def linear_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """Rows of the weight over a whole operand; columns, and summands, over a divided one."""
    assert isinstance(op, Linear)
    x = s.split(op.x)
    last = len(op.x.shape) - 1
    if x is not None:
        whole = x.axis != last or total(p.local for p in x.parts) * s.ranks != x.whole
        if whole or any(p.local * s.ranks != p.whole for p in x.parts):
            s.refuse(op, op.x)
        if _is_low_rank(graph, op):
            s.refuse(op, op.x)
        s.claim(graph, op, op.w, 1, x.parts, x.origins)
        return PARTIAL
    if op in s.kept:
        s.claim_whole(graph, op, op.w)
        return None
    parts = s.parts(graph, op, op.out, s.ranks)
    s.claim(graph, op, op.w, 0, parts)
    if op.bias is not None:
        s.claim(graph, op, op.bias, 0, parts)
    return Split(len(op.out.shape) - 1, parts, frozenset({op}))


def _is_low_rank(graph: Graph, op: Linear) -> bool:
    """Whether another product alone stands in front: what lies between is narrow."""
    return isinstance(maker(graph, op.x), Linear)


def grouped_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """As a product, on the width of every expert; whole experts where they are spread instead."""
    assert isinstance(op, GroupedLinear)
    x = s.split(op.x)
    if x is not None:
        s.claim(graph, op, op.w, 2, x.parts)
        return PARTIAL
    if op in s.kept or s.experts == 1:
        return None
    parts = s.parts(graph, op, op.out, s.experts)
    s.claim(graph, op, op.w, 1, parts)
    if op.bias is not None:
        s.claim(graph, op, op.bias, 1, parts)
    return Split(len(op.out.shape) - 1, parts, frozenset({op}))


def block_linear_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """Blocks are independent: a rank has those of its own channels."""
    assert isinstance(op, BlockLinear)
    x = s.split(op.x)
    if x is None or len(x.parts) != 1:
        return s.refuse(op, op.x)
    groups, _, n = op.w.shape
    blocks = Part(groups, groups * x.ratio)
    s.claim(graph, op, op.w, 0, (blocks,))
    if op.bias is not None:
        s.claim(graph, op, op.bias, 0, (blocks,))
    return replace(x, parts=(blocks.scaled(n),))


def embedding_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """A table of tokens is divided by rows, and ranks add what they found.

    Tables that positions or segments look up are small: they stay whole.
    """
    assert isinstance(op, Embedding)
    by_tokens = s.top is not None and s.top.inputs and op.ids is s.top.inputs[0]
    if op in s.kept or not by_tokens:
        s.claim_whole(graph, op, op.w)
        return None
    s.claim(graph, op, op.w, 0, (s.padded(op.w.shape[0]),))
    return Partial()


def combine_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """A weighted sum of experts' rows: of summands a summand."""
    assert isinstance(op, Combine)
    x = linear_map_rule(s, graph, op)
    if isinstance(x, Split):
        return s.refuse(op, op.x)
    spread = s.experts < s.ranks  # each rank has other experts, or other rows
    return PARTIAL if spread else x
