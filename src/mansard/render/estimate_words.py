"""An estimate in words: what was asked, of which model and chip, what it found and rests on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from mansard.backends.estimate import Phase
from mansard.core.units import format_bytes, format_time
from mansard.render.words import made_per_s, parameters, percent, tokens_per_s

if TYPE_CHECKING:
    from mansard.query.estimate import Estimate
    from mansard.query.scenario import Scenario

# 241 static batches of Llama 2 7B, Llama 3 8B and Mistral 7B in 16 bits on one A100 or H100 under
# vLLM and TensorRT-LLM: the measured time of a batch over its bound at -O1 is 1.44 to 1.98 from the
# 10th to the 90th percentile, median 1.66, so mostly 50-70 %; the least is 1.27, the greatest 3.8
# (LLM-Inference-Bench, arXiv:2411.00136, Plots/All_results.csv).
CAVEATS = (
    "A roofline bound: nothing is faster. vLLM and TensorRT-LLM mostly reached 50-70 % of it with"
    " 7-8B models on A100 and H100 (arXiv:2411.00136)",
    "A bound: nothing is faster. Engines mostly reach 50-70 % (arXiv:2411.00136: 7-8B, A100/H100)",
    "A bound: engines reached 50-70 % of it (arXiv:2411.00136, 7-8B, A100/H100)",
    "A bound; engines reached 50-70 % (arXiv:2411.00136)",
)
"""What a roofline is worth, from the longest to the shortest way to say it."""
LEAST = 0.005
"""Share of the time of a source that a short line names."""


def caveat(width: int) -> str:
    """Return the caveat that fits in one line."""
    return next((c for c in CAVEATS if len(c) <= width), CAVEATS[-1])


def stated(estimate: Estimate) -> list[str]:
    """Return what a plugin's backend assumes, a line each; one that states nothing is said to."""
    name = estimate.backend.partition(":")[0].partition("{")[0]
    return list(estimate.assumes) or [f"the backend {name} does not state what it assumes"]


def beside(estimate: Estimate) -> list[tuple[str, str, str, str, str]]:
    """Return (metric, bound, calibrated, ratio, band) of each metric a calibrated estimate has."""
    found = estimate.calibrated
    if found is None:
        return []
    lines = []
    for metric, name in (("ttft_s", "TTFT"), ("tpot_s", "TPOT"), ("latency_s", "latency")):
        if metric in found.bands:
            band, ratio = found.bands[metric], found.ratios.get(metric)
            lines.append((
                name, format_time(found.ideal[metric]),
                format_time(getattr(estimate.metrics, metric)),
                f"{ratio:.2f}" if ratio else "-",
                f"{format_time(band.low)} - {format_time(band.high)}",
            ))  # fmt: skip
    return lines


def rests_on(estimate: Estimate) -> str:
    """Say in a sentence what a calibrated estimate rests on: the sets with most of the time."""
    found = estimate.calibrated
    if found is None:
        return ""
    parts = [f"{percent(share)} {b.form} ({b.set})" for b, share in found.shares[:3]]
    more = len(found.bases) - 3
    rest = f"; {more} more sets in -f json" if more > 0 else ""
    engine = found.engine or found.framework or "the median of engines"
    said = f"Rests on measurements, for {engine}: {'; '.join(parts)}{rest}"
    return f"{said}. Bands are of {found.bands_of}"


def rests_briefly(estimates: Iterable[Estimate]) -> list[str]:
    """Say whose measurements calibrated estimates rest on, a line a chip."""
    lines: dict[str, str] = {}
    for estimate in estimates:
        found = estimate.calibrated
        if found is None or estimate.chip.id in lines:
            continue
        shares: dict[str, float] = {}
        for basis, share in found.shares:
            name = basis.fit.found.basis if basis.fit else basis.set
            source = name.partition(":")[0].partition(",")[0]
            shares[source] = shares.get(source, 0.0) + share
        engine = (found.engine or found.framework or "the median of engines").partition(",")[0]
        told = ", ".join(
            f"{'measurements of ' * (name == estimate.chip.id)}{name} ({percent(share)})"
            for name, share in shares.items()
            if share >= LEAST
        )
        lines[estimate.chip.id] = f"{estimate.chip.id} rests on {told}, for {engine}"
    return list(lines.values())


def title(estimate: Estimate) -> str:
    """Name the model and the chip."""
    devices = f" ×{estimate.devices}" if estimate.devices > 1 else ""
    by = f" · {estimate.backend}" if estimate.backend else ""
    return f"{estimate.model.name} · {estimate.chip.name or estimate.chip.id}{devices}{by}"


