"""Disaggregation: some devices prefill, others decode, and caches move between them."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.core.symbols import batch, ceil_div
from mansard.ir.builder import Builder
from mansard.ir.footprint import storages
from mansard.ir.graph import Graph
from mansard.ir.ops import Collective
from mansard.ir.program import Call, Program, Step, Together, binding, calls
from mansard.ir.region import Repeat
from mansard.passes.options import option
from mansard.passes.schedules import each_call, in_one, sizes
from mansard.passes.technique import Outcome, Pass

PREFILL, DECODE, TRANSFER, AXIS = "prefill", "decode", "transfer", "pool"


@dataclass(frozen=True)
class Disaggregate(Pass):
    """Prefill on one pool of devices, decode on another, send the caches across.

    A pool is a number of replicas of the model, each as earlier passes made it; the sequences of
    the batch are dealt among them. Between the pools move ``N·L`` tokens' keys and values, layer by
    layer, over the network or the link; the pool with fewer replicas sends or receives more each.
    Successive batches keep both pools and the link busy at once, so throughput counts the slowest;
    with rates ``m_p`` and ``m_d`` of a device the best share of devices that prefill is
    ``x = m_d/(m_p + m_d)``, which makes ``max_x min(x·m_p, (1-x)·m_d)``.
    """

    name = "disaggregate"
    noun = "step"
    divides = True
    source = "[Zhong 2024, §3; Patel 2023, §4]"
    assumes = (
        "batches follow one another without a gap",
        "a transfer runs beside the arithmetic of both pools",
        "what changes caches (quantize, parallel) stands before this pass",
    )
    omits = ("queues", "what a pool that waits for the other could do meanwhile")
    conflicts = ("batch-continuously",)  # its decode steps wait for prefills, which a pool's do not

    prefill: int = option(1, "replicas that prefill", least=1)
    decode: int = option(1, "replicas that decode", least=1)

    def run(self, program: Program) -> Outcome:
        """Put each phase on its pool, side by side, with the transfer between."""
        program.graph(self.on)
        if any(call.pool for call in calls(program.schedule)):
            raise SpecError("the program runs on several pools already", hint="disaggregate once")
        labelled = [(step.phase, step) for step in program.schedule]
        early = [s for label, s in labelled if label != DECODE]
        late = [s for label, s in labelled if label == DECODE]
        if not early or not late:
            return Outcome(program, 0, notes=self.nothing(0))
        made, sends = self._sends(program, early, late)
        steps = (
            in_one(tuple(_dealt(s, PREFILL, self.prefill) for s in early)),
            *([in_one(tuple(sends))] if sends else []),
            in_one(tuple(_dealt(s, DECODE, self.decode) for s in late)),
        )
        mesh = {**program.mesh, AXIS: self.prefill + self.decode}
        made = replace(made, schedule=(Together(steps),), mesh=mesh)
        said = f"{self.prefill} to prefill, {self.decode} to decode"
        return Outcome(made, len(program.schedule), said)

    def _sends(
        self, program: Program, early: list[Step], late: list[Step]
    ) -> tuple[Program, list[Step]]:
        """Return the program with a graph that sends each cache that decoding needs, and calls."""
        needed = {name for call in calls(tuple(late)) for name in _caches(program, call)}
        fewer = min(self.prefill, self.decode)
        pool = PREFILL if self.prefill <= self.decode else DECODE
        sends: list[Step] = []
        last = {call.graph: call for call in calls(tuple(early))}
        for name, call in last.items():
            graph = _sending(program.graph(name), needed)
            if graph is None:
                continue
            b, new, past = call.groups[0] if call.groups else sizes(call)
            key = f"{name}@{TRANSFER}"
            program = program.with_graph(key, graph)
            wants = tuple(v.name for v in graph.outputs)
            bind = {**call.bind, **binding(b, 1, past + new)}
            sends.append(_dealt(Call(key, bind, wants, phase=TRANSFER), pool, fewer))
        return program, sends


def best_split(prefill_rate: float, decode_rate: float) -> tuple[float, float]:
    """Return the share of devices that prefill, and the goodput per device it makes.

    Args:
        prefill_rate: requests a second that a device prefills.
        decode_rate: requests a second that a device decodes to the end.

    >>> best_split(3.0, 1.0)
    (0.25, 0.75)
    """
    share = decode_rate / (prefill_rate + decode_rate)
    return share, share * prefill_rate


def _dealt(step: Step, pool: str, replicas: int) -> Step:
    """Return a step on a pool, each of whose replicas has its part of the batch."""
    part = {batch: ceil_div(batch, sp.Integer(replicas))}

    def bound(call: Call) -> Call:
        bind = {s: e.xreplace(part) for s, e in call.bind.items()}
        groups = tuple(tuple(e.xreplace(part) for e in g) for g in call.groups)
        return replace(call, bind=bind, groups=groups, pool=pool)

    return each_call(step, bound)


def _caches(program: Program, call: Call) -> set[str]:
    stored = storages(program.graph(call.graph)).values()
    return {s.value.storage for s in stored if s.value.role in ("cache", "state")}


def _sending(graph: Graph, needed: set[str]) -> Graph | None:
    """Return the graph that sends what a graph caches; none when that is nothing."""
    b = Builder()
    sent = []
    for name, stored in storages(graph).items():
        if stored.value.role in ("cache", "state") and name in needed:
            inner = Builder()
            out = inner(Collective(stored.value, "send", AXIS, sp.Integer(2)), "send")
            body = inner.done(out)
            sent.append(
                b(Repeat(body, (), stored.copies, name="send"), f"sent.{stored.value.name}")
            )
    return b.done(*sent) if sent else None
