"""Context parallelism: tokens dealt to ranks, which exchange heads around every attention."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from mansard.core.errors import SpecError
from mansard.core.symbols import B, S
from mansard.ir.builder import fresh_name
from mansard.ir.graph import Graph
from mansard.ir.op import Op, finish
from mansard.ir.ops import Append, Collective, Dequantize, Scores, Values
from mansard.ir.ops.eviction import AccumulateScores, CompressCache
from mansard.ir.ops.paging import Paged
from mansard.ir.ops.partial_values import MergePartials
from mansard.ir.ops.recurrent import Recurrence
from mansard.ir.region import Region
from mansard.ir.rewrite import rebuild
from mansard.ir.value import Value
from mansard.passes.parallel.kernels import split_at_collectives

UNKNOWN = (Recurrence, AccumulateScores, CompressCache, MergePartials)
"""Ops over a sequence whose tokens would have to be exchanged otherwise."""


def with_sequence_dealt(graph: Graph, ranks: int, axis: str, why: str) -> Graph:
    """Return the graph of a rank with ``T/ranks`` tokens and ``1/ranks`` of every attention.

    Queries, keys and values go from a share of the tokens to a share of the heads by all-to-all,
    what attention makes goes back; caches hold the rank's heads [Jacobs 2023, §3].

    Raises:
        SpecError: KV heads that do not divide, or a mixer whose state follows every token.
    """
    return _Dealer(ranks, axis, why).dealt(graph)


class _Dealer:
    def __init__(self, ranks: int, axis: str, why: str):
        self.ranks, self.axis, self.why = ranks, axis, why
        self.bodies: dict[Graph, Graph] = {}

    def dealt(self, graph: Graph) -> Graph:
        """Return a body with exchanges in it."""
        if graph in self.bodies:
            return self.bodies[graph]
        self.taken = {v.name for v in (*graph.inputs, *graph.producers)}
        leaves: dict[Value, Value] = {}
        edits: dict[Op, list[Op]] = {}
        swapped: dict[Value, Value] = {}
        for op in graph.ops:
            match op:
                case Region():
                    body = self.dealt(op.body)
                    self.taken = {v.name for v in (*graph.inputs, *graph.producers)}
                    edits[op] = [replace(op, body=body)]
                case Append():
                    leaves[op.cache] = self._heads(op)
                    there = self._there(op.x, op.name)
                    edits[op] = [there, replace(op, x=there.out).explained(self.why)]
                case Scores():
                    self._check(graph, op, op.k)
                    there = self._there(op.q, op.name)
                    mine = replace(op, q=there.out, heads=op.heads / self.ranks)
                    edits[op] = [there, mine.explained(self.why)]
                case Values():
                    edits[op], swapped[op.out] = self._back(op)
                case _ if isinstance(op, UNKNOWN):
                    raise SpecError(
                        f"cp={self.ranks}: {op.kind} %{op.out.name} follows every token of a "
                        "sequence, and no rule deals them to ranks",
                        hint="use tp, dp or pp",
                    )
        made = rebuild(graph, leaves=leaves, edits=edits, swapped=swapped) if edits else graph
        self.bodies[graph] = split_at_collectives(made)
        return self.bodies[graph]

    def _heads(self, op: Append) -> Value:
        b, heads, kept, d = op.cache.shape
        if not op.cache.storage or heads % self.ranks != 0:
            raise SpecError(
                f"cp={self.ranks} does not divide the {heads} KV heads a rank has of {op.name}",
                hint="ranks exchange heads for tokens: tp·cp must divide the KV heads",
            )
        return op.cache.with_type(shape=(b, heads / self.ranks, kept, d))

    def _check(self, graph: Graph, op: Scores, keys: Value) -> None:
        made = graph.producers.get(keys)
        while isinstance(made, (Dequantize, Paged)):
            made = graph.producers.get(made.operands[0])
        if not isinstance(made, Append):
            raise SpecError(
                f"cp={self.ranks}: the keys of {op.name} are not a cache of their own",
                hint="use tp, dp or pp",
            )

    def _there(self, x: Value, name: str) -> Op:
        """``[T/ranks, heads·d] → [B·S, heads·d/ranks]``."""
        shape = (B * S, x.shape[-1] / self.ranks)
        return self._exchange(x, shape, name)

    def _back(self, op: Values) -> tuple[list[Op], Value]:
        local = Value(fresh_name(f"{op.out.name}.own", self.taken), op.out.type)
        mine = replace(op, rows=(B * S,), outs=(local,)).explained(self.why)
        back = self._exchange(local, op.out.shape, op.name)
        return [mine, back], back.out

    def _exchange(self, x: Value, shape: tuple[sp.Expr, ...], name: str) -> Op:
        made = Collective(x, "all_to_all", self.axis, sp.Integer(self.ranks), shape,
                          name=f"{name}.all_to_all")  # fmt: skip
        done = finish(made, fresh_name(f"{x.name}.all_to_all", self.taken))
        return replace(done, because=(self.why,))