def measured(estimate: Estimate) -> list[tuple[str, str]]:
    """Return (name, value) of what users steer by, as far as it is known."""
    metrics = estimate.metrics
    if estimate.makes != "tokens":
        return totals(estimate)
    found = (
        ("TTFT", format_time(metrics.ttft_s)),
        ("TPOT", format_time(metrics.tpot_s)),
        ("latency", format_time(metrics.latency_s)),
        ("throughput", tokens_per_s(metrics.throughput_tok_s)),
        ("per user", tokens_per_s(metrics.tokens_per_s_per_user)),
    )
    return [(name, value) for name, value in found if value != "-"]


def totals(estimate: Estimate) -> list[tuple[str, str]]:
    """Return total time and throughput of a model that generates nothing; else nothing."""
    total_s, rate = estimate.latency, estimate.throughput
    if estimate.makes == "tokens" or not total_s or not rate:
        return []
    return [("total", format_time(total_s)), ("throughput", made_per_s(rate, estimate.makes))]


def scenario(estimate: Estimate) -> list[str]:
    """Say what was asked.

    A single step says what is cached, everything else prompt and output, each where the model has
    one.
    """
    asked = estimate.scenario
    if asked.single_step:
        return [f"batch {asked.batch}", f"one step over {asked.prompt} cached tokens"]
    shown = (f"{name} {size}" for name, size in lengths(estimate).items())
    return [f"batch {asked.batch}", *shown]


def lengths(estimate: Estimate) -> dict[str, str]:
    """Return prompt and output, each where the model has one; nothing of a single step."""
    asked = estimate.scenario
    if asked.single_step:
        return {}
    each = (("prompt", asked.prompt), ("output", asked.output))
    return {n: _length(estimate, n, size) for n, size in each if n in estimate.sizes}


def _length(estimate: Estimate, name: str, mean: int) -> str:
    """Write a length: a number, or the distribution with its mean."""
    text = estimate.lengths.get(name)
    return str(mean) if text is None else f"{distribution(text)}, mean {mean:,}"


def distribution(text: str) -> str:
    """Write a distribution of lengths; of a file its name.

    >>> distribution("lognormal(2k,0.8)"), distribution("/data/trace.csv")
    ('lognormal(2k, 0.8)', 'trace.csv')
    """
    if text.strip().lower().endswith(".csv"):
        return text.strip().replace("\\", "/").rpartition("/")[2]
    return re.sub(r"\s*,\s*", ", ", text.strip())


def prefilled(estimate: Estimate) -> Scenario:
    """Return the scenario with as many prompt tokens as the prefill reads, images' included."""
    return replace(estimate.scenario, prompt=estimate.prefilled)


def model(estimate: Estimate) -> list[str]:
    """Say what the model is: parameters, cache growth and state."""
    facts = estimate.model
    active = f" ({parameters(facts.active_params)} active)"
    parts = [
        f"{parameters(facts.params)} parameters"
        + (active if facts.active_params != facts.params else "")
    ]
    if facts.kv_bytes_per_token:
        within, beyond = estimate.kv_growth
        said = f"KV cache {format_bytes(facts.kv_bytes_per_token)} a token"
        if within and beyond < within:
            rest = format_bytes(facts.kv_bytes_per_token * beyond / within)
            said += f" within the window, {rest} beyond"
        parts.append(said)
    if facts.state_bytes:
        parts.append(f"state {format_bytes(facts.state_bytes)} a sequence")
    return parts


def kept(estimate: Estimate) -> str:
    """Say what the model keeps of a sequence: a KV cache, a state, or both."""
    facts = estimate.model
    named = (("KV cache", facts.kv_bytes_per_token), ("state", facts.state_bytes))
    return " and ".join(name for name, size in named if size) or "KV cache"


def heading(phase: Phase) -> str:
    """Return a phase's name as a heading."""
    return phase.name.replace("_", " ").capitalize()


def bounds(phase: Phase) -> list[tuple[str, float]]:
    """Return what bounds a phase and the share of its time each does, greatest first."""
    shares = [(r, t / phase.time_s) for r, t in phase.time_by_resource_s.items() if phase.time_s]
    return sorted(((r, s) for r, s in shares if s >= 0.0005), key=lambda pair: -pair[1])


def overlaps(phase: Phase) -> bool:
    """Whether messages take time that something else could hide, enough to be worth a word."""
    return "link" in phase.time_by_resource_s and phase.overlapped_s < 0.99 * phase.time_s
