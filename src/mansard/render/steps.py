"""What a phase's time is of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mansard.backends.estimate import DENOISE, Phase
from mansard.core.units import format_time
from mansard.render import estimate_words, words

if TYPE_CHECKING:
    from mansard.query.estimate import Estimate


def each(estimate: Estimate, phase: Phase) -> str:
    """Say what the time of a phase's heading is of: its tokens, or a step of several."""
    asked = estimate_words.prefilled(estimate)
    mean = ", the mean prompt" if "prompt" in estimate.lengths else ""
    if phase.name == "prefill":
        return f" for {asked.batch} × {asked.prompt} tokens{mean}"
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
        return f" for {asked.batch} × {estimate.scenario.prompt} tokens{mean}"
    return f" for a batch of {asked.batch}"
