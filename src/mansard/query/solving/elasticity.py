"""``sensitivity``: how a metric answers to each rate of the chip."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

from mansard.backends.estimate import DECODE, ENCODE, PREFILL, called_once
from mansard.backends.hardware import Hardware
from mansard.backends.inverse.attribution import LATENCY, Attribution
from mansard.backends.inverse.sections import NETWORK, Priced
from mansard.core.errors import SpecError, unknown_name
from mansard.query.calibration import CALIBRATED, IDEAL, without_calibration
from mansard.query.estimate import Estimate
from mansard.query.metrics import SPENT, quantities
from mansard.query.shown import Shown
from mansard.query.solving.document import document
from mansard.query.solving.question import Question

if TYPE_CHECKING:
    from mansard.query.study import Study

SCHEMA = "mansard.sensitivity/1"
TIMES = ("ttft", "tpot", "latency", "prefill", "decode")
STEP = 0.005
"""Share by which a rate is changed, where an elasticity is a difference of two answers."""
RATES = ("throughput", "tokens_per_s_per_user")
_PHASES = ("prefill", "decode")
PER_TOKEN = ("tpot", "tokens_per_s_per_user")


@dataclass(frozen=True)
class Sensitivity(Shown):
    """Elasticities of a metric.

    Args:
        metric: its name.
        value: of the metric.
        elasticities: field → the change of the metric in percent when the field grows by one.
        overhead: the share of the time that no rate sets.
        estimate: the answer it belongs to.
    """

    renderer: ClassVar[str] = "sensitivities"

    metric: str
    value: float
    elasticities: Mapping[str, float]
    overhead: float
    estimate: Estimate = field(repr=False)

    @property
    def total(self) -> float:
        """Their sum: -1 plus the overhead of a time, 1 less the overhead of a rate."""
        return sum(self.elasticities.values())

    def __getitem__(self, rate: str) -> float:
        if rate not in self.elasticities:
            raise unknown_name(f"rate that {self.metric} rests on", rate, self.elasticities)
        return self.elasticities[rate]

    def to_dict(self) -> dict[str, Any]:
        """Return the ``mansard.sensitivity/1`` document."""
        return document(SCHEMA, self.estimate, {
            "metric": self.metric, "value": self.value, "elasticities": dict(self.elasticities),
            "overhead": self.overhead,
        })  # fmt: skip

    def rows(self) -> list[dict[str, Any]]:
        """Return a record for each rate, as CSV has them; the last is the time no rate sets."""
        each = [(name, value, abs(value)) for name, value in self.elasticities.items()]
        rest = [("none", 0.0, self.overhead)] if self.overhead else []
        return [
            {"metric": self.metric, "rate": name, "elasticity": value, "share_of_time": share}
            for name, value, share in (*each, *rest)
        ]


def sensitivity(study: Study, metric: str | None = None) -> Sensitivity:
    """Return the elasticity of a metric to every rate of the chip.

    Args:
        study: the model, the hardware and everything else.
        metric: ttft, tpot, latency, prefill, decode, throughput, tokens_per_s_per_user, energy,
            or, with a price, cost and cost_per_mtok; by itself tpot, or latency where no tokens
            are made.

    Raises:
        MansardError: no such metric, one this answer does not have, or a schedule that is
            evaluated step by step.
    """
    metric = study.question.usual if metric is None else metric
    if metric not in (*TIMES, *RATES, *SPENT):
        raise unknown_name("metric that rates set", metric, (*TIMES, *RATES, *SPENT))
    study.question.check_priced(metric)
    if study.kind == CALIBRATED:
        return _by_differences(study, metric)
    question = study.question
    if question.priced is None:
        raise SpecError("this schedule is evaluated step by step, so its rows have no formulas",
                        hint="leave out techniques that run steps side by side")  # fmt: skip
    question.check_few("sensitivities")
    if not question.decodes and quantities(question.estimate)[metric] is None:
        raise SpecError(f"this answer has no {metric}", hint=question.other_metric())
    seconds = _expected(question, question.priced, metric)
    whole = sum(seconds.values(), Fraction(0))
    overhead = seconds.pop(LATENCY, Fraction(0))
    sign = 1 if metric in RATES else -1
    named = {_name(f): sign * float(s / whole) for f, s in seconds.items() if s}
    return Sensitivity(
        metric=metric,
        value=_value(question, metric, whole),
        elasticities=dict(sorted(named.items(), key=lambda item: -abs(item[1]))),
        overhead=float(overhead / whole),
        estimate=question.estimate,
    )


def _by_differences(study: Study, metric: str) -> Sensitivity:
    """Return elasticities of the calibrated estimate, each from two answers a little apart.

    The fields are those that bound anything; a measured kernel answers less than its bound does.
    """
    question = study.question
    value = quantities(question.estimate)[metric]
    if value is None:
        raise SpecError(f"this answer has no {metric}", hint=question.other_metric())
    bound = replace(study, kind=IDEAL, set=without_calibration(study.set))
    chip = study.prepared.target.chip
    found: dict[str, float] = {}
    for name in sensitivity(bound, metric).elasticities:
        rate = rate_of(chip, name)
        if rate is not None:
            low, high = (_at(study, name, rate * (1 + h), metric) for h in (-STEP, STEP))
            found[name] = math.log(high / low) / math.log((1 + STEP) / (1 - STEP))
    sign = 1 if metric in RATES else -1
    return Sensitivity(
        metric=metric,
        value=value,
        elasticities=dict(sorted(found.items(), key=lambda item: -abs(item[1]))),
        overhead=max(0.0, 1.0 - sign * sum(found.values())),
        estimate=question.estimate,
    )


def _at(study: Study, name: str, rate: float, metric: str) -> float:
    unit = "TFLOPS" if name.startswith("hardware.peak") else "TB/s"
    changed = replace(study, set={**study.set, name: f"{rate / 1e12!r} {unit}"})
    value = quantities(changed.question.estimate)[metric]
    assert value is not None
    return value


def rate_of(chip: Hardware, name: str) -> float | None:
    """Return the rate of a chip that a field of ``--set`` sets; None where none does."""
    match name.split("."):
        case ["hardware", "memory", "bandwidth"]:
            return float(chip.bandwidth_bytes_per_s)
        case ["hardware", "link", "per_direction"]:
            return None if chip.link_bytes_per_s is None else float(chip.link_bytes_per_s)
        case ["hardware", "peak", unit, dtype]:
            found = chip.peak(unit, dtype).flops_per_s
            return None if found is None else float(found)
    return None


def _expected(question: Question, priced: Priced, metric: str) -> dict[str, Fraction]:
    """Return the seconds by field, over lengths where they are a distribution.

    The time per token is that of the lengths that have one, as everywhere.
    """
    total: dict[str, Fraction] = {}
    weights = Fraction(0)
    for sizes, weight in question.each:
        if metric in PER_TOKEN and sizes["output"] < 2 and question.study.mix is not None:
            continue
        shares = Attribution(priced, sizes)
        weights += Fraction(weight)
        for rate, s in _metric(shares, metric, Fraction(sizes["output"])).items():
            total[rate] = total.get(rate, Fraction(0)) + s * Fraction(weight)
    if not weights:
        raise SpecError(f"this answer has no {metric}: nothing is decoded",
                        hint="ask for at least 2 output tokens")  # fmt: skip
    return {rate: s / weights for rate, s in total.items()}


def _name(rate: str) -> str:
    return rate if rate == NETWORK else f"hardware.{rate}"


def _metric(shares: Attribution, metric: str, output: Fraction) -> dict[str, Fraction]:
    """Return the seconds by field of the time that a metric is, or is one over."""
    phases = shares.priced.phases

    def need(phase: str, per: Fraction | int = 1) -> dict[str, Fraction]:
        if phase not in phases:
            raise SpecError(f"this answer has no {metric}: there is no {phase} phase",
                            hint="ask for both phases")  # fmt: skip
        return {f: s * per for f, s in shares.phase(phase).items()}

    def mean(phase: str, times: Fraction | int = 1) -> dict[str, Fraction]:
        made = shares.tokens(phase)
        if made == 0:
            raise SpecError(f"this answer has no {metric}: nothing is decoded",
                            hint="ask for at least 2 output tokens")  # fmt: skip
        return need(phase, Fraction(times) if made is None else Fraction(times) / made)

    def first() -> dict[str, Fraction]:
        return _added([need(phase) for phase in (ENCODE, PREFILL) if phase in (*phases, PREFILL)])

    if called_once(phases) and metric not in ("ttft", "tpot", "tokens_per_s_per_user", *_PHASES):
        return _added([need(phase) for phase in phases])
    match metric:
        case "ttft":
            return first()
        case "prefill" | "decode":
            return mean(metric)
        case "tpot" | "tokens_per_s_per_user":
            return mean("decode")
        case "latency":
            between = [need(p) for p in phases if p not in (ENCODE, PREFILL, DECODE)]
            steps = [mean("decode", output - 1)] if output > 1 else []
            return _added([first(), *between, *steps])
        case _:
            need("prefill")
            return _added([need(phase) for phase in phases])


def _added(parts: list[dict[str, Fraction]]) -> dict[str, Fraction]:
    total: dict[str, Fraction] = {}
    for part in parts:
        for rate, s in part.items():
            total[rate] = total.get(rate, Fraction(0)) + s
    return total


def _value(question: Question, metric: str, seconds: Fraction) -> float:
    match metric:
        case "throughput":
            return float(Fraction(question.sizes["batch"] * question.sizes["output"]) / seconds)
        case "tokens_per_s_per_user":
            return float(1 / seconds)
        case "energy" | "cost" | "cost_per_mtok":
            value = quantities(question.estimate)[metric]
            assert value is not None  # check_priced
            return value
        case _:
            return float(seconds)
