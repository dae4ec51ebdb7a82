"""``explain``: what a metric is made of - rows, formulas, pieces, passes, sources."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from mansard.backends.estimate import Row
from mansard.backends.hardware import Hardware
from mansard.backends.inverse.forms import NotAffineError
from mansard.backends.rates import COMPUTE, LINK, MEMORY_BOUND, VECTOR
from mansard.core.errors import SpecError, unknown_name
from mansard.query.calibration import IDEAL
from mansard.query.estimate import Estimate
from mansard.query.find import find_row
from mansard.query.metrics import SPENT, quantities
from mansard.query.scenario import LARGEST
from mansard.query.solving.crossing import Crossovers, check_size_name, crossovers
from mansard.query.solving.expected_rows import expected_rows
from mansard.query.solving.explanation import (
    DEFINITIONS,
    Explanation,
    Origin,
    Part,
    Stretch,
    definition_of,
)
from mansard.query.solving.question import Question
from mansard.query.solving.sampling import Sample, sampled

if TYPE_CHECKING:
    from mansard.query.study import Study


def explain(
    study: Study, metric: str | None = None, *, over: str | None = None, op: str | None = None,
    technique: str | None = None,
) -> Explanation:  # fmt: skip
    """Say what a metric is made of.

    Args:
        study: the model, the hardware and everything else.
        metric: of ``DEFINITIONS``; by itself tpot, or latency where no tokens are made.
        over: batch, prompt, output or context: the metric and its rows as functions of it.
        op: only this op, or the one it was merged into.
        technique: only what this pass changed.

    Raises:
        MansardError: no such metric, size, op or pass, or a metric this answer does not have.
    """
    question = study.question
    metric = question.usual if metric is None else metric
    if metric not in DEFINITIONS:
        raise unknown_name("metric to explain", metric, DEFINITIONS)
    question.check_priced(metric)
    estimate = expected_rows(question)
    wanted, definition = definition_of(metric, estimate)
    value = quantities(estimate)[metric]
    if value is None:
        raise SpecError(f"this answer has no {metric}",
                        hint=question.other_metric())  # fmt: skip
    phases = [p for p in estimate.phases if p in wanted]
    if over:
        check_size_name(study, over)
        question.check_one(over)
    key = "prompt" if over == "context" else over
    crossings = tuple(crossovers(study, over, p) for p in phases) if over else ()
    said: list[str] = []
    names = {p: _asked(estimate, p, op, said) for p in phases} if op else {}
    effects = estimate.effects
    if technique is not None:
        names_known = [t.name for t in estimate.techniques]
        if technique not in names_known:
            raise unknown_name("pass that ran here", technique, names_known)
        effects = tuple(e for e in effects if e.technique.name == technique)
    parts = tuple(
        Part(p, row, _needs(question, key, p, row) if key else {})
        for p in phases
        for row in estimate.phases[p].ops
        if not op or row.name == names[p]
        if not technique or any(_by(reason, technique) for reason in row.because)
    )
    stretches: tuple[Stretch, ...] = ()
    samples: tuple[Sample, ...] = ()
    method = ""
    if (over and study.kind == IDEAL) or not wanted:
        stretches, method = _stretches(question.bound, metric, key, crossings) if key else ((), "")
    elif over:
        samples, method = _sampled(question, metric, over, crossings)
    whole = not op and not technique
    return Explanation(
        metric=metric,
        value=value,
        definition=definition if metric != "tpot" or not estimate.scenario.single_step else
        "the one decode step",
        over=over or "",
        parts=parts,
        stretches=stretches if whole else (),
        samples=samples if whole else (),
        method=method,
        crossings=crossings,
        effects=effects,
        origins=tuple(_origins(estimate.chip, parts)),
        said=tuple(said),
        op=op or "",
        technique=technique or "",
        estimate=estimate,
    )  # fmt: skip


def _asked(estimate: Estimate, phase: str, op: str, said: list[str]) -> str:
    found = find_row(estimate.phases[phase], op)
    if found.said:
        said.append(found.said)
    return found.row.name


def _by(reason: str, technique: str) -> bool:
    """Say whether a label of a row is a technique's: ``merge-qkv: one read of the input``."""
    return reason.partition(":")[0] == technique


