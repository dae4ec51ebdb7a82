"""Pipeline stages: the busiest one, cut out of a graph at its layers."""

from __future__ import annotations

import re
from dataclasses import replace

import sympy as sp

from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.core.symbols import Expr, total
from mansard.ir.footprint import IN_FLIGHT
from mansard.ir.graph import Graph, drop_dead
from mansard.ir.op import Op, finish
from mansard.ir.ops import Collective
from mansard.ir.region import Repeat
from mansard.ir.rewrite import rebuild
from mansard.ir.value import Value
from mansard.ir.verify import verify
from mansard.passes.layers import layers_of

_INDEX = re.compile(r"\.(\d+)\.")
"""A layer's index in the name of a storage."""


@dataclass(frozen=True)
class Stage:
    """The stage that a pipeline waits for.

    Args:
        graph: its ops, the head among them.
        layers: it holds.
        of: layers of the model.
    """

    graph: Graph
    layers: int
    of: int

    @property
    def slots(self) -> Expr:
        """How many times its layers all other stages are."""
        return sp.Rational(self.of, self.layers) - 1


def busiest(graph: Graph, stages: int, axis: str, why: str) -> Stage:
    """Return the last stage of a pipeline with as many layers as any has.

    Layers are dealt evenly; where they do not divide, stages differ by one layer, and the last has
    the smaller number when its head outweighs a layer.

    Raises:
        SpecError: more stages than layers, or layers that a stage could not have alone.
    """
    units = _units(graph)
    layers = sum(u.layers for u in units)
    if layers < stages:
        raise SpecError(
            f"pp={stages} asks for more stages than the {layers} layers that repeat",
            hint=f"at most pp={max(layers, 1)}",
        )
    mine = -(-layers // stages)
    tail = total(u.weight for u in units[_last_repeat(units) + 1 :])
    heaviest = max(u.weight / u.layers for u in units if u.layers)
    if layers % stages and mine > 1 and bool(tail >= heaviest):
        mine -= 1
    kept: list[_Unit] = []
    wanted = mine
    for unit in reversed(units):
        if wanted <= 0:
            break
        kept.append(unit.shortened(wanted))
        wanted -= unit.layers
    return Stage(_cut(graph, list(reversed(kept)), axis, stages, why), mine, layers)


@dataclass(frozen=True, eq=False)
class _Unit:
    """An op of the graph: layers that repeat, the first op of a single layer, or any other."""

    op: Op
    layers: int

    @property
    def weight(self) -> Expr:
        """Bytes of the weights it reads, every trip counted."""
        leaves = self.op.body.leaves if isinstance(self.op, Repeat) else self.op.operands
        again = self.op.trips if isinstance(self.op, Repeat) else sp.S.One
        return total(v.bytes for v in leaves if v.role == "weight") * again

    def shortened(self, layers: int) -> _Unit:
        """Return the unit with at most so many layers; a part of a period is a part of a trip."""
        if self.layers <= layers or not isinstance(self.op, Repeat):
            return self
        trips = sp.Rational(layers, layers_of(self.op.body))
        return _Unit(replace(self.op, trips=trips), layers)


def _units(graph: Graph) -> list[_Unit]:
    units, seen = [], set[str]()
    for op in graph.ops:
        if isinstance(op, Repeat):
            units.append(_Unit(op, int(op.trips) * layers_of(op.body)))
            continue
        indices = {m[1] for v in op.operands for m in _INDEX.finditer(v.storage)} - seen
        seen |= indices
        units.append(_Unit(op, len(indices)))
    return units


def _last_repeat(units: list[_Unit]) -> int:
    return max((k for k, u in enumerate(units) if u.layers), default=-1)


def _cut(graph: Graph, kept: list[_Unit], axis: str, stages: int, why: str) -> Graph:
    """Return the graph of some ops; what others made comes over a link."""
    ops = [u.op for u in kept]
    made = {out for op in ops for out in op.outs}
    received: dict[Value, Value] = {}
    inputs: list[Value] = [v for v in graph.inputs if any(v in op.operands for op in ops)]
    sends: list[Op] = []
    for v in dict.fromkeys(v for op in ops for v in op.operands):
        if v in made or v not in graph.producers:
            continue
        if v.role != "activation":
            raise SpecError(
                f"pp={stages} would cut the layers that share %{v.name}",
                hint="use tp, or fewer stages",
            )
        given = Value(f"{v.name}.received", replace(v.type, parts=(), storage=""))
        send = Collective(given, "send", axis, sp.Integer(stages), name="stage.send")
        sends.append(replace(finish(send, f"{v.name}.send"), because=(why,)))
        inputs.append(given)
        received[v] = sends[-1].out
    start = Graph(tuple(inputs), (*sends, *ops), graph.outputs,
                  (*graph.defaults, (IN_FLIGHT, sp.S.One)))  # fmt: skip
    made_graph = rebuild(start, edits={op: [op.with_operands(received)] for op in ops})
    return verify(drop_dead(made_graph))
