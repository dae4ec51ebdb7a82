"""What a phase's time is of, and what models without a decode are worth: their totals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mansard.backends.estimate import Phase
from mansard.core.units import format_time
from mansard.render import words

if TYPE_CHECKING:
    from mansard.query.estimate import Estimate

DENOISE = "denoise"


def each(estimate: Estimate, phase: Phase) -> str:
    """Say what the time of a phase's heading is of: its tokens, or a step of several."""
    asked = words.prefilled(estimate)
    if phase.name == "prefill":
        return f" for {asked.batch} × {asked.prompt} tokens"
    if phase.name == DENOISE:
        total = f"{words.times(phase.steps)} steps take {format_time(phase.total_s)}"
        return f" a step; {total} (--set model.steps=N for others)"
    per = "token" if phase.name == "decode" and estimate.decodes_several else "step"
    if phase.first_step_s != phase.last_step_s:
        first, last = format_time(phase.first_step_s), format_time(phase.last_step_s)
        return f" a {per} ({first} first, {last} last)"
    if phase.steps != 1 or estimate.scenario.single_step or phase.name == "decode":
        return f" a {per}"
    if "prompt" in estimate.sizes:
        return f" for {asked.batch} × {estimate.scenario.prompt} tokens"
    return f" for a batch of {asked.batch}"


def totals(estimate: Estimate) -> list[tuple[str, str]]:
    """Return total time and throughput of a model that generates nothing; else nothing."""
    metrics, phases = estimate.metrics, estimate.phases
    if metrics.ttft_s is not None or {"prefill", "decode"} & phases.keys() or not phases:
        return []
    total_s = sum(phase.total_s for phase in phases.values())
    if not total_s:
        return []
    rate = estimate.scenario.batch / total_s
    shown = f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"
    return [("total", format_time(total_s)), ("throughput", f"{shown} {_unit(estimate)}/s")]


def _unit(estimate: Estimate) -> str:
    if DENOISE in estimate.phases:
        return "images"
    if "prompt" in estimate.sizes:
        return "sequences"
    return "inputs" if estimate.program.origin.source == "onnx" else "images"
