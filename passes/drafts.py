"""Graphs that propose tokens: models of their own, and what is made of the target itself."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from itertools import takewhile

import sympy as sp

from mansard.core.errors import SpecError
from mansard.core.symbols import T
from mansard.ir.builder import Builder
from mansard.ir.footprint import storages
from mansard.ir.graph import Graph, drop_dead
from mansard.ir.op import Op, finish
from mansard.ir.ops import Activation, Add, Embedding, Join, Linear, Scale
from mansard.ir.region import Repeat
from mansard.ir.rewrite import everywhere, rebuild, retype
from mansard.ir.value import TensorType, Value
from mansard.ir.verify import verify

DRAFT = "draft"


def renamed(graph: Graph, owner: str = DRAFT) -> Graph:
    """Return the graph with storages of its own, so that it shares none with the target."""

    def shared(body: Graph) -> Graph:
        edits: dict[Op, list[Op]] = {
            op: [replace(op, shared=tuple(f"{owner}/{s}" for s in op.shared))]
            for op in body.ops
            if isinstance(op, Repeat) and op.shared
        }
        return rebuild(body, edits=edits) if edits else body

    return everywhere(retype(graph, lambda leaf: _owned(leaf, owner)), shared)


def fewer_layers(graph: Graph, keep: float) -> Graph:
    """Return the graph with a share of its layers, on the same weights but a cache of its own."""

    def fewer(body: Graph) -> Graph:
        edits: dict[Op, list[Op]] = {}
        for op in body.ops:
            if isinstance(op, Repeat) and op.trips.is_Integer:
                trips = max(1, round(int(op.trips) * keep))
                edits[op] = [replace(op, trips=sp.Integer(trips))]
        return rebuild(body, edits=edits) if edits else body

    own = retype(graph, lambda v: _owned(v) if v.role in ("cache", "state") else v.type)
    return everywhere(own, fewer)


def medusa(target: Graph, heads: int) -> Graph:
    """Return ``heads`` heads on a hidden state: ``W₂·(x + silu(W₁·x))``, ``2·T·(d² + d·V)`` each.

    [Cai 2024, §2.1]
    """
    logits, hidden = target.output("logits"), target.outputs[-1]
    width, vocabulary = hidden.shape[-1], logits.shape[-1]
    b = Builder()
    x = b.input("hidden", T, width, encoding=hidden.encoding.plain)
    made: list[Value] = []
    for k in range(heads):
        path = f"{DRAFT}/heads.{k}"
        inner = b(Linear(x, b.leaf(f"{path}.linear.weight", width, width)), f"heads.{k}.linear")
        inner = b(Add((x, b(Activation(inner, "silu"), f"heads.{k}.act"))), f"heads.{k}.add")
        head = b.leaf(f"{path}.lm_head.weight", vocabulary, width)
        made.append(b(Linear(inner, head), f"heads.{k}.lm_head"))
    return b.done(b(Join(tuple(made), 1), "logits"))


def eagle(target: Graph) -> Graph:
    """Return one trip of the target's layers on ``fc([embedding, hidden])`` [Li 2024 EAGLE].

    The layer and ``fc`` (``2·d → d``) are its own, embedding and head are the target's.

    Raises:
        SpecError: the target's layers are no run of equal ones.
    """
    runs = [op for op in target.ops if isinstance(op, Repeat)]
    tables = [op for op in target.ops if isinstance(op, Embedding)]
    if not runs or not tables or len(runs[-1].ins) != 1:
        raise SpecError(
            "a draft of one of the target's layers needs layers that are all alike",
            hint="give a model as the draft, or draft=self",
        )
    run, table = runs[-1], tables[0]
    after = target.ops[target.ops.index(table) + 1 :]
    front = [table, *takewhile(lambda op: isinstance(op, Scale), after)]
    x = front[-1].out
    width = x.shape[-1]
    hidden = Value("given", TensorType(x.shape, x.encoding.plain))
    kind = TensorType((width, 2 * width), x.encoding.plain, "weight", f"{DRAFT}/fc.weight")
    both = finish(Join((x, hidden), 1), "both")
    fc = finish(Linear(both.out, Value("fc.weight", kind)), "fc")
    layer = replace(run, ins=(fc.out,), trips=sp.S.One)
    tail = target.ops[target.ops.index(run) + 1 :]
    ops = (*front, both, fc, layer, *tail)
    own = frozenset(run.body.leaves)
    whole = drop_dead(Graph((*target.inputs, hidden), ops, target.outputs, target.defaults))
    return verify(retype(whole, lambda v: _owned(v) if _is_in(v, own) else v.type))


def parameters(graph: Graph) -> float:
    """Return how many weights a graph stores."""
    return sum(float(s.numel) for s in storages(graph).values() if s.value.role == "weight")


def _owned(leaf: Value, owner: str = DRAFT) -> TensorType:
    return replace(leaf.type, storage=f"{owner}/{leaf.storage}")


def _is_in(leaf: Value, own: Container[Value]) -> bool:
    return leaf in own
