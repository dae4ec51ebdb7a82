"""Editing a graph at every depth at once: leaves, attributes and regions in one pass of inference.

``ir.rewrite`` changes either leaves or ops and infers after each. Where a shape and the attributes
that name it change together no state in between is valid, so they are changed together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.region import Region
from mansard.ir.value import TensorType, Value
from mansard.ir.verify import same_type, verify

Leaves = Callable[[Value], TensorType]
Attributes = Callable[[Op], Op]


def edited(
    graph: Graph, *, leaves: Leaves = lambda v: v.type, attributes: Attributes = lambda op: op
) -> Graph:
    """Return the graph with new types of leaves and new attributes of ops, at every depth.

    Args:
        graph: to change.
        leaves: the new type of each leaf; its own where nothing changes.
        attributes: the new form of each op, its operands unchanged; itself where nothing changes.
    """
    new = {v: Value(v.name, t) for v in graph.leaves if (t := leaves(v)) != v.type}
    bodies: dict[tuple[Graph, tuple[TensorType, ...]], Graph] = {}

    def visit(g: Graph, inputs: Mapping[Value, Value]) -> Graph:
        now = {**new, **inputs}
        ops = []
        for old in g.ops:
            op = attributes(old).with_operands(now)
            if isinstance(op, Region):
                op = region(op)
            if op is not old:
                op = _inferred(op, now)
            ops.append(op)
        outputs = tuple(now.get(v, v) for v in g.outputs)
        if tuple(ops) == g.ops and outputs == g.outputs and not inputs:
            return g
        given = tuple(now.get(v, v) for v in g.inputs)
        return replace(g, inputs=given, ops=tuple(ops), outputs=outputs)

    def region(op: Region) -> Region:
        handed = tuple(
            replace(v.type, storage=v.storage if i.storage else "", role=i.role, parts=())
            for i, v in zip(op.body.inputs, op.ins, strict=True)
        )
        if (op.body, handed) not in bodies:
            pairs = zip(op.body.inputs, handed, strict=True)
            inputs = {i: Value(i.name, t) for i, t in pairs if not same_type(i.type, t)}
            bodies[op.body, handed] = visit(op.body, inputs)
        body = bodies[op.body, handed]
        return op if body is op.body else replace(op, body=body)

    done = visit(graph, {})
    return done if done is graph else verify(done)


def _inferred(op: Op, now: dict[Value, Value]) -> Op:
    """Infer results again; keep each value whose type is still the same."""
    outs = tuple(
        out if same_type(out.type, t) and out.type.parts == t.parts else Value(out.name, t)
        for out, t in zip(op.outs, op.infer(), strict=True)
    )
    now.update({a: b for a, b in zip(op.outs, outs, strict=True) if a is not b})
    return op if outs == op.outs else replace(op, outs=outs)
