"""Kernels end at a collective: what waits for the exchange is another launch."""

from __future__ import annotations

from dataclasses import replace

from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.ops import Collective
from mansard.ir.rewrite import rebuild
from mansard.ir.value import Value


def split_at_collectives(graph: Graph) -> Graph:
    """Return the graph with every kernel ended where an op of it waits for a collective.

    An epilogue behind a row-parallel product cannot be applied before the ranks' sums are added,
    so it leaves the product's kernel; several such ops stay together, as fusing after dividing
    would have left them.
    """
    labels = {op: op.kernel for op in graph.ops}
    pending = list(dict.fromkeys(op.kernel for op in graph.ops if op.kernel))
    while pending:
        label = pending.pop(0)
        after = _after(graph, labels, label)
        if not after:
            continue
        works = [op for op in after if not op.is_view]
        new = works[0].out.name if len(works) > 1 else ""
        labels.update(dict.fromkeys(after, new))
        pending += [new] if new else []
    edits = {op: [replace(op, kernel=k)] for op, k in labels.items() if op.kernel != k}
    return rebuild(graph, edits=edits) if edits else graph


def _after(graph: Graph, labels: dict[Op, str], label: str) -> list[Op]:
    """Return the ops of a kernel that wait for a collective which waits for the kernel."""
    inside: set[Value] = set()
    waiting: set[Value] = set()
    found = []
    for op in graph.ops:
        late = any(v in waiting for v in op.operands)
        if labels[op] == label and not late:
            inside.update(op.outs)
        elif labels[op] == label:
            found.append(op)
            waiting.update(op.outs)
        elif late or (isinstance(op, Collective) and any(v in inside for v in op.operands)):
            waiting.update(op.outs)
        elif any(v in inside for v in op.operands) and not labels[op]:
            inside.update(op.outs) if op.is_view else None
    return found
