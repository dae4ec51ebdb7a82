"""Mixers with a state: channels and heads are independent."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.ops.recurrent import Recurrence, SelectiveScan, StateSpaceDual
from mansard.passes.parallel.layout import Part, Sharding, Split
from mansard.passes.parallel.sharder import Sharder


def recurrence_rule(s: Sharder, graph: Graph, op: Op) -> Sharding | tuple[Sharding, ...]:
    """Channels or heads are independent: state and parameters are divided as the tokens are."""
    assert isinstance(op, Recurrence)
    x = s.split(op.x)
    if x is None or x.axis != len(op.x.shape) - 1:
        return s.refuse(op, *op.operands)
    shared = SHARED_INPUTS.get(type(op), ())
    for at, value in enumerate(op.inputs):
        if s.split(value) is None and at not in shared:
            return s.refuse(op, *op.operands)
    mine = x.parts[-1].local / x.parts[-1].whole  # the values' share; q and k may be shared wider
    state = _stored(x, op.state.shape[1], mine)
    s.claim(graph, op, op.state, 1, state)
    for param in op.params:
        axis = next((k for k, n in enumerate(param.shape) if n != 1), 0)
        s.claim(graph, op, param, axis, _stored(x, param.shape[axis], mine))
    if isinstance(op, StateSpaceDual) and op.inputs and (bc := s.split(op.inputs[0])):
        s.set(op, groups=op.groups * bc.ratio)
    width = op.out.shape[-1]
    out = x.parts if width == x.whole else (Part(width, width * mine),)
    return replace(x, parts=out), Split(1, state, x.origins)


SHARED_INPUTS: dict[type[Op], tuple[int, ...]] = {SelectiveScan: (1,), StateSpaceDual: (0,)}
"""Inputs that every channel or head reads, and that may be whole: B and C of state spaces."""


def _stored(x: Split, size: sp.Expr, mine: sp.Expr) -> tuple[Part, ...]:
    return x.parts if size == x.whole else (Part(size, size * mine),)