def _needs(question: Question, key: str, phase: str, row: Row) -> dict[str, tuple[float, float]]:
    """Return what each resource of a row needs in the mean step, over the parameter."""
    if question.priced is None:
        return {}
    for bounds in question.bounds(key, 1, LARGEST, phase):
        if bounds.section.name == row.name and bounds.needed:
            lines = bounds.needed.items()
            if any(f.bends for _, f in lines):
                return {}
            return {r: (float(f.base), float(f.slope)) for r, f in lines}
    return {}


def _sampled(
    question: Question, metric: str, over: str, crossings: tuple[Crossovers, ...]
) -> tuple[tuple[Sample, ...], str]:
    """Return a calibrated metric at values of a size, or why there are none."""
    if metric in SPENT:
        return (), f"{metric} is the devices' time at a price: see latency"
    flips = [low for crossing in crossings for op in crossing.ops for low, _, _ in op.flips]
    samples = sampled(question, metric, over, flips)
    return samples, "values: calibrated laws have no pieces with slopes"


def _stretches(
    question: Question, metric: str, key: str, crossings: tuple[Crossovers, ...]
) -> tuple[tuple[Stretch, ...], str]:
    """Return the pieces of a metric over a parameter, or why there are none."""
    if metric in SPENT:
        return (), f"{metric} is the devices' time at a price: its pieces are those of latency"
    inverse = metric in ("throughput", "tokens_per_s_per_user")
    if inverse:
        return (), f"{metric} is a quotient: its pieces are those of the time it is over"
    try:
        curve = question.curves(key, 1, LARGEST).figure(metric)
    except NotAffineError as error:
        return (), f"{metric} is not piecewise affine in {key}: {error.message}"
    if curve is None:
        return (), ""
    flips: dict[int, list[tuple[str, str]]] = {}
    for crossing in crossings:
        for op in crossing.ops:
            for low, _, bound in op.flips[1:]:
                flips.setdefault(low, []).append((op.name, bound))
    found: list[Stretch] = []
    for piece in curve.pieces():
        low, high = int(-(-piece.low // 1)), int(piece.high // 1)
        if low > high or (found and high <= (found[-1].high or 0)):
            continue
        if found and found[-1].high is not None and low <= found[-1].high:
            low = found[-1].high + 1
        end = None if piece.high == Fraction(LARGEST) else high
        at = tuple(f for x in flips if low <= x <= (high if end else x) for f in flips[x])
        found.append(Stretch(low, end, float(piece.base), float(piece.slope), at))
    return tuple(found), f"exact: {metric} is piecewise affine in {key}"


def _origins(chip: Hardware, parts: tuple[Part, ...]) -> Iterator[Origin]:
    """Yield the numbers of the chip that rows rest on, each once."""
    rows = [p.row for p in parts]
    resources = {r for row in rows for r in row.time_by_resource_s}
    if MEMORY_BOUND in resources:
        yield Origin("memory.bandwidth", float(chip.bandwidth_bytes_per_s), "bytes/s",
                     chip.sources_of("memory.bandwidth"))  # fmt: skip
    if COMPUTE in resources:
        for dtype in dict.fromkeys(row.compute_dtype for row in rows if row.unit == "matrix"):
            rate = chip.peak("matrix", dtype).flops_per_s
            if rate is not None:
                yield Origin(f"peak.matrix.{dtype}", float(rate), "flop/s",
                             chip.sources_of("peak.matrix.bf16"))  # fmt: skip
    if VECTOR in resources:
        peak = chip.peak("vector", "fp32")
        if peak.flops_per_s is not None:
            yield Origin(f"peak.vector.{peak.dtype}", float(peak.flops_per_s), "flop/s",
                         chip.sources_of("peak.vector.fp32"))  # fmt: skip
    if LINK in resources and chip.link_bytes_per_s is not None:
        yield Origin("link.per_direction", float(chip.link_bytes_per_s), "bytes/s",
                     chip.sources_of("link.per_direction"))  # fmt: skip
        if chip.link_latency_s is not None:
            yield Origin("link.latency", float(chip.link_latency_s), "time",
                         chip.sources_of("link.latency"))  # fmt: skip
