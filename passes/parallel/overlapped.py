"""Collectives beside arithmetic: a run of layers takes the longer of its kernels and its links."""

from __future__ import annotations

from dataclasses import replace

from mansard.ir.graph import Graph
from mansard.ir.op import Op, finish
from mansard.ir.ops import Collective
from mansard.ir.region import Overlap, Repeat
from mansard.ir.rewrite import rebuild
from mansard.ir.value import Value
from mansard.ir.verify import verify


def with_runs_overlapped(graph: Graph, why: str) -> tuple[Graph, int]:
    """Return the graph with every run of layers that sends anything in a region of streams.

    One stream does the kernels, one each mesh axis's collectives: what two half batches that take
    turns reach at best, the one computing while the other's messages travel.
    """
    edits: dict[Op, list[Op]] = {
        op: [_beside(op).explained(why)]
        for op in graph.ops
        if isinstance(op, Repeat) and any(isinstance(o, Collective) for o, _ in op.body.walk())
    }
    return (verify(rebuild(graph, edits=edits)), len(edits)) if edits else (graph, 0)


def _beside(run: Repeat) -> Overlap:
    inputs = tuple(Value(v.name, replace(v.type, storage="", parts=())) for v in run.ins)
    inner = finish(replace(run, ins=inputs, outs=()), f"{run.out.name}.run")
    return Overlap(Graph(inputs, (inner,), inner.outs), run.ins, outs=run.outs, name=run.name)
