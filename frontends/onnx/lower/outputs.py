"""What a lowered graph hands out: the file's results, and the state its logits are made of."""

from __future__ import annotations

from dataclasses import replace

from mansard.core.symbols import T
from mansard.frontends.onnx.lower.scope import Scope
from mansard.ir.graph import Graph
from mansard.ir.op import same_size
from mansard.ir.ops import Linear, Reshape
from mansard.ir.value import Value

HIDDEN = "hidden"


def results(scope: Scope) -> tuple[str, ...]:
    """Return the names a graph's call may want: caches that are handed back are no results."""
    names = scope.graph.body.outputs
    if not scope.shared.raised:
        return names
    return tuple(o for o in names if not is_present(scope, o)) or names


def is_present(scope: Scope, name: str) -> bool:
    """Whether an output is a cache the caller hands back: rows of heads, new ones at the end."""
    shape = scope.tensor(name).shape
    low = name.lower()
    told = "present" in low or "past" in low or "cache" in low
    return shape is not None and len(shape) == 4 and told


def result(scope: Scope, name: str) -> Value:
    """Return the value of an output under the output's own name."""
    found = scope.value(name)
    if found.name == name:
        return found
    return scope.build(Reshape(found, found.shape, name="output"), name)


def named(graph: Graph, names: tuple[str, ...]) -> Graph:
    """Return the graph with its outputs called as the file calls them."""
    called = zip(graph.outputs, names, strict=True)
    return _renamed(graph, {v: n for v, n in called if v.name != n and not _taken(graph, n)})


def with_hidden(graph: Graph) -> Graph:
    """Return a decoder that hands out, after its logits, the state its last linear reads.

    So that a step that makes no token need not compute logits: it wants ``hidden``.
    """
    value = graph.outputs[0]
    for _ in range(4):  # views, a reshape to the file's name, a cap
        op = graph.producers.get(value)
        if op is None or isinstance(op, Linear):
            break
        value = op.operands[0] if op.operands else value
    if not isinstance(op, Linear) or op.w.role != "weight":
        return graph
    state = op.x
    if state not in graph.producers or state in graph.outputs or not same_size(state.shape[0], T):
        return graph
    whole = replace(graph, outputs=(*graph.outputs, state))
    return whole if _taken(graph, HIDDEN) else _renamed(whole, {state: HIDDEN})


def _taken(graph: Graph, name: str) -> bool:
    return any(v.name == name for v in (*graph.inputs, *graph.producers))


def _renamed(graph: Graph, names: dict[Value, str]) -> Graph:
    """Return the graph with some results under other names; ops keep theirs."""
    if not names:
        return graph
    new = {v: Value(name, v.type) for v, name in names.items()}
    ops = tuple(
        replace(
            op.with_operands({v: w for v, w in new.items() if v in op.operands}),
            outs=tuple(new.get(o, o) for o in op.outs),
        )
        for op in graph.ops
    )
    outputs = tuple(new.get(v, v) for v in graph.outputs)
    return replace(graph, ops=ops, outputs=outputs)
