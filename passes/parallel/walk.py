"""The walk over a graph: every op by its rule, from the start again when one needs values whole."""

from __future__ import annotations

from mansard.core.errors import SpecError
from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.ops import Dequantize
from mansard.ir.region import Region, Repeat
from mansard.ir.value import Value
from mansard.passes.parallel.layout import Partial, Sharding, Split
from mansard.passes.parallel.planned import NeedsWhole
from mansard.passes.parallel.ranked import Ranked, named_outputs
from mansard.passes.parallel.rules import HANDLE_PARTIAL, ORIGINS, rule_of
from mansard.passes.parallel.sharder import Sharder


class Walk:
    """Divide a graph; ``sharder`` keeps what is known and planned of it."""

    def __init__(self, sharder: Sharder):
        self.s = sharder

    def run(self, graph: Graph) -> Graph:
        """Return the graph of one rank; the same when nothing can be divided.

        Raises:
            SpecError: a size does not divide, or an op has no rule.
        """
        while True:
            self.s.reset()
            self.s.top = graph
            self.s.enter(graph)
            try:
                self._visit(graph)
                break
            except NeedsWhole as conflict:
                if conflict.origins and conflict.origins <= self.s.kept:
                    raise SpecError(
                        f"{conflict.op.kind} %{conflict.op.out.name} cannot be divided over "
                        f"{self.s.axis}",
                        hint="use another axis of parallel",
                    ) from None
                self.s.kept |= conflict.origins
        for op, problem in self.s.problems.items():
            if op not in self.s.kept:
                raise problem
        if not self.s.leaves:
            return graph
        ranked = Ranked(self.s.frames, self.s.leaves, self.s.why)
        return named_outputs(ranked.graph(graph, {}), graph)

    def _visit(self, graph: Graph) -> None:
        for op in graph.ops:
            if self._is_weight_view(graph, op):
                self.s.frame.weighty.update(op.outs)
                continue
            if isinstance(op, Region):
                self._region(graph, op)
                continue
            if not isinstance(op, HANDLE_PARTIAL):
                for v in op.operands:
                    if isinstance(self.s.of(v), Partial):
                        self.s.summed(graph, op, v)
                    elif v in self.s.reduced:
                        self.s.plan(op).operands[v] = self.s.reduced[v]
            moved = any(self.s.of(v) is not None for v in op.operands)
            if moved or isinstance(op, ORIGINS):
                results = rule_of(op, self.s.axis)(self.s, graph, op)
                results = results if isinstance(results, tuple) else (results,)
                self.s.frame.state.update(zip(op.outs, results, strict=False))
            self._note_whole(graph, op)
        self._finish(graph)

    def _note_whole(self, graph: Graph, op: Op) -> None:
        """Note the stored vectors that an op reads whole: another op may have divided them."""
        for v in op.operands:
            vector = v.role == "weight" and v.storage and len(v.shape) == 1
            if vector and v not in graph.producers and (op, v) not in self.s.claimed:
                self.s.claim_whole(graph, op, v)

    def _is_weight_view(self, graph: Graph, op: Op) -> bool:
        if not (op.is_view or isinstance(op, Dequantize)):
            return False
        made = graph.producers
        return all(
            v in self.s.frame.weighty or (v not in made and v.role == "weight" and bool(v.storage))
            for v in op.operands
        )

    def _region(self, graph: Graph, op: Region) -> None:
        for v in op.ins:
            if isinstance(self.s.of(v), Partial):
                self.s.summed(graph, op, v)
            elif v in self.s.reduced:
                self.s.plan(op).operands[v] = self.s.reduced[v]
        given = tuple(self.s.of(v) for v in op.ins)
        handed = len(op.body.outputs) if isinstance(op, Repeat) else 0
        for v, sharding in zip(op.ins[:handed], given, strict=False):
            if sharding is not None:
                self.s.refuse(op, v)
        if self.s.seen.setdefault(op.body, given) != given:
            self.s.refuse(op, *op.ins)
        left = self._inside(op, given)
        self.s.frame.state.update(zip(op.outs, left, strict=True))

    def _inside(self, op: Region, given: tuple[Sharding, ...]) -> tuple[Sharding, ...]:
        """Walk a body, once; return how what it hands out lies."""
        outer = self.s.frame
        if op.body not in self.s.frames:
            self.s.enter(op.body)
            self.s.frame.state.update(zip(op.body.inputs, given, strict=True))
            self._visit(op.body)
        self.s.frame = self.s.frames[op.body]
        left = tuple(self.s.of(v) for v in op.body.outputs)
        if isinstance(op, Repeat):
            self.s.refuse(op, *op.body.outputs)
        self.s.frame = outer
        return left

    def _finish(self, graph: Graph) -> None:
        """Sum up what a graph hands out as summands; gather what its caller wants whole."""
        given: dict[Value, Value] = {}
        for v in dict.fromkeys(graph.outputs):
            sharding = self.s.of(v)
            if v in self.s.reduced:
                given[v] = self.s.reduced[v]
            elif isinstance(sharding, Partial):
                given[v] = self.s.sum(graph, v)
            elif isinstance(sharding, Split) and graph is self.s.top:
                gather = self.s.collective(v, "all_gather", graph.producers[v].name, v.shape)
                self.s.frame.last.append(gather)
                given[v] = gather.out
        self.s.frame.outputs = given
