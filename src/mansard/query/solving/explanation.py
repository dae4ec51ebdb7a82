"""The answer of ``explain``: rows, pieces, what techniques changed, where numbers are from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from mansard.backends.estimate import ENCODE, PREFILL, Row
from mansard.core.symbols import Expr
from mansard.query.effects import Effect
from mansard.query.estimate import Estimate
from mansard.query.shown import Shown
from mansard.query.solving.crossing import Crossovers
from mansard.query.solving.document import document
from mansard.query.solving.fits import calibrated_op, fits
from mansard.query.solving.sampling import Sample

SCHEMA = "mansard.explanation/1"
DEFINITIONS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "ttft": (("prefill",), "the prefill, without queueing"),
    "prefill": (("prefill",), "the prefill"),
    "tpot": (("decode",), "decode time / (output - 1)"),
    "decode": (("decode",), "the mean decode step"),
    "latency": (("prefill", "decode"), "ttft + (output - 1)·tpot"),
    "throughput": (("prefill", "decode"), "batch·output / (ttft + (output - 1)·tpot)"),
    "tokens_per_s_per_user": (("decode",), "1 / tpot"),
    "energy": (("prefill", "decode"), "power · devices · (ttft + (output - 1)·tpot)"),
    "cost": (("prefill", "decode"), "price · devices · (ttft + (output - 1)·tpot)"),
    "cost_per_mtok": (("prefill", "decode"), "price · devices / throughput"),
    "memory": ((), "weights + kv_cache + activations + reserve"),
    "weights": ((), "every stored weight once"),
    "kv_cache": ((), "keys, values and states of prompt + output tokens"),
    "activations": ((), "the most that is alive at one kernel"),
}
"""Metric → the phases whose rows it is made of, and what it is."""

ONCE: Mapping[str, str] = {
    "latency": "the total of its phases", "throughput": "batch / latency",
    "energy": "power · devices · latency", "cost": "price · devices · latency",
}  # fmt: skip
"""The same of models that make no tokens; their rows are those of every phase."""


def definition_of(metric: str, estimate: Estimate) -> tuple[tuple[str, ...], str]:
    """Return the phases a metric is made of in an answer, and what it is."""
    wanted, said = DEFINITIONS[metric]
    if estimate.makes != "tokens" and metric in ONCE:
        return tuple(estimate.phases), ONCE[metric]
    if metric != PREFILL and PREFILL in wanted and ENCODE in estimate.phases:
        wanted = (ENCODE, *wanted)  # which a first token awaits
    return wanted, said


@dataclass(frozen=True)
class Stretch:
    """A range of the parameter over which the metric is ``base + slope·parameter``.

    Args:
        low: its first value.
        high: its last; None when it has no end.
        base: of the metric.
        slope: likewise, per unit of the parameter.
        flips: (op, what bounds it from here on) at its start.
    """

    low: int
    high: int | None
    base: float
    slope: float
    flips: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Part:
    """A row of a phase.

    Args:
        phase: it belongs to.
        row: its figures.
        needs: resource → (base, slope) of the seconds all its occurrences need in the mean step,
            over the parameter; empty where they are not affine in it.
    """

    phase: str
    row: Row
    needs: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def time_s(self) -> float:
        """Of all its occurrences in a step."""
        return self.row.time_s * float(self.row.count)


@dataclass(frozen=True)
class Origin:
    """A number of the chip: its field, value, dimension and the documents it was taken from."""

    field: str
    value: float
    dimension: str
    sources: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Explanation(Shown):
    """What a metric is made of.

    Args:
        metric: its name.
        value: of it; None when it does not exist here.
        definition: in words.
        over: the parameter that is left, or nothing.
        parts: rows, the longest first.
        stretches: pieces of the metric over the parameter.
        samples: the metric at values of the parameter, where the estimate is calibrated.
        method: how pieces were found, or why there are none.
        crossings: where ops flip, by phase.
        effects: what techniques changed.
        origins: numbers of the chip in it.
        said: notes about what was asked for.
        op: the one op asked about, or nothing.
        technique: the one pass asked about, or nothing.
        estimate: the answer it explains.
    """

    renderer: ClassVar[str] = "explanations"

    metric: str
    value: float | None
    definition: str
    over: str
    parts: tuple[Part, ...]
    stretches: tuple[Stretch, ...]
    samples: tuple[Sample, ...]
    method: str
    crossings: tuple[Crossovers, ...]
    effects: tuple[Effect, ...]
    origins: tuple[Origin, ...]
    said: tuple[str, ...]
    op: str
    technique: str
    estimate: Estimate = field(repr=False)

    @cached_property
    def expr(self) -> Expr:
        """The metric as a sympy expression over the parameter, or over every scenario symbol."""
        return self.estimate.expr(self.metric, [self.over] if self.over else None)

    def to_dict(self) -> dict[str, Any]:
        """Return the ``mansard.explanation/1`` document."""
        return document(SCHEMA, self.estimate, {
            "metric": self.metric,
            "value": self.value,
            "definition": self.definition,
            "over": self.over or None,
            "method": self.method or None,
            "pieces": [
                {"from": s.low, "to": s.high, "base": s.base, "slope": s.slope,
                 "flips": [{"op": op, "bound": bound} for op, bound in s.flips]}
                for s in self.stretches
            ],
            "values": self._values(),
            "ops": [
                {
                    "phase": p.phase, "name": p.row.name, "count": p.row.count,
                    "time_s": p.time_s, "share": p.row.share, "bound": p.row.bound,
                    "time_by_resource_s": dict(p.row.time_by_resource_s),
                    "formulas": dict(p.row.formulas), "because": list(p.row.because),
                    "over": {r: {"base": b, "slope": m} for r, (b, m) in p.needs.items()},
                    **calibrated_op(p.row),
                }
                for p in self.parts
            ],
            "crossovers": [c.record() for c in self.crossings],
            "techniques": [
                {"name": e.technique.name, "options": dict(e.technique.options),
                 "changed": e.technique.changed, "before": before, "after": after}
                for e, before, after in changes(self)
            ],
            "sources": [
                {"field": o.field, "value": o.value, "sources": list(o.sources)}
                for o in self.origins
            ],
            "notes": list(self.said),
            **({"fits": fits(self.estimate)} if self.estimate.calibrated else {}),
        })  # fmt: skip

    def _values(self) -> list[dict[str, Any]]:
        return [
            {self.over: s.at, "value": s.value, "ideal": s.ideal, "low": s.low, "high": s.high}
            for s in self.samples
        ]

    def latex(self) -> str:
        """Return the formulas as LaTeX."""
        from mansard.query.solving.latex import latex

        return latex(self)


def changes(of: Explanation) -> Iterator[tuple[Effect, float | None, float | None]]:
    """Yield each technique with the metric's time before and after it."""
    for effect in of.effects:
        wanted, _ = definition_of(of.metric, of.estimate)
        before, after = (_before(f, of.metric, wanted) for f in (effect.before, effect.after))
        yield effect, before, after


def _before(figures: Any, metric: str, wanted: tuple[str, ...]) -> float | None:
    """Return the part of a metric that figures between techniques tell: a phase or memory."""
    if metric in ("memory", "weights", "kv_cache", "activations"):
        memory = figures.memory
        return float(memory.total if metric == "memory" else getattr(memory, metric))
    phases = figures.phases
    if not all(p in phases for p in wanted):
        return None
    if metric in ("prefill", "tpot", "decode"):
        return float(phases[wanted[0]].time_s)
    if metric == "tokens_per_s_per_user":
        return 1 / float(phases["decode"].time_s)
    return float(sum(phases[p].total_s for p in wanted))
