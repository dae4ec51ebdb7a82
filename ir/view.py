"""Read-only views of a graph: networkx, the longest chain of kernels, what is alive when."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import networkx as nx

from mansard.core.expressions import print_expression
from mansard.ir.graph import Graph
from mansard.ir.kernel import Kernel
from mansard.ir.liveness import live_sets, liveness
from mansard.ir.op import Op
from mansard.ir.value import Value, stored_parts

__all__ = ["critical_path", "live_sets", "liveness", "to_networkx"]


def to_networkx(graph: Graph) -> nx.MultiDiGraph:
    """Return the graph of ops: nodes are inputs and ops, edges carry the value.

    A node is called like its first result, inside a body ``region/result``. Ops of a body hang
    between the producers of the region's operands and the region. Every attribute is a string.
    """
    view = nx.MultiDiGraph()
    nodes: dict[Value, str] = {}
    for value in graph.inputs:
        view.add_node(value.name, kind="input", label=value.name, type=repr(value))
        nodes[value] = value.name
    _add(view, graph, nodes, "", set(graph.outputs))
    return view


def _add(
    view: nx.MultiDiGraph, graph: Graph, nodes: dict[Value, str], inside: str, outputs: set[Value]
) -> None:
    for op in graph.ops:
        name = f"{inside}{op.out.name}"
        for body in op.bodies:
            handed = zip(body.inputs, op.operands, strict=False)
            given = {i: nodes[v] for i, v in handed if v in nodes}
            _add(view, body, given, f"{name}/", set())
            nodes |= {v: given[v] for v in body.outputs if v in given}
        view.add_node(name, **_attributes(op, inside.rstrip("/"), outputs))
        sources = op.operands if not op.bodies else [v for b in op.bodies for v in b.outputs]
        for v in dict.fromkeys(sources):
            if v in nodes:
                size = print_expression(v.bytes)
                view.add_edge(nodes[v], name, value=v.name, type=repr(v), bytes=size)
        nodes |= dict.fromkeys(op.outs, name)


def _attributes(op: Op, region: str, outputs: set[Value]) -> dict[str, str]:
    leaves = (p for v in op.operands for p in stored_parts(v) if p.storage)
    return {
        "kind": op.kind,
        "label": op.name,
        "type": ", ".join(map(repr, op.outs)),
        "kernel": op.kernel,
        "device": op.device,
        "region": region,
        "leaves": ", ".join(dict.fromkeys(v.storage for v in leaves)),
        "output": ", ".join(v.name for v in op.outs if v in outputs),
        "because": "; ".join(op.because),
    }


def critical_path(
    graph: Graph, weight: Callable[[Kernel], float]
) -> tuple[tuple[Kernel, ...], float]:
    """Return the chain of kernels, each waiting for the one before, of the greatest weight.

    Args:
        graph: a region of it counts as one kernel.
        weight: of a kernel, a time or an amount of work; not negative.
    """
    best: dict[Kernel, tuple[float, Kernel | None]] = {}
    owner = {out: k for k in graph.kernels for op in k.ops for out in op.outs}
    for kernel in graph.kernels:
        before = [(best[k][0], k) for k in _waits_for(kernel, owner)]
        longest = max(before, key=lambda pair: pair[0], default=(0.0, None))
        best[kernel] = (longest[0] + weight(kernel), longest[1])
    last = max(best, key=lambda k: best[k][0], default=None)
    total = best[last][0] if last is not None else 0.0
    path: list[Kernel] = []
    while last is not None:
        path.append(last)
        last = best[last][1]
    return tuple(reversed(path)), total


def _waits_for(kernel: Kernel, owner: Mapping[Value, Kernel]) -> Iterator[Kernel]:
    operands = (p for op in kernel.ops for v in op.operands for p in (v, *stored_parts(v)))
    found = dict.fromkeys(owner[v] for v in operands if v in owner)
    yield from (k for k in found if k is not kernel)
