"""What parallelism does to a schedule: batches per rank, microbatches, and waiting for stages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import sympy as sp

from mansard.core.records import dataclass
from mansard.core.symbols import Expr, T, batch, ceil_div, least
from mansard.ir.footprint import IN_FLIGHT
from mansard.ir.graph import Graph
from mansard.ir.program import Call, Loop, Program, Step, Together, Wait

BUBBLE = "pipeline_bubble"


@dataclass(frozen=True)
class Sharing:
    """How calls are divided.

    Args:
        dp: ranks the batch is dealt to.
        cp: ranks the tokens of a step are dealt to.
        stages: of the pipeline.
        microbatches: that a step is cut in.
        slots: stages like the one described that stand for all others: ``layers/mine - 1``.
    """

    dp: int = 1
    cp: int = 1
    stages: int = 1
    microbatches: int = 1
    slots: Expr = sp.S.Zero


def shared(program: Program, sharing: Sharing, phase: str, graphs: tuple[str, ...]) -> Program:
    """Return the program whose calls of some graphs are those of one rank of the busiest stage.

    Args:
        program: its graphs already divided.
        sharing: how.
        phase: only this phase; every one unless given.
        graphs: that a pipeline was cut in; batches are dealt whatever the graph.
    """
    if sharing == Sharing():
        return program

    def walk(step: Step, label: str, loops: bool) -> Step:
        label = step.phase or label
        mine = not phase or phase == label
        match step:
            case Call():
                call = _dealt(step, sharing) if mine else step
                staged = mine and sharing.stages > 1 and step.graph in graphs
                return (
                    _pipelined(call, sharing, program.graph(call.graph), loops) if staged else call
                )
            case Loop():
                inside = loops or step.yields != 0
                return replace(step, steps=tuple(walk(s, label, inside) for s in step.steps))
            case Together():
                return replace(step, steps=tuple(walk(s, label, loops) for s in step.steps))
            case Wait():
                if step.like is None:
                    return step
                return replace(step, like=walk(step.like, label, loops))

    steps = tuple(walk(s, "", False) for s in program.schedule)
    return replace(program, schedule=tuple(_unfolded(steps)))


def _dealt(call: Call, sharing: Sharing) -> Call:
    """Return the call with the sequences and tokens of the busiest rank."""
    mine = {batch: ceil_div(batch, sp.Integer(sharing.dp))}
    bind = {s: e.xreplace(mine) for s, e in call.bind.items()}
    groups = tuple(tuple(e.xreplace(mine) for e in g) for g in call.groups)
    if sharing.cp > 1:
        bind[T] = ceil_div(bind[T], sp.Integer(sharing.cp))
    return replace(call, bind=bind, groups=groups)


def _pipelined(call: Call, sharing: Sharing, graph: Graph, decodes: bool) -> Loop:
    """Return a step in microbatches, and the wait for the other stages.

    ``m`` microbatches over ``p`` stages take ``m + p - 1`` slots of a stage when the pipeline is
    filled and emptied (a prefill) [Narayanan 2021, §2.2]; tokens that follow one another take
    ``max(m, p)``: the first microbatch's next token starts when its last one is out.
    """
    sequences = ceil_div(batch, sp.Integer(sharing.dp))
    each = ceil_div(sequences, sp.Integer(sharing.microbatches))
    count = ceil_div(sequences, each)
    part = {sequences: each, batch: each} if sharing.dp == 1 else {sequences: each}
    bind = {s: e.xreplace(part) for s, e in call.bind.items()}
    groups = tuple(tuple(e.xreplace(part) for e in g) for g in call.groups)
    one = replace(call, bind={**bind, IN_FLIGHT: count}, groups=groups)
    others = sp.Integer(sharing.stages - 1)
    idle = sharing.slots
    if decodes:
        idle = sharing.slots * (sharing.stages - least(count, sp.Integer(sharing.stages))) / others
    like = replace(one, wants=_without_head(graph, call.wants))
    wait = Wait(like=like, times=idle, name=BUBBLE, phase=call.phase)
    return Loop((Loop((one,), count, phase=call.phase), wait), sp.S.One, phase=call.phase)


def _without_head(graph: Graph, wants: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a stage in the middle makes: the hidden state, where the graph hands it out."""
    names = [v.name for v in graph.outputs]
    return ("hidden",) if "hidden" in names else wants


def _unfolded(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Yield steps, those of a loop of one trip in its place."""
    for step in steps:
        if isinstance(step, Loop) and step.times == 1 and step.index is None and step.yields == 0:
            yield from step.steps
        else:
            yield step
