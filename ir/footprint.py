"""What a program stores: each storage once, however many values, graphs and trips use it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import sympy as sp

from mansard.core.facts import ModelFacts
from mansard.core.records import dataclass
from mansard.core.symbols import B, Expr, M, P, R, S, Symbol, T, symbol, total
from mansard.ir.graph import Graph
from mansard.ir.once import once
from mansard.ir.ops import Dequantize
from mansard.ir.program import TARGET, Program
from mansard.ir.region import Region
from mansard.ir.value import MEMORY, Value

IN_FLIGHT: Symbol = symbol("microbatches")
"""Microbatches whose caches a pipeline stage holds at one time; its graph and calls bind it."""


@dataclass(frozen=True)
class Stored:
    """One storage of a graph.

    Args:
        value: the leaf that says how large it is.
        copies: how many trips have one of their own.
        grows: whether the graph appends to it, so that after a call it holds ``S`` more.
        share: of a weight, what one token uses of it.
    """

    value: Value
    copies: Expr
    grows: bool
    share: Expr

    @property
    def numel(self) -> Expr:
        """Elements of all copies."""
        return self.value.numel * self.copies

    @property
    def bytes(self) -> Expr:
        """Bytes of all copies, after the call."""
        size = self.value.bytes * self.copies
        return size.xreplace({P: P + S}) if self.grows else size


@once
def storages(graph: Graph) -> Mapping[str, Stored]:
    """Return every storage of a graph by name; the larger value stands for it."""
    found: dict[str, Stored] = {}
    appended = {out.storage for op, _ in graph.walk() if op.has_effect for out in op.outs}
    shares: dict[str, Expr] = {}
    for storage, share in _shares(graph):
        shares[storage] = shares.get(storage, sp.S.Zero) + share
    for value, copies in _leaves(graph, sp.S.One):
        share = sp.S.One if value.role != "weight" else shares.get(value.storage, sp.S.One)
        share = sp.S.One if share.is_number and share > 1 else share
        found.setdefault(value.storage, Stored(value, copies, value.storage in appended, share))
    return found


def _leaves(graph: Graph, trips: Expr) -> Iterator[tuple[Value, Expr]]:
    inner = {leaf for op in graph.ops for body in op.bodies for leaf in body.leaves}
    for leaf in graph.leaves:
        if leaf not in inner:
            yield leaf, trips
    for op in graph.ops:
        shared = getattr(op, "shared", ())
        again = trips * getattr(op, "trips", sp.S.One)
        for body in op.bodies:
            for leaf, copies in _leaves(body, again):
                seen = op.outside(leaf) if isinstance(op, Region) else leaf
                yield seen, trips if leaf.storage in shared else copies


def _shares(graph: Graph) -> Iterator[tuple[str, Expr]]:
    """Yield (storage of a weight, the share of it that one token's use needs), use by use.

    Views and decoding are no uses: what reads their result is.
    """
    for op in graph.ops:
        if not (op.is_view or isinstance(op, Dequantize)):
            for operand in op.operands:
                for storage in _weights_behind(operand, graph):
                    yield storage, op.weight_share()
        for body in op.bodies:
            yield from _shares(body)


def _weights_behind(value: Value, graph: Graph) -> Iterator[str]:
    owner = graph.producers.get(value)
    if owner is not None and (owner.is_view or isinstance(owner, Dequantize)):
        for operand in owner.operands:
            yield from _weights_behind(operand, graph)
    elif value.role == "weight" and value.storage:
        yield value.storage


@once
def model_facts(program: Program, graph: str = TARGET) -> ModelFacts:
    """Count what a program's model stores, in every graph that is part of it."""
    parts = dict.fromkeys((graph, *program.origin.parts))
    if graph != TARGET:
        parts = {graph: None}
    stored = _together(storages(program.graph(name)) for name in parts if name in program.graphs)
    one = {B: sp.S.One, S: sp.S.One, T: sp.S.One, R: sp.S.One, M: sp.S.Zero}
    weights = [s for s in stored if s.value.role == "weight"]
    states = total(s.value.bytes * s.copies for s in stored if s.value.role == "state")
    origin = program.origin
    return ModelFacts(
        name=origin.name,
        source=origin.source,
        family=origin.family,
        params=int(total(w.numel for w in weights)),
        active_params=int(total(w.numel * w.share for w in weights)),
        kv_bytes_per_token=_number(_growth(stored, 0)),
        state_bytes=_number(states.xreplace(one)),
    )


FAR = 1 << 40
"""Cached tokens, more than any window or budget holds."""


def kv_growth(program: Program, graph: str = TARGET) -> tuple[int | float, int | float]:
    """Return by how much a sequence's cache grows with its first token and with one far on [B].

    Layers that attend to a window grow to its end only.
    """
    parts = dict.fromkeys((graph, *program.origin.parts))
    stored = _together(storages(program.graph(name)) for name in parts if name in program.graphs)
    return _number(_growth(stored, 0)), _number(_growth(stored, FAR))


def _growth(stored: Iterable[Stored], cached: int) -> Expr:
    """Return the growth of all caches of one sequence after so many tokens."""
    grown = (s for s in stored if s.value.role == "cache" and s.grows)
    caches = total(s.numel * s.value.encoding.bits / 8 for s in grown)
    one = {B: sp.S.One, S: sp.S.One, T: sp.S.One, R: sp.S.One, M: sp.S.Zero}
    first, then = (caches.xreplace({**one, P: sp.Integer(p)}) for p in (cached, cached + 1))
    return then - first


def idle_weights(program: Program, called: Iterable[str]) -> dict[str, Expr]:
    """Return the bytes of each weight of the model's parts that no called graph is."""
    known = {name.partition("@")[0] for name in called}
    idle = (n for n in program.origin.parts if n in program.graphs and n not in known)
    return {
        name: stored.value.bytes * stored.copies
        for part in idle
        for name, stored in storages(program.graphs[part]).items()
        if stored.value.role == "weight" and stored.value.place == MEMORY
    }


def _together(graphs: Iterable[Mapping[str, Stored]]) -> list[Stored]:
    """Return each storage once; of one that two graphs know, that of the first."""
    found: dict[str, Stored] = {}
    for stored in graphs:
        found = {**stored, **found}
    return list(found.values())


def _number(value: Expr) -> int | float:
    return int(value) if value.is_Integer else float(value)
