"""Products: divided by rows over whole operands, by columns over divided ones."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from mansard.core.errors import SpecError
from mansard.core.symbols import total
from mansard.ir.graph import Graph
from mansard.ir.op import Op, finish
from mansard.ir.ops import (
    Add,
    Append,
    BlockLinear,
    Combine,
    Dispatch,
    Embedding,
    GroupedLinear,
    Join,
    KeepChosen,
    LastRows,
    LayerNorm,
    Linear,
    MixStreams,
    Multiply,
    Reshape,
    RMSNorm,
    Rope,
    Scale,
    Scores,
    Slice,
    Softmax,
    SpreadStream,
    TopK,
    Transpose,
    Values,
    WeighHeads,
)
from mansard.ir.ops.eviction import AccumulateScores, CompressCache
from mansard.ir.ops.paging import Paged
from mansard.ir.ops.partial_values import MergePartials
from mansard.ir.ops.recurrent import Recurrence, SelectiveScan, StateSpaceDual
from mansard.ir.value import Value
from mansard.passes.parallel.gathered import normed
from mansard.passes.parallel.layout import PARTIAL, Part, Partial, Sharding, Split, regrouped
from mansard.passes.parallel.sharder import Sharder
from mansard.passes.parallel.elementwise_rules import linear_map_rule


def linear_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
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
    made = graph.producers.get(op.x)
    while made is not None and made.is_view:
        made = graph.producers.get(made.operands[0])
    return isinstance(made, Linear)


def grouped_rule(s: Sharder, graph: Graph, op: Op) -> Sharding:
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
    assert isinstance(op, Combine)
    x = linear_map_rule(s, graph, op)
    if isinstance(x, Split):
        return s.refuse(op, op.x)
    spread = s.experts < s.ranks  # each rank has other experts, or other rows
    return PARTIAL if spread else x
