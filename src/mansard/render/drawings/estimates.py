"""Figures of an estimate by their names."""

from __future__ import annotations

from mansard.core.errors import unknown_name
from mansard.query.estimate import Estimate
from mansard.render.drawings.bars import breakdown, memory
from mansard.render.drawings.drawing import Figure
from mansard.render.drawings.roofline import roofline
from mansard.render.words import title

KINDS = ("roofline", "breakdown", "memory")


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
    return breakdown(shown, name) if kind == "breakdown" else roofline(estimate.chip, shown, name)
