"""Where the readers of a value let it be cut: between heads, halves, groups, or anywhere.

A projection does not know that its rows are heads; the attention that reads them does. So before
a product's weight is divided its result is followed to whatever it ends in.
"""

from __future__ import annotations

from mansard.core.symbols import Expr, total
from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.ops import (
    Append,
    BlockLinear,
    Join,
    LayerNorm,
    Reshape,
    RMSNorm,
    Rope,
    Scores,
    Slice,
    Transpose,
)
from mansard.ir.ops.recurrent import (
    CausalConv,
    GatedDelta,
    LinearAttention,
    Recurrence,
    StateSpaceDual,
)
from mansard.ir.region import Region
from mansard.ir.value import Value
from mansard.passes.parallel.layout import Run, overlay, regrouped

Runs = tuple[Run, ...]


def runs(graph: Graph, value: Value, axis: int) -> Runs:
    """Return the runs of an axis of a value, as its readers need them."""
    size = value.shape[axis]
    found: Runs = (Run(size, size),)
    for user in graph.uses.get(value, ()):
        wanted = _wanted(graph, user, value, axis)
        if wanted is not None and total(r.size for r in wanted) == size:
            found = overlay(found, wanted)
    return found


def _wanted(graph: Graph, op: Op, value: Value, axis: int) -> Runs | None:
    """Return the runs one reader needs; None when it has no wish."""
    size = value.shape[axis]
    match op:
        case Append() if op.x is value:
            return (Run(size, op.cache.shape[1], copies=True, noun="KV heads"),)
        case Scores() if op.q is value:
            return (Run(size, op.heads, noun="heads"),)
        case Scores() if axis == 1:
            return (Run(size, size, noun="heads"),)
        case Rope():
            return overlay((Run(size, op.heads, noun="heads"),), runs(graph, op.out, axis))
        case RMSNorm() | LayerNorm() if op.width is not None:
            wanted = runs(graph, op.out, axis)
            heads = (Run(size, size / op.width, noun="heads"),)
            return wanted if op.width == size else overlay(heads, wanted)
        case BlockLinear() if op.x is value:
            return (Run(size, op.w.shape[0], noun="blocks"),)
        case Recurrence():
            return _recurrent(graph, op, value, axis)
        case Slice():
            return _sliced(graph, op, axis)
        case Join():
            return _joined(graph, op, value, axis)
        case Transpose():
            return runs(graph, op.out, [int(k) for k in op.order].index(axis))
        case Reshape():
            return _reshaped(graph, op, axis)
        case Region():
            return None
    out = op.outs[0]
    follows = len(out.shape) == len(value.shape) and out.shape[axis] == size
    return runs(graph, out, axis) if follows and (op.is_elementwise or op.is_view) else None


def _sliced(graph: Graph, op: Slice, axis: int) -> Runs | None:
    if int(op.axis) != axis:
        return runs(graph, op.out, axis)
    rest = op.x.shape[axis] - op.start - op.size
    inner = runs(graph, op.out, axis)
    before = (Run(op.start, op.start),) if op.start != 0 else ()
    return (*before, *inner, *((Run(rest, rest),) if rest != 0 else ()))


def _joined(graph: Graph, op: Join, value: Value, axis: int) -> Runs | None:
    if int(op.axis) != axis:
        same = op.out.shape[axis] == value.shape[axis]
        return runs(graph, op.out, axis) if same else None
    start = total(x.shape[axis] for x in op.xs[: op.xs.index(value)])
    found: list[Run] = []
    at: Expr = total(())
    for run in runs(graph, op.out, axis):
        if at >= start and at + run.size <= start + value.shape[axis]:
            found.append(run)
        at += run.size
    return tuple(found)


def _reshaped(graph: Graph, op: Reshape, axis: int) -> Runs | None:
    carried = regrouped(op.x.shape, op.out.shape, axis)
    if carried is None:
        return None
    target, unit = carried
    return tuple(
        Run(r.size / unit, r.blocks, r.copies, "heads" if unit != 1 else r.noun)
        for r in runs(graph, op.out, target)
    )


def _recurrent(graph: Graph, op: Recurrence, value: Value, axis: int) -> Runs | None:
    """Return the runs of a mixer's operand: heads of the state, shared groups, channels."""
    size = value.shape[axis]
    match op:
        case CausalConv():
            return runs(graph, op.out, axis)
        case StateSpaceDual():
            if op.inputs and value is op.inputs[0]:  # B and C, one for each group of heads
                half = Run(size / 2, op.groups, copies=True, noun="groups")
                return (half, half)
            return (Run(size, op.state.shape[1], noun="heads"),)
        case GatedDelta():
            _, heads, dk, dv = op.state.shape
            if value is not op.x:
                return (Run(size, heads, noun="heads"),)
            keys = (size - heads * dv) / 2
            k = Run(keys, keys / dk, noun="heads")
            return (k, k, Run(heads * dv, heads, noun="heads"))
        case LinearAttention():
            part = Run(size / 3, op.state.shape[1], noun="heads")
            return (part, part, part)
    return None
