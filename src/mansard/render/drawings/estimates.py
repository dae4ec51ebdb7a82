"""Figures of an estimate by their names."""

from __future__ import annotations

from mansard.backends.estimate import Phase
from mansard.core.errors import unknown_name
from mansard.ir.program import calls
from mansard.query.estimate import Estimate
from mansard.render.drawings.bars import breakdown, memory
from mansard.render.drawings.chain import chain
from mansard.render.drawings.drawing import Figure
from mansard.render.drawings.roofline import roofline
from mansard.render.estimate_words import title

KINDS = ("roofline", "breakdown", "memory", "graph")


def figure_of(estimate: Estimate, kind: str, phase: str | None) -> Figure:
    """Draw a figure of an estimate.

    Raises:
        UnknownNameError: no such figure or phase.
    """
    if kind not in KINDS:
        raise unknown_name("figure of an estimate", kind, KINDS)
    if kind == "memory":
        return memory(estimate.memory, title(estimate))
    shown = estimate.phase(phase or tuple(estimate.phases)[-1])
    name = f"{title(estimate)}, {shown.name}"
    if kind == "graph":
        return _graph(estimate, shown, name)
    return breakdown(shown, name) if kind == "breakdown" else roofline(estimate.chip, shown, name)


def _graph(estimate: Estimate, phase: Phase, name: str) -> Figure:
    """Draw the graph that a phase calls first, with the share of the time of each kernel."""
    program = estimate.program
    called = next(c for c in calls(program.schedule) if c.phase == phase.name)
    spent = {(row.name, row.kind): (row.bound, row.share)
             for row in phase.ops if row.graph == called.graph}  # fmt: skip
    return chain(program.graph(called.graph).wanting(called.wants), name, spent)
