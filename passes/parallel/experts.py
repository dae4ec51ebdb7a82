"""Experts over ranks: each holds some of them, and rows travel to theirs and back."""

from __future__ import annotations

from dataclasses import replace
from math import gcd

import sympy as sp

from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.ir.builder import fresh_name
from mansard.ir.graph import Graph
from mansard.ir.op import Op, finish
from mansard.ir.ops import Collective, Combine, Dequantize, Dispatch, GroupedLinear
from mansard.ir.region import Region
from mansard.ir.rewrite import rebuild
from mansard.ir.value import Value
from mansard.passes.decoding import retiled
from mansard.passes.experts import mixtures
from mansard.passes.parallel.layout import Part, Split
from mansard.passes.parallel.weights import pushed

AXIS = "ep"


@dataclass(frozen=True)
class Spread:
    """How experts lie on the ``tp·dp`` devices of a stage.

    Args:
        ep: ranks that hold different experts.
        tp: ranks of tensor parallelism.
        dp: ranks of data parallelism.
    """

    ep: int
    tp: int
    dp: int

    @property
    def width(self) -> int:
        """Ranks that divide the width of one expert: what tensor ranks are left over."""
        return gcd(self.tp, self.tp * self.dp // self.ep)

    @property
    def groups(self) -> int:
        """Data-parallel ranks whose tokens meet in one expert-parallel group."""
        return self.dp * self.width * self.ep // (self.tp * self.dp)

    @property
    def rows(self) -> sp.Rational:
        """Rows of a rank over the rows its own tokens make."""
        return sp.Rational(self.groups, self.ep)


def with_experts_spread(graph: Graph, spread: Spread, axis: str, why: str) -> Graph:
    """Return the graph of one rank of an expert-parallel group.

    Raises:
        SpecError: the graph has no experts, or their number does not divide.
    """
    experts = [op for op, _ in graph.walk() if isinstance(op, GroupedLinear)]
    if spread.ep > 1 and not experts:
        raise SpecError(
            f"ep={spread.ep}, but the model has no experts to spread",
            hint="leave ep out; tp or dp use the devices",
        )
    for op in experts:
        count = int(op.w.shape[0])
        if count % spread.ep:
            several = ", ".join(map(str, sp.divisors(count)[:10]))
            raise SpecError(
                f"ep={spread.ep} does not divide the {count} experts of {op.name}",
                hint=f"ep must divide them: {several}",
            )
    if spread.ep == 1:
        return graph
    homes = {expert: m.dispatch for m in mixtures(graph) for expert in m.experts}
    return _rewritten(graph, spread, axis, why, homes, {})


def _rewritten(
    graph: Graph, spread: Spread, axis: str, why: str, homes: dict[GroupedLinear, Dispatch],
    bodies: dict[Graph, Graph],
) -> Graph:  # fmt: skip
    taken = {v.name for v in (*graph.inputs, *graph.producers)}
    leaves: dict[Value, Value] = {}
    edits: dict[Op, list[Op]] = {}
    swapped: dict[Value, Value] = {}
    for op in graph.ops:
        match op:
            case Region():
                if op.body not in bodies:
                    bodies[op.body] = _rewritten(op.body, spread, axis, why, homes, bodies)
                if bodies[op.body] is not op.body:
                    edits[op] = [replace(op, body=bodies[op.body])]
            case Dispatch():
                edits[op], swapped[op.out] = _sent(op, spread, axis, why, taken)
            case GroupedLinear():
                tokens = op.tokens * spread.groups
                edits[op] = [replace(op, tokens=tokens).explained(why)]
                leaves |= _shares(graph, op, spread)
                _redecoded(graph, op, edits[op][0], spread, edits, homes.get(op))
            case Combine() if spread.groups > 1:
                back = _exchange(op.x, op.name, spread, axis, why, taken)
                edits[op] = [back, replace(op, x=back.out).explained(why)]
    swapped = {old: new for old, new in swapped.items() if old is not new}
    return rebuild(graph, leaves=leaves, edits=edits, swapped=swapped) if edits else graph


def _sent(
    op: Dispatch, spread: Spread, axis: str, why: str, taken: set[str]
) -> tuple[list[Op], Value]:
    """Return a dispatch of a rank's share of rows, and their way to the experts' ranks."""
    mine = _mine(op, spread).explained(why)
    if spread.groups == 1:
        return [mine], op.out
    local = Value(fresh_name(f"{op.out.name}.own", taken), op.out.type)
    there = _exchange(local, op.name, spread, axis, why, taken)
    return [replace(mine, outs=(local,)), there], there.out


def _mine(op: Dispatch, spread: Spread) -> Dispatch:
    """Return a dispatch to one of the ranks that hold different experts."""
    return replace(op, factor=op.factor * spread.rows, ranks=op.ranks * spread.ep)


def _exchange(x: Value, name: str, spread: Spread, axis: str, why: str, taken: set[str]) -> Op:
    made = Collective(x, "all_to_all", axis, sp.Integer(spread.ep), name=f"{name}.all_to_all")
    done = finish(made, fresh_name(f"{x.name}.all_to_all", taken))
    return replace(done, because=(why,))


def _shares(graph: Graph, op: GroupedLinear, spread: Spread) -> dict[Value, Value]:
    """Return the leaves of an expert product with the experts of one rank."""
    count = op.w.shape[0]
    split = Split(0, (Part(count, count / spread.ep),))
    found: dict[Value, Value] = {}
    for value in (op.w, op.bias):
        for leaf, its in pushed(graph, value, split) if value is not None else ():
            if leaf not in graph.producers:
                live = None if leaf.type.live is None else leaf.type.live / spread.ep
                found[leaf] = leaf.with_type(shape=its.shape(leaf.shape), live=live)
    return found


def _redecoded(
    graph: Graph, old: GroupedLinear, new: Op, spread: Spread, edits: dict[Op, list[Op]],
    home: Dispatch | None,
) -> None:  # fmt: skip
    """Let what decodes experts' weights decode those the group's tokens chose, for their rows."""
    decoder = graph.producers.get(old.w)
    if isinstance(decoder, Dequantize):
        share = new.weights_read() if decoder.share == old.weights_read() else decoder.share
        rows = spread.rows if home is None else _mine(home, spread).scale / home.scale
        times = retiled(decoder.times, rows, sp.Rational(1, spread.ep))
        edits[decoder] = [replace(decoder, share=share, times=times)]
