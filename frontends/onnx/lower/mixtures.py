"""Experts that a graph computes one by one, rewritten to a router, a choice and grouped products.

Exporters write a mixture of experts in two ways: every expert over every token, masked afterwards,
or each expert over the rows that were sorted to it. Both begin at the router and end where nothing
but one sum is left of what depends on it; between them lie as many linears of one shape as the
router has outputs, or twice as many. What is found so is what a kernel does: choose, dispatch,
grouped products over the chosen rows, combine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import sympy as sp

from mansard.core.records import dataclass
from mansard.core.symbols import Expr, expr
from mansard.ir.builder import fresh_name
from mansard.ir.graph import Graph, drop_dead
from mansard.ir.op import Op, finish
from mansard.ir.ops import (
    Activation,
    Cast,
    Combine,
    Dispatch,
    GatedActivation,
    GroupedLinear,
    Linear,
    Slice,
    TopK,
)
from mansard.ir.ops.tensor import Elementwise, Reduce
from mansard.ir.value import TensorType, Value

_PROBABILITIES = (Cast, Elementwise, Activation, Reduce)
_MOST = 1024
"""Experts a router may have."""
_NEAR, _EACH = 1000, 60
"""Ops from a router to its sum: so many, and so many an expert, are looked at."""


@dataclass(frozen=True)
class Experts:
    """A mixture as a graph spells it out.

    Args:
        router: the linear whose outputs are the experts' logits.
        k: experts a token goes to.
        up: the first linears of every expert: its gate, its up, or both in one.
        down: the last linear of every expert.
        act: what lies between them.
        end: the op whose result is the mixture's.
    """

    router: Linear
    k: Expr
    up: tuple[Linear, ...]
    down: tuple[Linear, ...]
    act: Activation | GatedActivation
    end: Op

    @property
    def count(self) -> int:
        """How many experts there are."""
        return len(self.down)


def grouped(graph: Graph) -> tuple[Graph, tuple[str, ...]]:
    """Return the graph with every mixture it spells out as one, and what was found, in words."""
    found = {mixture.end: mixture for mixture in mixtures(graph)}
    if not found:
        return graph, ()
    taken = {v.name for v in (*graph.inputs, *graph.producers)}
    now: dict[Value, Value] = {}
    ops: list[Op] = []
    for op in graph.ops:
        if op in found:
            made = _built(found[op], taken)
            ops += [new.with_operands({v: w for v, w in now.items() if v in new.operands})
                    for new in made]  # fmt: skip
            now[op.out] = made[-1].out
        else:
            ops.append(op.with_operands({v: w for v, w in now.items() if v in op.operands}))
    outputs = tuple(now.get(v, v) for v in graph.outputs)
    said = {f"{m.count} experts of which a token takes {m.k}" for m in found.values()}
    return drop_dead(replace(graph, ops=tuple(ops), outputs=outputs)), tuple(sorted(said))


def mixtures(graph: Graph) -> Iterator[Experts]:
    """Yield the mixtures a graph spells out."""
    places = {op: at for at, op in enumerate(graph.ops)}
    routers: set[Linear] = set()
    for op in graph.ops:
        if isinstance(op, Reduce) and op.fn == "top_k":
            router = _router(graph, op)
            if router is not None and router not in routers:
                routers.add(router)
                found = _experts(graph, places, router, op.out.shape[-1])
                if found is not None:
                    yield found


def _router(graph: Graph, choice: Op) -> Linear | None:
    """Return the linear whose outputs a choice is made among: one a row and expert."""
    value = choice.operands[0]
    for _ in range(8):
        op = graph.producers.get(value)
        if isinstance(op, Linear):
            size = op.w.shape[0]
            chosen = size.is_Integer and 1 < size <= _MOST and choice.operands[0].shape[-1] == size
            return op if chosen and len(op.x.shape) == 2 else None
        if op is None or not (op.is_view or isinstance(op, _PROBABILITIES)):
            return None
        value = op.operands[0]
    return None


def _experts(graph: Graph, places: dict[Op, int], router: Linear, k: Expr) -> Experts | None:
    """Return the experts of a router, or nothing where they are not spelled out one by one."""
    start, count = places[router], int(router.w.shape[0])
    depends, waiting = {router.out}, len(graph.uses.get(router.out, ()))
    for op in graph.ops[start + 1 : start + 1 + _NEAR + _EACH * count]:
        read = len(depends.intersection(op.operands))
        if not read:
            continue
        waiting -= read
        own = sum(len(graph.uses.get(o, ())) for o in op.outs)
        depends.update(op.outs)
        waiting += own
        if waiting != own or op.out.shape != router.x.shape or len(op.outs) > 1:
            continue
        inside = _between(graph, places, start, op)
        linears = [o for o in inside if isinstance(o, Linear) and o.w.role == "weight"]
        if len(linears) >= 2 * count:
            return _sorted_out(graph, router, k, inside, linears, op)
    return None


def _between(graph: Graph, places: dict[Op, int], start: int, end: Op) -> list[Op]:
    """Return the ops after a place on which an op depends, itself included, in order."""
    found, pending = {end}, [end]
    while pending:
        for value in pending.pop().operands:
            op = graph.producers.get(value)
            if op is not None and op not in found and places[op] > start:
                found.add(op)
                pending.append(op)
    return sorted(found, key=places.__getitem__)


def _sorted_out(
    graph: Graph, router: Linear, k: Expr, inside: Sequence[Op], linears: Sequence[Linear], end: Op
) -> Experts | None:
    """Return the experts among linears between a router and its sum, or nothing."""
    count, width = int(router.w.shape[0]), router.x.shape[-1]
    later: set[Value] = set()  # what a linear has a part in
    down: list[Linear] = []
    for op in inside:
        if later.intersection(op.operands):
            later.update(op.outs)
            if op in linears and isinstance(op, Linear):
                down.append(op)
        elif op in linears:
            later.update(op.outs)
    up = [op for op in linears if op not in down]
    acts = [op for op in inside if isinstance(op, (Activation, GatedActivation))]
    gates = [op for op in acts if isinstance(op, GatedActivation)]
    if len(down) != count or len(up) not in (count, 2 * count) or not acts:
        return None
    if len(up) == 2 * count:
        up = _paired(graph, gates, up)
    same = all(_alike(part) for part in (up, down))
    if not up or not same or up[0].x.shape[-1] != width or down[0].w.shape[0] != width:
        return None
    return Experts(router, k, tuple(up), tuple(down), (gates or acts)[0], end)


def _paired(graph: Graph, gates: Sequence[GatedActivation], up: Sequence[Linear]) -> list[Linear]:
    """Return the gates of all experts, then their ups; nothing when they are not paired."""
    pairs = [(graph.producers.get(g.gate), graph.producers.get(g.up)) for g in gates]
    sides = [[op for op in side if isinstance(op, Linear) and op in up]
             for side in zip(*pairs, strict=True)]  # fmt: skip
    return [op for side in sides for op in side] if sum(map(len, sides)) == len(up) else []


def _alike(linears: Sequence[Linear]) -> bool:
    """Whether linears have weights of one type, each its own, and all a bias or none."""
    kinds = {(op.w.shape, op.w.encoding, op.w.place, op.bias is None) for op in linears}
    return len(kinds) == 1 and len({op.w.storage for op in linears} - {""}) == len(linears)


def _built(m: Experts, taken: set[str]) -> tuple[Op, ...]:
    """Return the ops of a mixture, the last one's result being the mixture's."""
    made: list[Op] = []
    prefix = f"{m.router.name.rpartition('.')[0]}." if "." in m.router.name else ""

    def add(op: Op, role: str) -> Value:
        name = f"{prefix}{role}"
        made.append(finish(op, fresh_name(name, taken)).renamed(name))
        return made[-1].out

    x, tokens = m.router.x, m.router.x.shape[0]
    hit = m.k / expr(m.count)
    path = _path(m.router)
    routes = add(TopK(m.router.out, m.k), "top_k")
    rows = add(Dispatch(x, routes), "dispatch")
    gated = isinstance(m.act, GatedActivation)
    wide = _stacked(m.up, m.count, f"{path}.{'gate_up_proj' if gated else 'up_proj'}")
    first = add(GroupedLinear(rows, wide[0], hit, tokens, wide[1]),
                f"experts.{'gate_up_proj' if gated else 'up_proj'}")  # fmt: skip
    if gated:
        half = first.shape[-1] / 2
        gate, rest = (add(Slice(first, expr(1), half * i, half), f"experts.{name}")
                      for i, name in enumerate(("gate", "up")))  # fmt: skip
        acted = add(GatedActivation(gate, rest, m.act.fn), "experts.act")
    else:
        acted = add(Activation(first, m.act.fn), "experts.act")
    last = _stacked(m.down, m.count, f"{path}.down_proj")
    down = add(GroupedLinear(acted, last[0], hit, tokens, last[1]), "experts.down_proj")
    add(Combine(down, routes), "combine")
    return tuple(made)


def _stacked(linears: Sequence[Linear], count: int, name: str) -> tuple[Value, Value | None]:
    """Return the weights and the biases of all experts as one stored value each."""
    first, share = linears[0], sp.Integer(len(linears) // count)
    n, features = first.w.shape
    kind = TensorType((sp.Integer(count), n * share, features), first.w.encoding, "weight", name)
    bias = first.bias
    if bias is not None:
        storage = f"{name}_bias"
        shape = (sp.Integer(count), n * share)
        bias = Value(storage, TensorType(shape, bias.encoding, "weight", storage))
    return Value(name, replace(kind, place=first.w.place)), bias


def _path(router: Linear) -> str:
    """Return the path of the experts beside a router: ``model.layers.0.mlp.experts``."""
    own = re.sub(r"\.(?:gate|router)(?:\.(?:weight|layer))*$", "", router.w.storage)
    return f"{own}.experts"
