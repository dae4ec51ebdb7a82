"""How each op works on divided operands: one rule an op, and an error for what has none."""

from __future__ import annotations

from collections.abc import Callable
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

Rule = Callable[[Sharder, Graph, Op], Sharding | tuple[Sharding, ...]]


def rule_of(op: Op, axis: str) -> Rule:
    """Return the rule of an op's class.

    Raises:
        SpecError: neither it nor a class it derives from has one.
    """
    for cls in type(op).__mro__:
        if cls in RULES:
            return RULES[cls]
    if op.is_elementwise or op.kind in FOLLOWING:
        return _follow
    raise SpecError(
        f"parallel knows no rule how {op.kind} %{op.out.name} works on a value that is divided "
        f"over {axis.partition('@')[0]}",
        hint="leave that axis at 1, or put the technique that made the op after parallel",
    )


def _split(s: Sharder, value: Value) -> Split | None:
    found = s.of(value)
    return found if isinstance(found, Split) else None


def _linear(s: Sharder, graph: Graph, op: Op) -> Sharding:
    assert isinstance(op, Linear)
    x = _split(s, op.x)
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


def _grouped(s: Sharder, graph: Graph, op: Op) -> Sharding:
    assert isinstance(op, GroupedLinear)
    x = _split(s, op.x)
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


def _block_linear(s: Sharder, graph: Graph, op: Op) -> Sharding:
    assert isinstance(op, BlockLinear)
    x = _split(s, op.x)
    if x is None or len(x.parts) != 1:
        return s.refuse(op, op.x)
    groups, _, n = op.w.shape
    blocks = Part(groups, groups * x.ratio)
    s.claim(graph, op, op.w, 0, (blocks,))
    if op.bias is not None:
        s.claim(graph, op, op.bias, 0, (blocks,))
    return replace(x, parts=(blocks.scaled(n),))


def _embedding(s: Sharder, graph: Graph, op: Op) -> Sharding:
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


def _append(s: Sharder, graph: Graph, op: Op) -> Sharding:
    assert isinstance(op, Append)
    x = _split(s, op.x)
    if x is None or x.axis != len(op.x.shape) - 1:
        return s.refuse(op, op.x)
    heads = op.cache.shape[1]
    parts = (Part(heads, heads * x.ratio),)
    s.claim(graph, op, op.cache, 1, parts)
    return Split(1, parts, x.origins)


def _scores(s: Sharder, graph: Graph, op: Op) -> Sharding:
    assert isinstance(op, Scores)
    q, k = _split(s, op.q), _split(s, op.k)
    if q is None:
        if k is not None and k.ratio != 1:
            s.refuse(op, op.k)
        return None
    shared = op.k.shape[1] == 1  # keys of all heads, whole on every rank
    if q.axis != len(op.q.shape) - 1 or (k is None and not shared) or (k and k.axis != 1):
        s.refuse(op, op.q, op.k)
    s.set(op, heads=op.heads * q.ratio)
    return Split(1, (Part(op.heads, op.heads * q.ratio),), q.origins | (k.origins if k else set()))


def _softmax(s: Sharder, graph: Graph, op: Op) -> Sharding:
    assert isinstance(op, Softmax)
    x = _split(s, op.x)
    if x is None or x.axis != 1:
        return s.refuse(op, op.x)
    if op.sinks is not None:
        s.claim(graph, op, op.sinks, 0, x.parts)
    return x


def _values(s: Sharder, graph: Graph, op: Op) -> Sharding:
    assert isinstance(op, Values)
    p, v = _split(s, op.p), _split(s, op.v)
    if p is None:
        if v is not None and v.ratio != 1:
            s.refuse(op, op.v)
        return None
    if v is None and op.v.shape[1] != 1:
        s.refuse(op, op.p)
    each = op.out.shape[-1] / op.p.shape[1]
    return p.at(len(op.out.shape) - 1, each)


def _merge_partials(s: Sharder, graph: Graph, op: Op) -> Sharding:
    assert isinstance(op, MergePartials)
    x = _split(s, op.x)
    if x is not None:
        s.set(op, heads=op.heads * x.ratio)
    return x


def _accumulate(s: Sharder, graph: Graph, op: Op) -> Sharding:
    assert isinstance(op, AccumulateScores)
    p = _split(s, op.p)
    if p is not None:
        s.claim(graph, op, op.sums, 1, p.parts)
    return p


def _compress(s: Sharder, graph: Graph, op: Op) -> Sharding:
    assert isinstance(op, CompressCache)
    q = _split(s, op.q)
    if q is None:
        return s.refuse(op, op.k, op.v)
    s.set(op, heads=op.heads * q.ratio)
    k = _split(s, op.k)
    return None if k is None else k


