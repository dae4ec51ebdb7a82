"""Mixture of depths: every few layers, a router lets only some tokens in."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.core.symbols import T
from mansard.ir.builder import fresh_name
from mansard.ir.graph import Graph
from mansard.ir.op import Op, finish
from mansard.ir.ops import Activation, Linear, Multiply
from mansard.ir.program import Program
from mansard.ir.region import Repeat, Routed
from mansard.ir.rewrite import Rewritten, keeping_outputs, rebuild
from mansard.ir.value import TensorType, Value
from mansard.ir.verify import verify
from mansard.passes.editing import edited
from mansard.passes.layers import inlined, layers_of, longest, part, renumbered
from mansard.passes.options import option
from mansard.passes.technique import Outcome, Pass
from mansard.passes.written_numbers import exact


@dataclass(frozen=True)
class MixtureOfDepths(Pass):
    """Route a share ``c`` of the tokens through every ``j``-th layer; the others pass it by.

    Layers' work becomes ``1 - (1-c)/j`` of what it was, plus a router of one row; weights of a
    routed layer are read with ``1 - (1-c)^T``, all but surely unless a step has few tokens; its
    cache holds ``c`` of the tokens.
    """

    name = "mixture-of-depths"
    identity = "capacity=1"
    removes = "routed layers of the tokens that are not let in"
    noun = "routed layer"
    source = "[Raposo 2024, §3]"
    assumes = (
        "tokens are let in independently of each other and of earlier layers",
        "layers of a period count as one: a body of two layers is routed as a whole",
    )
    omits = (
        "keys a routed layer does not hold: its attention is charged for all of them times c",
        "what passing by does to the model's answers",
    )

    every: int = option(2, "layers from one routed layer to the next", least=1)
    capacity: float = option(0.125, "share of the tokens let in", least=0, most=1)

    def run(self, program: Program) -> Outcome:
        """Route; a layer for all tokens is the input."""
        if self.capacity == 0:
            raise SpecError("mixture-of-depths: capacity is 0", hint="or use skip-layers")
        if self.capacity == 1:
            return Outcome(program, 0)
        outcome = super().run(program)
        if not self.phase or outcome.program is program:
            return outcome  # other phases name the same layers alike
        before = program.graph(self.on)
        alike = keeping_outputs(before, self._interleaved(before, routed=False).graph)
        return replace(outcome, program=outcome.program.with_graph(self.on, alike))

    def transform(self, graph: Graph) -> Rewritten:
        """Interleave: the longest run becomes periods of ``every`` bodies, the last one routed."""
        return self._interleaved(graph, routed=True)

    def _interleaved(self, graph: Graph, *, routed: bool) -> Rewritten:
        why = f"{self.name}: a share of the tokens enters {self.source}"
        old = longest(graph, self.name)
        count, rest = divmod(int(old.trips), self.every)
        if not count:
            raise SpecError(
                f"mixture-of-depths: every {self.every} of {old.trips}", hint=f"at most {old.trips}"
            )
        taken = {v.name for v in (*graph.inputs, *graph.producers)}
        body = self._period(old, why, self.every - 1 if routed else self.every)
        period = replace(old, body=body, trips=sp.Integer(count), outs=())
        made: list[Op] = [finish(period.explained(why), fresh_name(old.out.name, taken))]
        if rest:
            left = replace(part(old, count * self.every, rest), ins=(made[0].out, *old.ins[1:]))
            made.append(finish(left.explained(why), fresh_name(old.out.name, taken)))
        swapped = dict(zip(old.outs, made[-1].outs, strict=True))
        return Rewritten(verify(rebuild(graph, edits={old: made}, swapped=swapped)), count)

    def _period(self, old: Repeat, why: str, whole: int) -> Graph:
        given = tuple(Value(v.name, v.type) for v in old.body.inputs)
        taken = {v.name for v in given}
        ops: list[Op] = []
        x, others = given[0], given[1:]
        for k in range(self.every):
            body = renumbered(old.body, self.every, k, old.shared)
            if k < whole:
                more, outs = inlined(body, (x, *others), taken)
                ops += more
                x = outs[0]
                continue
            body = edited(body, leaves=self._share)
            region = self._routed(body, (x, *others), ops, taken, why)
            ops.append(region)
            x = region.out
        return Graph(given, tuple(ops), (x, *others[: len(old.outs) - 1]))

    def _share(self, leaf: Value) -> TensorType:
        """Only the tokens let in have rows in a routed layer's cache."""
        if leaf.role != "cache":
            return leaf.type
        return replace(leaf.type, live=leaf.computed * exact(self.capacity))

    def _routed(
        self, body: Graph, ins: tuple[Value, ...], ops: list[Op], taken: set[str], why: str
    ) -> Op:
        x = ins[0]
        index = next((v.storage for v in body.leaves if "{" in v.storage), "layers.{i}.x")
        storage = (
            f"{index[: index.index('}') + 1]}.depth_router.weight"
            if "}" in index
            else "depth_router"
        )
        kind = TensorType((sp.S.One, x.shape[-1]), x.encoding.plain, "weight", storage)
        name = fresh_name("layers.depth_router", taken)
        router = Linear(x, Value(storage, kind), name="layers.depth_router", because=(why,))
        ops.append(finish(router, name))
        gate = Activation(ops[-1].out, "sigmoid", because=(why,))
        ops.append(finish(gate, fresh_name("layers.depth_weight", taken)))
        inner_taken: set[str] = set()
        given = tuple(Value(fresh_name(v.name, inner_taken), replace(v.type, parts=()))
                      for v in (*ins, ops[-1].out))  # fmt: skip
        more, outs = inlined(body, given[:-1], inner_taken)
        scaled = finish(Multiply(outs[0], given[-1], because=(why,)),
                        fresh_name("layers.depth_scale", inner_taken))  # fmt: skip
        inside = Graph(given, (*more, scaled), (scaled.out,))
        region = Routed(inside, (*ins, ops[-1].out), exact(self.capacity), T, name="layers.routed")
        return finish(region.explained(why), fresh_name("layers.routed", taken))

    def describe(self, before: Graph, after: Graph) -> str:
        """Say how many layers."""
        old = longest(before, self.name)
        count = int(old.trips) // self.every * layers_of(old.body)
        return f"{count} layers take {self.capacity:g} of the tokens"
