"""From a plan to the graph of one rank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mansard.core.symbols import Expr
from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.region import Region
from mansard.ir.rewrite import rebuild
from mansard.ir.value import Value, stored_parts
from mansard.passes.parallel.kernels import split_at_collectives
from mansard.passes.parallel.layout import (
    Split,
)
from mansard.passes.parallel.planned import Frame, Plan


class Ranked:
    """The graph of one rank, built body by body as planned.

    Args:
        frames: what is planned of each graph.
        leaves: how stored values are divided.
        why: written on every op that changes.
    """

    def __init__(self, frames: Mapping[Graph, Frame], leaves: Mapping[Value, Split], why: str):
        self._frames, self._why = frames, why
        self._bodies: dict[Graph, Graph] = {}
        self._leaves = {
            v: v.with_type(shape=s.shape(v.shape), live=_scaled(v.type.live, s.ratio))
            for v, s in leaves.items()
            if s.ratio != 1
        }

    def graph(self, graph: Graph, inputs: Mapping[Value, Value]) -> Graph:
        """Return a body of a rank, its inputs replaced."""
        frame = self._frames[graph]
        edits: dict[Op, list[Op]] = {}
        swapped: dict[Value, Value] = {}
        for op in graph.ops:
            new = _edited(op, frame, self._leaves, self._why)
            if isinstance(new, Region):
                new = replace(new, body=self._body(new))
            plan = frame.plans.get(op, Plan())
            swapped |= plan.swapped
            if new is not op or plan.before or plan.after:
                edits[op] = [*plan.before, new, *plan.after]
        if frame.last:
            edits.setdefault(graph.ops[-1], [graph.ops[-1]]).extend(frame.last)
        outputs = tuple(frame.outputs.get(v, v) for v in graph.outputs)
        start = replace(graph, outputs=outputs) if outputs != graph.outputs else graph
        made = rebuild(start, leaves=self._leaves, inputs=inputs, edits=edits, swapped=swapped)
        return split_at_collectives(made)

    def _body(self, op: Region) -> Graph:
        if op.body not in self._bodies:
            handed = _handed(op, self._frames[op.body])
            self._bodies[op.body] = self.graph(op.body, handed)
        return self._bodies[op.body]


def _handed(op: Region, frame: Frame) -> dict[Value, Value]:
    """Return the inputs of a body that are divided, as a rank has them."""
    found = {}
    for v in op.body.inputs:
        sharding = frame.state.get(v)
        if isinstance(sharding, Split) and sharding.ratio != 1:
            found[v] = v.with_type(shape=sharding.shape(v.shape))
    return found


def _edited(op: Op, frame: Frame, leaves: Mapping[Value, Value], why: str) -> Op:
    """Return an op as planned; the same when nothing of it changes."""
    plan = frame.plans.get(op, Plan())
    changes: dict[str, Any] = dict(plan.attributes)
    if op.outs and op.out in frame.between:
        changes |= view_attributes(op, frame.between[op.out])
    new = op.with_operands(plan.operands)
    new = replace(new, **changes) if changes else new
    touched = any(p in leaves for v in op.operands for p in stored_parts(v))
    touched = touched or any(v in frame.between for v in op.operands)
    return new.explained(why) if new is not op or touched else op


def view_attributes(op: Op, split: Split) -> dict[str, Any]:
    """Return the attributes of a view of a weight that name a divided axis of its result."""
    shape = getattr(op, "shape", None)
    if op.kind == "reshape" and shape is not None:
        return {"shape": split.shape(tuple(shape))}
    return {}


def _scaled(live: Expr | None, ratio: Expr) -> Expr | None:
    return None if live is None else live * ratio


def named_outputs(made: Graph, before: Graph) -> Graph:
    """Give the outputs of a graph the names callers know them by."""
    names = {v: old.name for v, old in zip(made.outputs, before.outputs, strict=True)}
    names = {v: name for v, name in names.items() if v.name != name}
    if not names:
        return made
    edits: dict[Op, list[Op]] = {}
    swapped: dict[Value, Value] = {}
    for op in made.ops:
        for out in op.outs:
            new = names.get(out, f"{out.name}.local" if out.name in names.values() else "")
            if new:
                swapped[out] = Value(new, out.type)
                outs = tuple(swapped.get(v, v) for v in op.outs)
                edits[op] = [replace(op, outs=outs)]
    return rebuild(made, edits=edits, swapped=swapped)
