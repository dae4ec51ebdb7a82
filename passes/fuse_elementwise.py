"""Epilogues: elementwise ops join the kernel that made their operand."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from mansard.core.records import dataclass
from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.ops import (
    Activation,
    Add,
    Append,
    Embedding,
    GatedActivation,
    GroupedLinear,
    LayerNorm,
    Linear,
    Multiply,
    Quantize,
    RMSNorm,
    Rope,
    Scale,
    SoftCap,
)
from mansard.ir.rewrite import Rewritten, everywhere, rebuild
from mansard.ir.value import Value
from mansard.ir.verify import verify
from mansard.passes.labels import source
from mansard.passes.options import option
from mansard.passes.technique import EVERY, Pass

PRODUCERS = (
    Linear, GroupedLinear, RMSNorm, LayerNorm, Embedding, Activation, GatedActivation, Add,
    Multiply, Scale, SoftCap, Rope, Append, Quantize,
)  # fmt: skip
"""Ops whose kernel can apply an elementwise op before it stores its result."""
REASON = "applied before the result is stored [Yuan 2024, §5.1]"


@dataclass(frozen=True)
class FuseElementwise(Pass):
    """Apply elementwise ops in the kernel that produces their operand, before it is stored.

    Removes no arithmetic, and two moves of every value that only crosses such an edge. Legal when
    the value has no other reader and the kernel need not wait for what waits for it.
    """

    name = "fuse-elementwise"
    noun = "op"
    source = "[Yuan 2024, §5.1]"
    assumes = (
        "a producer's tile holds what the op needs: norms, which need whole rows, stay apart",
    )

    on: str = option(EVERY, "the graph it changes; every graph unless given")

    def transform(self, graph: Graph) -> Rewritten:
        """Label, in graph order, so that a chain of ops joins one kernel."""
        found = 0

        def one(body: Graph) -> Graph:
            nonlocal found
            labels = joining(body)
            found += sum(op.is_elementwise for op in labels)
            reason = f"{self.name}: {REASON}"
            edits = {
                op: [replace(op, kernel=label).explained(reason)]
                for op, label in labels.items()
                if op.kernel != label
            }
            return rebuild(body, edits=edits) if edits else body

        changed = everywhere(graph, one)
        return Rewritten(graph if changed is graph else verify(changed), found)

    def counts(self, op: Op) -> bool:
        """The ops that joined, not the producers they joined."""
        return op.is_elementwise


def joining(graph: Graph, where: Callable[[Op], bool] = lambda op: True) -> dict[Op, str]:
    """Return the label of each op that joins a kernel, of its producer and the views between.

    Args:
        graph: one body.
        where: which elementwise ops may join.
    """
    now = _Kernels(graph)
    order = {out: at for at, op in enumerate(graph.ops) for out in op.outs}
    for op in graph.ops:
        mates = now.mates(op)
        if not (op.is_elementwise and where(op) and _leads(op, mates)):
            continue
        made = sorted((v for v in op.operands if v in order), key=order.__getitem__)
        if not made:
            continue
        producer, views = source(graph, made[-1])
        if not isinstance(producer, PRODUCERS) or not _only_reader(graph, op, producer, views):
            continue
        label = now.label[producer] or producer.out.name
        kernel = {*now.members.get(label, ()), producer, *views, *mates}
        if label == now.label[op] or any(
            _waits(graph, v, kernel, now) for m in mates for v in m.operands
        ):
            continue
        now.join(kernel, label)
    labels = {op: label for op, label in now.label.items() if label != op.kernel}
    touched = set(labels.values())
    for op in graph.ops:
        alone = op.is_view and len(op.operands) == 1  # a join may wait for more than the kernel
        owner = graph.producers.get(op.operands[0]) if alone else None
        if owner is not None and not now.label[op] and now.label[owner] in touched:
            now.label[op] = labels[op] = now.label[owner]
    return labels


class _Kernels:
    """The label of each op of a graph while kernels form, and the ops of each label in order."""

    def __init__(self, graph: Graph) -> None:
        self.label = {op: op.kernel for op in graph.ops}
        self._at = {op: at for at, op in enumerate(graph.ops)}
        self.members: dict[str, tuple[Op, ...]] = {}
        for op in graph.ops:
            if op.kernel:
                self.members[op.kernel] = (*self.members.get(op.kernel, ()), op)

    def mates(self, op: Op) -> tuple[Op, ...]:
        """Return the ops of a kernel that has been formed already, or the op alone."""
        return self.members[self.label[op]] if self.label[op] else (op,)

    def join(self, ops: Collection[Op], label: str) -> None:
        """Make ops the kernel of a label; other labels lose them."""
        for old in {self.label[op] for op in ops} - {"", label}:
            self.members[old] = tuple(o for o in self.members[old] if o not in ops)
        self.label |= dict.fromkeys(ops, label)
        self.members[label] = tuple(sorted(ops, key=self._at.__getitem__))


def _leads(op: Op, mates: tuple[Op, ...]) -> bool:
    """Whether a kernel begins with ``op`` and is elementwise throughout, so it can join another."""
    workers = [mate for mate in mates if not mate.is_view]
    return workers[0] is op and all(mate.is_elementwise for mate in workers)


def _only_reader(graph: Graph, op: Op, producer: Op, views: tuple[Op, ...]) -> bool:
    """Whether nothing but ``op`` reads the value (or the view of it) that it would take over."""
    if any(v in graph.outputs for v in producer.outs):
        return False
    chain = [*(view.out for view in views), *([] if views else [producer.out])]
    if any(set(graph.uses.get(v, ())) - {op, *views} for v in chain):
        return False
    return not views or all(user.is_view for user in graph.uses[producer.out])


def _waits(graph: Graph, value: Value, kernel: set[Op], now: _Kernels) -> bool:
    """Whether a value from outside a kernel depends on the kernel, through others if need be."""
    owner = graph.producers.get(value)
    if owner is None or owner in kernel or _is_view_of(owner, kernel, graph):
        return False
    pending, seen = [owner], {owner}
    while pending:
        for mate in now.mates(pending.pop()):
            for operand in mate.operands:
                above = graph.producers.get(operand)
                if above in kernel:
                    return True
                if above is not None and above not in seen:
                    seen.add(above)
                    pending.append(above)
    return False


def _is_view_of(op: Op, kernel: set[Op], graph: Graph) -> bool:
    """Whether an op is a chain of views on a result of the kernel: it can join it."""
    owner: Op | None = op
    while owner is not None and owner.is_view:
        owner = graph.producers.get(owner.operands[0])
    return owner in kernel
