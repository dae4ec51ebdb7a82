"""``compare``: models, chips and techniques side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mansard.backends.hardware import Hardware
from mansard.core.errors import MansardError, SpecError, UnknownNameError
from mansard.core.records import dataclass
from mansard.query.analyze import analyze
from mansard.query.beside import RESTS, record, rests, warned
from mansard.query.metrics import HIGHER, METRICS, NEITHER, quantities
from mansard.query.report import finite
from mansard.query.several import several
from mansard.query.source import Source

if TYPE_CHECKING:
    from mansard.query.estimate import Estimate
    from mansard.query.techniques import Spec

MOST = 200
"""More answers are a sweep."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One of the answers compared.

    Args:
        model, on, techniques: what was asked, as text.
        variant: the last of the techniques, by which the answers may differ.
        estimate: the answer; None where there is none.
        problem: why there is none.
    """

    model: str
    on: str
    techniques: str
    variant: str
    estimate: Estimate | None
    problem: MansardError | None = None

    def value(self, metric: str) -> float | None:
        """Return a metric by its name; None where it is unknown."""
        return quantities(self.estimate)[metric] if self.estimate else None


@dataclass(frozen=True, eq=False)
class Comparison:
    """Answers side by side; the first that exists is what the others are compared with."""

    entries: tuple[Entry, ...]

    @property
    def base(self) -> Entry:
        """What the others are compared with."""
        return next(e for e in self.entries if e.estimate)

    def change(self, entry: Entry, metric: str) -> float | None:
        """Return by which share a metric differs from the base's: 0.1 is a tenth more."""
        before, after = self.base.value(metric), entry.value(metric)
        if entry is self.base or not before or after is None:
            return None
        if metric == "throughput" and len(self._made) > 1:
            return None  # images are no tokens
        return after / before - 1

    def best(self, metric: str) -> frozenset[Entry]:
        """Return the best answers by a metric, of those that fit the memory.

        None is best where all are equal.
        """
        better = METRICS[metric].better
        values = {
            e: v
            for e in self.entries
            if e.estimate and e.estimate.memory.fits is not False
            and (v := e.value(metric)) is not None
        }  # fmt: skip
        if better == NEITHER or len(set(values.values())) < 2:
            return frozenset()
        if metric == "throughput" and len(self._made) > 1:
            return frozenset()
        top = max(values.values()) if better == HIGHER else min(values.values())
        return frozenset(e for e, v in values.items() if v == top)

    @property
    def _made(self) -> frozenset[str]:
        """What the answers make."""
        return frozenset(e.estimate.makes for e in self.entries if e.estimate)

    def records(self) -> list[dict[str, Any]]:
        """Return one flat record an answer, the metrics by their JSON names."""
        return [finite(dict(self._record(entry))) for entry in self.entries]

    def to_dict(self) -> list[dict[str, Any]]:
        """Return the records with what each rests on: plain JSON values, null for unknown."""
        return [
            finite(record | dict(self._beside(entry)))
            for record, entry in zip(self.records(), self.entries, strict=True)
        ]

    def _beside(self, entry: Entry) -> Iterator[tuple[str, Any]]:
        """Yield what is no column: the sets of a calibrated answer, and notes."""
        if self._is_calibrated:
            known = rests(entry.estimate) if entry.estimate else {}
            yield from ((name, known.get(name)) for name in RESTS)
        yield "warnings", warned(entry.estimate.notes if entry.estimate else ())

    @property
    def _is_calibrated(self) -> bool:
        """Whether any answer is."""
        return any(e.estimate and e.estimate.calibrated for e in self.entries)

    def _record(self, entry: Entry) -> Iterator[tuple[str, Any]]:
        estimate = entry.estimate
        yield from (("model", entry.model), ("on", entry.on), ("techniques", entry.techniques))
        yield "devices", estimate.devices if estimate else None
        yield "params", estimate.model.params if estimate else None
        for name, metric in METRICS.items():
            yield metric.field, entry.value(name)
        yield "makes", estimate.makes if estimate else None
        yield "estimate", estimate.kind if estimate else None
        if self._is_calibrated:
            yield from record(estimate).items()
        yield "fits", estimate.memory.fits if estimate else None
        for phase in ("prefill", "decode"):
            known = estimate.phases.get(phase) if estimate else None
            yield f"{phase}_bound", known.bound if known else None
        yield "problem", entry.problem.message if entry.problem else None

    def __str__(self) -> str:
        from importlib import import_module

        return str(import_module("mansard.render.comparison").plain(self))

    def _repr_html_(self) -> str:
        from importlib import import_module

        return str(import_module("mansard.render.notebook").comparison_html(self))


def compare(
    models: Source | Sequence[Source],
    on: str | Path | Hardware | Sequence[str | Path | Hardware],
    *,
    variants: Spec | Sequence[Spec | Sequence[Spec]] = ((),),
    **asked: Any,
) -> Comparison:
    """Answer every combination of models, hardware and techniques.

    Args:
        models: each what ``load`` takes; one of them alone is one.
        on: each what ``analyze`` takes; likewise.
        variants: pipelines to compare; each follows ``techniques``, which all have in common.
        asked: everything else ``analyze`` takes.

    Raises:
        MansardError: nothing to compare, too much, no combination has an answer, or a name that
            nothing carries.
    """
    models, on = several(models), several(on)
    pipelines = [several(variant) for variant in several(variants)]
    many = len(models) * len(on) * len(pipelines)
    if not 1 <= many <= MOST:
        raise SpecError(
            f"compare has {many} answers to give", hint=f"1 to {MOST}; a sweep takes more"
        )
    common = several(asked.pop("techniques", ()))
    entries = tuple(
        _entry(model, chip, (*common, *variant), variant, asked)
        for model, chip, variant in product(models, on, pipelines)
    )
    if not any(e.estimate for e in entries):
        problem = entries[0].problem
        assert problem is not None
        raise problem
    return Comparison(entries)


def _entry(
    model: Source, on: str | Path | Hardware, techniques: Sequence[Spec], variant: Sequence[Spec],
    asked: Mapping[str, Any],
) -> Entry:  # fmt: skip
    chip = on.id if isinstance(on, Hardware) else str(on)
    labels = ",".join(map(str, techniques)), ",".join(map(str, variant))
    try:
        found = analyze(model, on=on, techniques=techniques, **asked)
    except UnknownNameError:
        raise  # it is a mistake of the question, not of one combination
    except MansardError as problem:
        return Entry(_name(model), chip, *labels, None, problem)
    return Entry(found.model.name, chip, *labels, found)


def _name(model: Source) -> str:
    origin = getattr(model, "origin", None)
    return str(getattr(origin, "name", model))[:80]
