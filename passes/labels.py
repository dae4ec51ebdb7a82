"""Kernel labels: joining ops into one launch without losing those already joined to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.ops import Quantize
from mansard.ir.value import Value


def together(graph: Graph, ops: Iterable[Op], label: str) -> dict[Op, str]:
    """Return the new label of each op, and of every op that shared a kernel with one of them."""
    ops = tuple(ops)
    old = {op.kernel for op in ops} - {""}
    mates = (op for op in graph.ops if op.kernel in old)
    return dict.fromkeys((*ops, *mates), label)


def relabelled(graph: Graph, labels: dict[Op, str], because: str) -> dict[Op, list[Op]]:
    """Return the edits that give ops their labels and say why."""
    return {
        op: [replace(op, kernel=label).explained(because)]
        for op, label in labels.items()
        if op.kernel != label
    }


def source(graph: Graph, value: Value) -> tuple[Op | None, tuple[Op, ...]]:
    """Return the op that computes a value, and the views between them, nearest first."""
    views: list[Op] = []
    owner = graph.producers.get(value)
    while owner is not None and owner.is_view:
        views.append(owner)
        owner = graph.producers.get(owner.operands[0])
    return owner, tuple(views)


def maker(graph: Graph, value: Value) -> Op | None:
    """Return the op that computes a value before it is stored narrower, views looked through."""
    owner = graph.producers.get(value)
    while owner is not None and (owner.is_view or isinstance(owner, Quantize)):
        owner = graph.producers.get(owner.operands[0])
    return owner


def readers(graph: Graph, value: Value) -> Iterator[Op]:
    """Yield the ops that read a value, as it is or stored narrower."""
    for user in graph.uses.get(value, ()):
        if isinstance(user, Quantize):
            yield from readers(graph, user.out)
        else:
            yield user
