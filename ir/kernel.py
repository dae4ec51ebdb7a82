"""Kernels: ops of one label are one launch, and what stays inside moves on chip.

Fusing is a label, not a region: the ops stay where they are, so every later rule still sees
them, and quantize → fuse → shard equals shard → fuse → quantize.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from heapq import heappop, heappush
from typing import TYPE_CHECKING

import sympy as sp

from mansard.core.errors import VerifyError
from mansard.core.records import dataclass
from mansard.core.symbols import Expr, total
from mansard.ir.cost import MATRIX, Cost, merged
from mansard.ir.once import once
from mansard.ir.op import Op
from mansard.ir.value import ONCHIP, Value, stored_parts

if TYPE_CHECKING:
    from mansard.ir.graph import Graph


_WEIGHED = {"values", "partial_values"}
"""Kinds of op that weigh values; with scores they are an attention."""


@dataclass(frozen=True, eq=False)
class Kernel:
    """One launch: an op, or the ops of one label.

    Args:
        label: unique in its graph; a plain op's is the name of its result.
        ops: in graph order.
        graph: they belong to.
    """

    label: str
    ops: tuple[Op, ...]
    graph: Graph

    @property
    def name(self) -> str:
        """What people call it: the label without the suffix that makes it unique."""
        return plain_name(self.label if len(self.ops) > 1 else self.ops[0].name)

    @cached_property
    def kind(self) -> str:
        """The kind of the op that gives it its work: its matrix product where it has one."""
        workers = [op for op in self.ops if not op.is_view]
        kinds = dict.fromkeys(op.kind for op in workers if _uses_matrix_unit(op))
        if "scores" in kinds and kinds.keys() & _WEIGHED:
            return "attention"
        return next(iter(kinds), workers[0].kind if workers else self.ops[0].kind)

    @property
    def device(self) -> str:
        """Where it runs."""
        return self.ops[0].device

    def dims(self) -> dict[str, Expr | str]:
        """The named sizes of its ops; of two of one name the first counts.

        An attention's are those of its scores; ``value_dim`` says how wide values are, where that
        is not how wide keys are.
        """
        found: dict[str, Expr | str] = {}
        for op in sorted(self.ops, key=lambda op: not _uses_matrix_unit(op)):
            sizes = dict(op.dims())
            if op.kind in _WEIGHED and found.get("head_dim", width := sizes["head_dim"]) != width:
                sizes["value_dim"] = width
            found = {**sizes, **found}
        return found

    @cached_property
    def cost(self) -> Cost:
        """Its work; see ``fused_cost``."""
        if len(self.ops) == 1:
            return work_of(self.ops[0])
        return fused_cost(self.ops, self.graph)


def plain_name(label: str) -> str:
    """Drop the suffix that makes a label unique: ``layers.q_proj~1`` → ``layers.q_proj``."""
    return label.partition("~")[0]


@once
def work_of(op: Op) -> Cost:
    """Return what an op costs; a kernel asks for it more than once."""
    return op.cost()


def _uses_matrix_unit(op: Op) -> bool:
    return any(unit == MATRIX for unit, _, _ in work_of(op).flops)


def kernels(graph: Graph) -> tuple[Kernel, ...]:
    """Group a graph's ops by kernel label, each as early as its first op and its operands allow.

    Raises:
        VerifyError: kernels wait for each other.
    """
    groups: dict[str, list[Op]] = {}
    for op in graph.ops:
        groups.setdefault(op.kernel or f"\0{op.out.name}", []).append(op)
    found = [Kernel(label.lstrip("\0"), tuple(ops), graph) for label, ops in groups.items()]
    return _launch_order(found) if any(op.kernel for op in graph.ops) else tuple(found)


def _launch_order(found: list[Kernel]) -> tuple[Kernel, ...]:
    owner = {out: at for at, kernel in enumerate(found) for op in kernel.ops for out in op.outs}
    waits: list[set[int]] = []
    wakes: dict[int, list[int]] = {}
    for at, kernel in enumerate(found):
        read = (p for op in kernel.ops for v in op.operands for p in (v, *stored_parts(v)))
        waits.append({owner[v] for v in read if v in owner} - {at})
        for before in waits[-1]:
            wakes.setdefault(before, []).append(at)
    ready = [at for at, before in enumerate(waits) if not before]
    order: list[Kernel] = []
    while ready:
        order.append(found[at := heappop(ready)])
        for later in wakes.get(at, ()):
            waits[later].discard(at)
            if not waits[later]:
                heappush(ready, later)
    if len(order) < len(found):
        stuck = ", ".join(repr(k.label) for k, before in zip(found, waits, strict=True) if before)
        raise VerifyError(
            f"no kernel of {stuck} can be launched first: they wait for each other",
            hint="split a kernel, or give its ops one label",
        )
    return tuple(order)


def fused_cost(ops: tuple[Op, ...], graph: Graph) -> Cost:
    """Return the cost of ops that are one launch.

    FLOPs add. A value made and used only inside moves on chip; one that crosses the border moves
    once, however many inner ops read it: the larger read where that is provable, else the sum.
    """
    inside = set(ops)
    made: set[Value] = set()
    for op in ops:  # a view of what came from outside is outside as well
        if not op.is_view or op.operands[0] in made:
            made.update(op.outs)
    costs = [work_of(op) for op in ops]
    reads: dict[Value, Expr] = {}
    for cost in costs:
        for value, size in cost.reads.items():
            key = _on_chip(value) if value in made and value.role == "activation" else value
            reads[key] = _larger(reads[key], size) if key in reads else size
    writes: dict[Value, Expr] = {}
    for cost in costs:
        for value, size in cost.writes.items():
            crossing = size if value.role != "activation" else _crossing(value, inside, graph)
            if crossing != 0:
                writes[value] = crossing
            if crossing != size:
                writes[_on_chip(value)] = size - crossing
    return Cost(
        merged(c.flops for c in costs), reads, writes, merged(c.payload for c in costs), sp.S.One
    )


def _on_chip(value: Value) -> Value:
    return value.with_type(place=ONCHIP)


def _crossing(value: Value, inside: set[Op], graph: Graph) -> Expr:
    """Return the bytes of ``value`` that leave a kernel, the views inside it looked through."""
    users = graph.uses.get(value, ())
    if value in graph.outputs or any(op not in inside for op in users):
        return value.bytes
    crossing = [
        _smaller(value.bytes, _crossing(op.out, inside, graph)) for op in users if op.is_view
    ]
    return _smaller(value.bytes, total(crossing))


def _smaller(whole: Expr, part: Expr) -> Expr:
    """Return ``part`` unless it is provably no less than ``whole``."""
    if part == 0:
        return part
    signs = {bool(c >= 0) for c in sp.expand(part - whole).as_coefficients_dict().values()}
    return whole if signs == {True} else part


def _larger(a: Expr, b: Expr) -> Expr:
    if a == b:
        return a
    signs = {bool(c >= 0) for c in sp.expand(a - b).as_coefficients_dict().values()}
    return a + b if len(signs) > 1 else a if signs == {True} else b


def relabel(op: Op, kernel: str) -> Op:
    """Return the op as part of another kernel."""
    return op if op.kernel == kernel else replace(op, kernel=kernel)