def _rope(s: Sharder, graph: Graph, op: Op) -> Sharding:
    assert isinstance(op, Rope)
    x = _split(s, op.x)
    if x is None or x.axis != len(op.x.shape) - 1:
        return s.refuse(op, op.x)
    s.set(op, heads=op.heads * x.ratio)
    return x


def _norm(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """Over heads: follow. Over a whole axis that is divided: gather it, and keep one's own part.

    A narrow projection between two products is not worth dividing: it stays whole.
    """
    assert isinstance(op, (RMSNorm, LayerNorm))
    x = _split(s, op.x)
    last = len(op.x.shape) - 1
    if x is None or x.axis != last:
        return s.refuse(op, op.x)
    if op.width is not None and op.width != op.x.shape[last]:
        return x
    return normed(s, graph, op, x)


def _slice(s: Sharder, graph: Graph, op: Op) -> Sharding:
    assert isinstance(op, Slice)
    x = _split(s, op.x)
    if x is None or int(op.axis) != x.axis:
        return x
    inside = x.between(op.start, op.size)
    if inside is None:
        return s.refuse(op, op.x)
    start, parts = inside
    s.set(op, start=start, size=total(p.local for p in parts))
    return replace(x, parts=parts)


def _reshape(s: Sharder, graph: Graph, op: Op) -> Sharding:
    assert isinstance(op, Reshape)
    x = _split(s, op.x)
    if x is None:
        return None
    carried = regrouped(op.x.shape, op.out.shape, x.axis)
    if carried is None:
        return s.refuse(op, op.x)
    moved = x.at(*carried)
    s.set(op, shape=moved.shape(op.out.shape))
    return moved


def _transpose(s: Sharder, graph: Graph, op: Op) -> Sharding:
    assert isinstance(op, Transpose)
    x = _split(s, op.x)
    return None if x is None else replace(x, axis=[int(k) for k in op.order].index(x.axis))


def _join(s: Sharder, graph: Graph, op: Op) -> Sharding:
    assert isinstance(op, Join)
    axis = int(op.axis)
    splits = [_split(s, x) for x in op.xs]
    found = next(sp_ for sp_ in splits if sp_ is not None)
    origins = frozenset(o for sp_ in splits if sp_ for o in sp_.origins)
    if found.axis == axis:
        if any(sp_ is None or sp_.axis != axis for sp_ in splits):
            return s.refuse(op, *op.xs)
        return Split(axis, tuple(p for sp_ in splits if sp_ for p in sp_.parts), origins)
    for x, its in zip(op.xs, splits, strict=True):
        if its is None and x.storage and x not in graph.producers:
            s.claim(graph, op, x, found.axis, found.parts)
        elif (its is None and x.shape[found.axis] != 1) or (
            its is not None and (its.axis, its.parts) != (found.axis, found.parts)
        ):
            return s.refuse(op, *op.xs)
    return replace(found, origins=origins)


def _last_rows(s: Sharder, graph: Graph, op: Op) -> Sharding:
    x = _split(s, op.operands[0])
    return s.refuse(op, *op.operands) if x is None or x.axis == 0 else x


def _add(s: Sharder, graph: Graph, op: Op) -> Sharding:
    assert isinstance(op, Add)
    states = {x: s.of(x) for x in op.xs}
    for x in op.xs:
        if x in s.reduced:
            s.plan(op).operands[x] = s.reduced[x]
    summands = [x for x, its in states.items() if isinstance(its, Partial)]
    if any(isinstance(its, Split) for its in states.values()):
        for x in summands:
            s.summed(graph, op, x)
        return _alike(s, graph, op, op.xs)
    whole = [x for x in op.xs if x not in summands]
    if not whole:
        return PARTIAL
    if len(summands) < 2:
        for x in summands:
            s.summed(graph, op, x)
        return None
    inner = finish(Add(tuple(summands), name=f"{op.name}.partial", kernel=op.kernel),
                   s.fresh(f"{op.out.name}.partial"))  # fmt: skip
    made = replace(inner, because=(s.why,))
    reduce = replace(
        finish(replace(s.collective(graph, op.out, "all_reduce"), x=made.out, outs=()),
               s.fresh(f"{op.out.name}.sum")), because=(s.why,),
    )  # fmt: skip
    s.plan(op).before += [made, reduce]
    s.set(op, xs=(*(s.reduced.get(x, x) for x in whole), reduce.out))
    return None


def _multiply(s: Sharder, graph: Graph, op: Op) -> Sharding:
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
    x = _split(s, op.x)
    if x is None:
        return s.refuse(op, op.by)
    narrow = op.by.shape[-1] == 1 and op.x.shape[-1] != 1
    return x if narrow and s.of(op.by) is None else _alike(s, graph, op, op.operands)


def _linear_map(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """An op that a sum may pass: ``f(a + b) = f(a) + f(b)``."""
    x = op.operands[0]
    if x in s.reduced:
        s.plan(op).operands[x] = s.reduced[x]
    return s.of(x)


def _combine(s: Sharder, graph: Graph, op: Op) -> Sharding:
    assert isinstance(op, Combine)
    x = _linear_map(s, graph, op)
    if isinstance(x, Split):
        return s.refuse(op, op.x)
    spread = s.experts < s.ranks  # each rank has other experts, or other rows
    return PARTIAL if spread else x


def _alike(s: Sharder, graph: Graph, op: Op, xs: tuple[Value, ...]) -> Sharding:
    """Operands divided alike; a stored vector is divided along."""
    found = next(its for x in xs if (its := _split(s, x)) is not None)
    origins = set(found.origins)
    for x in xs:
        its = _split(s, x)
        if its is None and x.storage and x not in graph.producers and x.role == "weight":
            axis = len(x.shape) - 1 if found.axis == len(op.out.shape) - 1 else found.axis
            if x.shape[axis] == found.whole:
                s.claim(graph, op, x, axis, found.parts)
        elif its is None or (its.axis, its.parts) != (found.axis, found.parts):
            return s.refuse(op, *xs)
        else:
            origins |= its.origins
    return replace(found, origins=frozenset(origins))


def _follow(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """The result is divided as every operand is."""
    values = tuple(v for v in op.operands if v.role not in ("index", "table"))
    return _alike(s, graph, op, values)


def _first(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """The result is divided as the first operand; the others are whole."""
    if any(s.of(v) is not None for v in op.operands[1:]):
        return s.refuse(op, *op.operands[1:])
    return _split(s, op.operands[0])


def _whole(s: Sharder, graph: Graph, op: Op) -> Sharding:
    """The op needs its operands undivided."""
    return s.refuse(op, *op.operands)


def _recurrence(s: Sharder, graph: Graph, op: Op) -> Sharding | tuple[Sharding, ...]:
    """Channels or heads are independent: state and parameters are divided as the tokens are."""
    assert isinstance(op, Recurrence)
    x = _split(s, op.x)
    if x is None or x.axis != len(op.x.shape) - 1:
        return s.refuse(op, *op.operands)
    shared = SHARED_INPUTS.get(type(op), ())
    for at, value in enumerate(op.inputs):
        if _split(s, value) is None and at not in shared:
            return s.refuse(op, *op.operands)
    mine = x.parts[-1].local / x.parts[-1].whole  # the values' share; q and k may be shared wider
    state = _stored(x, op.state.shape[1], mine)
    s.claim(graph, op, op.state, 1, state)
    for param in op.params:
        axis = next((k for k, n in enumerate(param.shape) if n != 1), 0)
        s.claim(graph, op, param, axis, _stored(x, param.shape[axis], mine))
    if isinstance(op, StateSpaceDual) and op.inputs and (bc := _split(s, op.inputs[0])):
        s.set(op, groups=op.groups * bc.ratio)
    width = op.out.shape[-1]
    out = x.parts if width == x.whole else (Part(width, width * mine),)
    return replace(x, parts=out), Split(1, state, x.origins)


SHARED_INPUTS: dict[type[Op], tuple[int, ...]] = {SelectiveScan: (1,), StateSpaceDual: (0,)}
"""Inputs that every channel or head reads, and that may be whole: B and C of state spaces."""


def _stored(x: Split, size: sp.Expr, mine: sp.Expr) -> tuple[Part, ...]:
    return x.parts if size == x.whole else (Part(size, size * mine),)


def _paged(s: Sharder, graph: Graph, op: Op) -> Sharding:
    assert isinstance(op, Paged)
    return _split(s, op.cache)


ORIGINS = (Linear, GroupedLinear, Embedding, Combine)
"""Ops that may divide what no operand divides."""
HANDLE_PARTIAL = (Add, Multiply, Scale, Combine)
"""Ops that may work on summands; before every other the summands are added up."""
FOLLOWING = ("dequantize", "quantize", "alibi")
"""Ops besides elementwise ones whose result is divided as their operands are."""
RULES: dict[type[Op], Rule] = {
    Linear: _linear,
    GroupedLinear: _grouped,
    BlockLinear: _block_linear,
    Embedding: _embedding,
    Append: _append,
    Scores: _scores,
    Softmax: _softmax,
    Values: _values,
    MergePartials: _merge_partials,
    AccumulateScores: _accumulate,
    CompressCache: _compress,
    KeepChosen: _first,
    Rope: _rope,
    RMSNorm: _norm,
    LayerNorm: _norm,
    Slice: _slice,
    Reshape: _reshape,
    Transpose: _transpose,
    Join: _join,
    LastRows: _last_rows,
    Paged: _paged,
    Add: _add,
    Multiply: _multiply,
    Scale: _linear_map,
    Combine: _combine,
    Recurrence: _recurrence,
    **dict.fromkeys((TopK, Dispatch, WeighHeads, MixStreams, SpreadStream), _whole),
}
