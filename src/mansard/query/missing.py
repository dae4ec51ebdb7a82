"""Why a metric of an answer is unknown, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mansard.backends.estimate import DECODE, PREFILL

if TYPE_CHECKING:
    from mansard.query.estimate import Estimate

STEPS = ("tpot_s", "tokens_per_s_per_user")
PRICED = ("cost", "cost_per_mtok")


def missing(estimate: Estimate) -> dict[str, str]:
    """Return metric → why there is none, by the JSON names."""
    return dict(_each(estimate))


def _each(estimate: Estimate) -> Iterator[tuple[str, str]]:
    once, phases = estimate.makes != "tokens", estimate.phases
    one = "the model makes no tokens: it is called once"
    steps = one if once else "one output token takes no decode step"
    if not once and estimate.scenario.output > 1:
        steps = _without(DECODE, estimate)
    whole = _without(PREFILL, estimate) or _without(DECODE, estimate)
    if estimate.scenario.single_step:
        whole = "one decode step is asked for"
    why = {
        "ttft_s": one if once else whole, "latency_s": whole, "throughput_tok_s": whole,
        **dict.fromkeys(STEPS, steps),
    }  # fmt: skip
    known = estimate.metrics.throughput_tok_s is not None
    chip = estimate.chip
    why["energy_j"] = f"{chip.id} states no power (hardware.tdp)" if known else whole
    for name in PRICED:
        why[name] = "no price is given" if known and estimate.metrics.cost is None else whole
    if once and estimate.metrics.cost is not None:
        why["cost_per_mtok"] = one
    for name, reason in why.items():
        if getattr(estimate.metrics, name) is None:
            yield name, reason or f"this answer has {', '.join(phases)} alone"


def _without(phase: str, estimate: Estimate) -> str:
    """Say that a phase is not there, if so."""
    return "" if phase in estimate.phases else f"no {phase} is asked for"
