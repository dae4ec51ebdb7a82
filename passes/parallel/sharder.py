"""Dividing a graph over the ranks of one axis, by dataflow.

A product with a whole operand is divided by its rows, one with a divided operand by its columns
and leaves summands. Every other op follows its operands by a rule of its own. What reaches an op
that needs it whole sends the products it came from back to being whole, and the walk starts again:
so routers, low-rank projections and everything between them stay undivided without being named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sympy as sp

from mansard.core.errors import SpecError
from mansard.core.symbols import Expr, ceil_div
from mansard.ir.builder import fresh_name
from mansard.ir.graph import Graph
from mansard.ir.op import Op, finish
from mansard.ir.ops import Collective, Dequantize, GroupedLinear, Slice
from mansard.ir.value import Shape, Value, stored_parts
from mansard.passes.parallel.demands import runs
from mansard.passes.parallel.layout import (
    Part,
    Sharding,
    Split,
    divided,
    fits,
)
from mansard.passes.parallel.planned import Frame, NeedsWhole, Plan
from mansard.passes.parallel.uneven import is_single, uneven
from mansard.passes.parallel.weights import pushed


class Sharder:
    """How every value of a graph lies on the ranks of an axis.

    Args:
        ranks: of the axis.
        axis: its name in the mesh.
        why: written on every op that changes.
        experts: ranks that divide the width of experts: all, or fewer where whole experts are
            spread over the axis as well.
    """

    def __init__(self, ranks: int, axis: str, why: str, experts: int | None = None):
        self.ranks, self.axis, self.why = ranks, axis, why
        self.experts = ranks if experts is None else experts
        self.kept: set[Op] = set()
        self.whole_leaves: set[Value] = set()
        self.reset()

    def reset(self) -> None:
        """Forget everything but what is known to stay whole."""
        self.leaves: dict[Value, Split] = {}
        self.owners: dict[Value, Op] = {}
        self.claimed: set[tuple[Op, Value]] = set()
        self.problems: dict[Op, SpecError] = {}
        self.seen: dict[Graph, tuple[Sharding, ...]] = {}
        self.frames: dict[Graph, Frame] = {}
        self.frame = Frame()
        self.top: Graph | None = None

    @property
    def reduced(self) -> Mapping[Value, Value]:
        """Summands of the graph at hand that were added up, and the sum."""
        return self.frame.reduced

    # What the rules ask and say.

    def of(self, value: Value) -> Sharding:
        """Return how a value lies; one that was summed up is whole."""
        return None if value in self.reduced else self.frame.state.get(value)

    def split(self, value: Value) -> Split | None:
        """Return how a value is divided; None when it is whole."""
        found = self.of(value)
        return found if isinstance(found, Split) else None

    def plan(self, op: Op) -> Plan:
        """Return what is planned for an op."""
        return self.frame.plans.setdefault(op, Plan())

    def set(self, op: Op, **attributes: Any) -> None:
        """Change attributes of an op."""
        self.plan(op).attributes.update(attributes)

    def parts(self, graph: Graph, op: Op, value: Value, ranks: int) -> tuple[Part, ...]:
        """Return the parts a product's result is divided in, as its readers need them."""
        axis = len(value.shape) - 1
        found = runs(graph, value, axis)
        if self._handed_out(graph, value) and len(found) == 1:
            return (self.padded(found[0].size),)
        for run in found:
            if is_single(run, ranks):
                raise NeedsWhole({op}, op)
            if not fits(run, ranks):
                self.problems.setdefault(op, uneven(op, run, ranks, self.axis))
        return tuple(divided(run, ranks) for run in found)

    def padded(self, rows: Expr) -> Part:
        """Return what a rank holds of a vocabulary: engines pad it to a multiple of the ranks."""
        return Part(rows, ceil_div(rows, sp.Integer(self.ranks)))

    def claim(
        self, graph: Graph, op: Op, value: Value, axis: int, parts: tuple[Part, ...],
        blamed: frozenset[Op] = frozenset(),
    ) -> None:  # fmt: skip
        """Divide an operand that no rank computes: a weight, a cache, a state.

        Raises:
            NeedsWhole: others need it otherwise; ``blamed``, or ``op`` itself, gives way.
        """
        self.claimed.add((op, value))
        if value in self.whole_leaves and len(value.shape) == 1 and len(parts) == 1:
            self._own_part(op, value, parts[0])
            return
        for each, split in pushed(graph, value, Split(axis % len(value.shape), parts)):
            if each in graph.producers:
                self.frame.between[each] = split
                continue
            old = self.leaves.get(each)
            if each in self.whole_leaves or (old is not None and old.parts != split.parts):
                raise NeedsWhole(blamed or {op}, op)
            self.leaves[each] = split
            self.owners[each] = op

    def claim_whole(self, graph: Graph, op: Op, value: Value) -> None:
        """Note that an op reads a weight undivided."""
        for leaf in _roots(graph, value):
            self.whole_leaves.add(leaf)
            if leaf in self.leaves:
                vector = len(leaf.shape) == 1  # others then read their part of it
                raise NeedsWhole(() if vector else {self.owners[leaf]}, op)

    def _own_part(self, op: Op, vector: Value, part: Part) -> None:
        """Let an op read its part of a vector that is stored whole for another."""
        own = finish(
            Slice(vector, 0, 0, part.local, kernel=op.kernel), self.fresh(f"{vector.name}.own")
        )
        self.plan(op).before.append(own.explained(self.why))
        self.plan(op).operands[vector] = own.out

    def refuse(self, op: Op, *values: Value) -> Sharding:
        """Send what divided these values back to being whole.

        Raises:
            NeedsWhole: always, unless none of them is divided.
        """
        origins = {o for v in values if isinstance(s := self.of(v), Split) for o in s.origins}
        if origins:
            raise NeedsWhole(origins, op)
        if any(isinstance(self.of(v), Split) for v in values):
            raise SpecError(
                f"{op.kind} %{op.out.name} needs whole what is divided over {self.axis}",
                hint="use fewer ranks of it, or another axis",
            )
        return None

    def summed(self, graph: Graph, op: Op, value: Value) -> None:
        """Let an op that needs summands added up read what an all-reduce makes of them."""
        self.plan(op).operands[value] = self.sum(graph, value)

    def sum(self, graph: Graph, value: Value) -> Value:
        """Return what an all-reduce makes of summands, planned once."""
        if value not in self.reduced:
            reduce = self.collective(value, "all_reduce", graph.producers[value].name)
            self.plan(graph.producers[value]).after.append(reduce)
            self.frame.reduced[value] = reduce.out
        return self.reduced[value]

    def collective(self, value: Value, kind: str, name: str, shape: Shape = ()) -> Op:
        """Return a finished collective over the axis, named after the op it belongs to."""
        label = f"{name}.{kind}"
        op = Collective(value, kind, self.axis, sp.Integer(self.ranks), shape, name=label,
                        because=(self.why,))  # fmt: skip
        return finish(op, self.fresh(f"{value.name}.{kind}"))

    def fresh(self, name: str) -> str:
        """Return a name no value of the graph at hand has."""
        return fresh_name(name, self.frame.taken)

    def enter(self, graph: Graph) -> None:
        """Start on a graph: what is asked and said is of it until another is entered."""
        names = {v.name for v in (*graph.inputs, *graph.producers)}
        self.frame = self.frames[graph] = Frame(taken=names)

    @property
    def held_again(self) -> tuple[str, ...]:
        """Products of whose weights several ranks hold the same part: fewer heads than ranks."""
        found: dict[str, None] = {}
        for leaf, split in self.leaves.items():
            more = max(p.local * self.ranks - p.whole for p in split.parts)
            made = self.owners[leaf]
            if leaf.role == "weight" and more >= self.ranks and not isinstance(made, GroupedLinear):
                found[made.name] = None
        return tuple(found)

    def _handed_out(self, graph: Graph, value: Value) -> bool:
        """Whether a value leaves the graph, perhaps after elementwise ops: logits do."""
        if graph is not self.top:
            return False
        while value not in graph.outputs:
            users = graph.uses.get(value, ())
            if len(users) != 1 or not users[0].is_elementwise:
                return False
            value = users[0].out
        return True


def _roots(graph: Graph, value: Value) -> Iterable[Value]:
    owner = graph.producers.get(value)
    if owner is None:
        yield from (p for p in stored_parts(value) if p.storage)
    elif owner.is_view or isinstance(owner, Dequantize):
        for v in owner.operands:
            yield from _roots(graph, v)
