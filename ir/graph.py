"""The immutable graph: inputs, ops in topological (SSA) order, outputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sympy as sp

from mansard.core.errors import unknown_name
from mansard.core.records import dataclass
from mansard.core.symbols import Expr, Symbol
from mansard.ir.cost import Cost, add
from mansard.ir.kernel import Kernel, kernels
from mansard.ir.once import once
from mansard.ir.op import Op
from mansard.ir.value import Value, stored_parts

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True, eq=False)
class Graph:
    """What runs once per call.

    Args:
        inputs: values the caller hands over.
        ops: in an order in which every operand is made before it is used.
        outputs: values a call may want, by name.
        defaults: symbols beyond ``B S P T R M`` with the value they take unless a call binds them.
    """

    inputs: tuple[Value, ...] = ()
    ops: tuple[Op, ...] = ()
    outputs: tuple[Value, ...] = ()
    defaults: tuple[tuple[Symbol, Expr], ...] = ()

    def __iter__(self) -> Iterator[Op]:
        return iter(self.ops)

    @cached_property
    def producers(self) -> dict[Value, Op]:
        """The op that makes each value."""
        return {out: op for op in self.ops for out in op.outs}

    @cached_property
    def uses(self) -> dict[Value, tuple[Op, ...]]:
        """The ops that read each value, bodies' reads of outer values left out."""
        found: dict[Value, list[Op]] = {}
        for op in self.ops:
            for v in dict.fromkeys(op.operands):
                found.setdefault(v, []).append(op)
        return {v: tuple(ops) for v, ops in found.items()}

    @cached_property
    def leaves(self) -> tuple[Value, ...]:
        """Stored values no op makes, of this graph and of every body, in order of first use."""
        found: dict[Value, None] = {}
        given = {*self.inputs, *self.producers}
        for op in self.ops:
            for v in op.operands:
                found.update(
                    {p: None for p in (v, *stored_parts(v)) if p not in given and not p.parts}
                )
            for body in op.bodies:
                found.update(dict.fromkeys(body.leaves))
        return tuple(found)

    def walk(self) -> Iterator[tuple[Op, Expr]]:
        """Yield every op with how often a call runs it, those of bodies after their region."""
        for op in self.ops:
            yield op, sp.S.One
            trips = getattr(op, "trips", sp.S.One)
            for body in op.bodies:
                yield from ((inner, n * trips) for inner, n in body.walk())

    @cached_property
    def kernels(self) -> tuple[Kernel, ...]:
        """The ops in launch order, those of one label as one kernel."""
        return kernels(self)

    @cached_property
    def cost(self) -> Cost:
        """The work of one call, every kernel and body included."""
        return add(k.cost for k in self.kernels)

    def output(self, name: str) -> Value:
        """Return the output called ``name``.

        Raises:
            UnknownNameError: there is none.
        """
        found = next((v for v in self.outputs if v.name == name), None)
        if found is None:
            raise unknown_name("output", name, (v.name for v in self.outputs))
        return found

    @once
    def wanting(self, wants: tuple[str, ...]) -> Graph:
        """Return the graph without what only unwanted outputs need; effects stay."""
        kept = tuple(self.output(name) for name in wants)
        return self if kept == self.outputs else drop_dead(replace(self, outputs=kept))

    def nx(self) -> nx.MultiDiGraph:
        """Return the read-only networkx view: nodes are ops, edges carry the value."""
        from mansard.ir.view import to_networkx

        return to_networkx(self)

    def __str__(self) -> str:
        from mansard.ir.text import print_graph

        return print_graph(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        from mansard.ir.text import folded

        ops = sum(1 for _ in self.walk())
        return folded(f"graph of {ops} operators in {len(self.kernels)} kernels", str(self))


def drop_dead(graph: Graph) -> Graph:
    """Return the graph without ops that no output needs and that have no effect."""
    live = {part for v in graph.outputs for part in (v, *stored_parts(v))}
    kept: list[Op] = []
    for op in reversed(graph.ops):
        if op.has_effect or any(o in live for o in op.outs):
            kept.append(op)
            live.update(part for v in op.operands for part in (v, *stored_parts(v)))
    ops = tuple(reversed(kept))
    return graph if len(ops) == len(graph.ops) else replace(graph, ops=ops)
