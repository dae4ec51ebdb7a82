"""How much memory a schedule needs: every storage once, plus the most that is alive at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sympy as sp

from mansard.backends.calls import CallEnvironment, number
from mansard.backends.estimate import Memory, Number
from mansard.backends.hardware import Hardware
from mansard.backends.quantity import Tape
from mansard.backends.schedule import Stretch
from mansard.core.symbols import Expr, P, S
from mansard.ir.footprint import IN_FLIGHT, Stored, idle_weights, storages
from mansard.ir.graph import Graph
from mansard.ir.liveness import live_sets
from mansard.ir.once import once
from mansard.ir.program import Program
from mansard.ir.value import MEMORY

KEPT = {"weight": "weights", "cache": "kv_cache", "state": "kv_cache"}


class Footprint:
    """The sizes of one graph, ready to evaluate."""

    def __init__(self, graph: Graph):
        self._tape = Tape()
        copies = in_flight(graph)
        self._stored = {
            name: (KEPT.get(s.value.role, "weights"), self._tape.add(resident(s, copies)))
            for name, s in storages(graph).items()
            if s.value.place == MEMORY
        }
        self._live = [
            tuple(self._tape.add(v.bytes) for v in alive if v.place == MEMORY)
            for alive in live_sets(graph)
        ]

    def at(self, env: CallEnvironment, index: int) -> tuple[dict[str, tuple[str, Number]], Number]:
        """Return storage → (kind, bytes), and the greatest live sum [B]."""
        values = env.on(self._tape)(index)
        sizes = {name: (kind, values[slot]) for name, (kind, slot) in self._stored.items()}
        return sizes, max((sum(values[s] for s in alive) for alive in self._live), default=0)


@once
def footprint(graph: Graph) -> Footprint:
    """Return the sizes of what a graph stores and keeps alive."""
    return Footprint(graph)


def memory(program: Program, stretches: Sequence[Stretch], chip: Hardware) -> Memory:
    """Return what one device holds at the worst moment.

    Weights are resident through the whole schedule, those of parts that no call names too. A cache
    has room for every token of its sequences: those its last call leaves in it, and the one that
    call produces. Activations are the greatest sum alive at one kernel of any call. Where calls
    name pools of devices, each pool holds what its own calls need, and the fullest one's figures
    stand for all.
    """
    by_pool: dict[str, list[Stretch]] = {}
    for stretch in stretches:
        if stretch.call is not None:
            by_pool.setdefault(stretch.call.pool, []).append(stretch)
    if len(by_pool) < 2:
        called = [s.call.graph for s in stretches if s.call is not None]
        idle = idle_weights(program, called)
        return _pool(program, next(iter(by_pool.values()), ()), chip, idle)
    pools = {name: _pool(program, own, chip) for name, own in by_pool.items()}
    return replace(max(pools.values(), key=lambda m: m.total), pools=pools)


def _pool(
    program: Program,
    stretches: Sequence[Stretch],
    chip: Hardware,
    idle: Mapping[str, Expr] | None = None,
) -> Memory:
    """Return what one device holds of the calls it runs, and the weights no call reads."""
    largest: dict[str, tuple[str, Number]] = {}
    activations: Number = 0
    for stretch in stretches:
        call = stretch.call
        if call is None:
            continue
        graph = program.graph(call.graph)
        stored = footprint(graph.wanting(call.wants))
        env = CallEnvironment(stretch, graph.defaults)
        for index in {stretch.first, stretch.last}:
            sizes, alive = stored.at(env, index)
            activations = max(activations, alive)
            for name, (kind, size) in sizes.items():
                if name not in largest or largest[name][1] < size:
                    largest[name] = (kind, size)
    for name, weight in (idle or {}).items():
        largest.setdefault(name, ("weights", float(number(weight, f"the size of {name}"))))
    sums = {kind: _whole(sum(n for k, n in largest.values() if k == kind)) for kind in
            ("weights", "kv_cache")}  # fmt: skip
    return Memory(
        weights=sums["weights"],
        kv_cache=sums["kv_cache"],
        activations=_whole(activations),
        overhead=chip.reserve_bytes,
        capacity=chip.capacity_bytes,
    )


def in_flight(graph: Graph) -> Expr:
    """Return how many micro-batches a stage keeps the cache of."""
    return IN_FLIGHT if IN_FLIGHT in dict(graph.defaults) else sp.S.One


def resident(stored: Stored, microbatches: Expr) -> Expr:
    """Return the bytes a storage needs after a call, the token the call produces included.

    So after ``prompt`` and ``output`` tokens the cache is that long, though the last token's row
    is reserved and not yet written.
    """
    size = stored.value.bytes * stored.copies
    if stored.value.role in ("cache", "state"):
        size *= microbatches
    return size.xreplace({P: P + S + 1}) if stored.grows else size


def _whole(value: Any) -> Number:
    return int(value) if value == int(value) else float(value)
