"""The calibrated backend: kernels as measured, an engine around them, a band on every total."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache

from mansard.backends.calibrated.band import Band
from mansard.backends.calibrated.lookup import Found, find, one_for_all
from mansard.backends.calibrated.parameters import Calibration, Key
from mansard.backends.calibrated.predict import Predictor
from mansard.backends.calibrated.work import Basis, CalibratedWork
from mansard.backends.cluster import Cluster
from mansard.backends.estimate import ENCODE, PREFILL, Row
from mansard.backends.hardware import Hardware
from mansard.backends.roofline import Answer, answer
from mansard.core.errors import SpecError
from mansard.ir.program import Program


@dataclass(frozen=True)
class CalibratedAnswer(Answer):
    """An answer with its band.

    Args:
        bands: metric → (low, high).
        phase_bands: phase → (low, high) of its mean step [s].
        bases: what it rests on, most of the time first.
        is_judged_whole: whether the bands are those of whole networks held back.
    """

    bands: Mapping[str, Band] = field(default_factory=dict)
    phase_bands: Mapping[str, Band] = field(default_factory=dict)
    bases: tuple[Basis, ...] = ()
    is_judged_whole: bool = False


def estimate(
    program: Program,
    on: Hardware | Cluster,
    scenario: Mapping[str, int],
    phases: Iterable[str] = (),
    *,
    framework: str = "",
    own: Calibration | None = None,
) -> CalibratedAnswer:
    """Return what measured kernels and engines make of a program.

    Args:
        program: after its passes.
        on: one device, or several.
        scenario: ``batch``, ``prompt``, ``output`` by name.
        phases: to report; every phase of the schedule unless given.
        framework: the engine, as calibrations name it; empty for the median of all.
        own: a user's calibration of the chip.
    """
    work = work_of(program, on if isinstance(on, Cluster) else Cluster(on), framework, own)
    found = answer(program, scenario, phases, work)
    bands = {name: work.bands[name] for name in found.phases}
    plain = {f.name: getattr(found, f.name) for f in fields(Answer)}
    plain["notes"] = (*found.notes, *work.said(found.phases))
    return CalibratedAnswer(
        **plain,
        bands=_metric_bands(found, bands),
        phase_bands=bands,
        bases=work.bases(),
        is_judged_whole=work.is_judged_whole,
    )


def work_of(
    program: Program, on: Cluster, framework: str = "", own: Calibration | None = None
) -> CalibratedWork:
    """Return what prices the rows of a program as measured, an engine around them."""
    predictor = Predictor(on.chip, own)
    return CalibratedWork(program, on, predictor, framework, engine_of(predictor, framework))


@dataclass(frozen=True)
class Parts:
    """A static batch without its engine [s].

    Args:
        prefill_s: of all its kernels.
        decode_s: of those but attention.
        attention_s: of decode attention with a head of the cache for each of the queries.
        grouped_s: of decode attention where query heads share heads of the cache.
        widen_s: of one operation on each element of an fp8 cache, where the chip has no fp8.
        bound_s: of all of it.
        low_s, high_s: the band of the sum of the kernels.
    """

    prefill_s: float
    decode_s: float
    attention_s: float
    grouped_s: float
    widen_s: float
    bound_s: float
    low_s: float
    high_s: float


def compose(
    program: Program, on: Cluster, scenario: Mapping[str, int], framework: str = ""
) -> Parts:
    """Return the kernels of a static batch, summed; no engine around them."""
    work = CalibratedWork(program, on, _predictor(on), framework)
    found = answer(program, scenario, (), work)
    rows = [
        (name, row, float(row.time_s * row.count * phase.steps))
        for name, phase in found.phases.items()
        for row in phase.ops
        if row.time_s
    ]
    parts = dict.fromkeys((f.name for f in fields(Parts)), 0.0)
    for name, row, time_s in rows:
        parts[_part(name, row)] += time_s
        parts["bound_s"] += time_s * float(row.ideal_s or 0.0) / row.time_s
    parts["widen_s"] = work.widen_s
    for name, phase in found.phases.items():
        parts["low_s"] += work.bands[name].low * float(phase.steps)
        parts["high_s"] += work.bands[name].high * float(phase.steps)
    return Parts(**parts)


def _part(phase: str, row: Row) -> str:
    """Return what part of a static batch a row is."""
    if phase != "decode":
        return "prefill_s"
    if row.kind != "attention":
        return "decode_s"
    shares = float(row.dims["heads"]) > float(row.dims["kv_heads"])
    return "grouped_s" if shares else "attention_s"


@cache
def _predictor(on: Cluster) -> Predictor:
    return Predictor(on.chip)


def engine_of(predictor: Predictor, framework: str) -> Found | None:
    """Return the set of an engine on a chip; None when no engine was measured on any.

    One that stands for others has a band that holds them.
    """
    key = Key("engine", framework)
    try:
        found = find(key, predictor.chip.id, predictor.family, predictor.own)
    except SpecError:
        return None
    if predictor.own is not None and found.one in predictor.own.sets:
        return found
    return one_for_all(found, framework, predictor.chip.id, predictor.family)


def _metric_bands(found: Answer, phases: Mapping[str, Band]) -> dict[str, Band]:
    """Return the bands of the metrics: errors of two phases go the same way."""
    m = found.metrics
    bands: dict[str, Band] = {}
    if m.ttft_s is not None:
        first = {n: float(p.steps) for n, p in found.phases.items() if n in (PREFILL, ENCODE)}
        bands["ttft_s"] = Band(
            sum(phases[n].low * steps for n, steps in first.items()),
            sum(phases[n].high * steps for n, steps in first.items()),
        )
    if m.tpot_s is not None:
        low, high = phases["decode"].low, phases["decode"].high
        bands["tpot_s"] = Band(low, high)
        bands["tokens_per_s_per_user"] = Band(1 / high, 1 / low)
    if m.latency_s is not None:
        often = {name: float(phase.steps) for name, phase in found.phases.items()}
        low = sum(phases[name].low * n for name, n in often.items())
        high = sum(phases[name].high * n for name, n in often.items())
        bands["latency_s"] = Band(low, high)
        if m.throughput_tok_s is not None:
            whole = m.throughput_tok_s * sum(p.total_s for p in found.phases.values())
            bands["throughput_tok_s"] = Band(whole / high, whole / low)
    return bands
