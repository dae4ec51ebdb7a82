"""Calibrated estimates as users ask for them: the engine, a file of their own, the bound beside."""

from __future__ import annotations

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mansard.backends.calibrated.band import Band
from mansard.backends.cluster import Cluster
from mansard.backends.hardware import Hardware
from mansard.core.errors import SpecError, unknown_name
from mansard.core.records import dataclass
from mansard.query.overrides import CALIBRATION, FRAMEWORK, Overrides
from mansard.query.scenario import Scenario
from mansard.query.target import load_hardware

if TYPE_CHECKING:
    from mansard.backends.calibrated.parameters import Calibration
    from mansard.backends.calibrated.user_csv import Report
    from mansard.backends.calibrated.work import Basis, CalibratedWork
    from mansard.backends.estimate import Phase
    from mansard.backends.roofline import Answer, Work
    from mansard.ir.program import Program
    from mansard.query.engines import Engine

IDEAL, CALIBRATED = "ideal", "calibrated"
KINDS = (IDEAL, CALIBRATED)
LONG = 5000
"""Lines of a CSV from which a user is told that it takes a while."""
WHOLE_BANDS = "whole networks held back, so rows' bands do not add up to theirs"
ADDED_BANDS = "kernels and of the engine, added in squares: no such network was held back"
"""What the bands of an estimate are of."""
TIMES = ("ttft_s", "tpot_s", "latency_s")


@dataclass(frozen=True)
class Calibrated:
    """What a calibrated estimate says beside its figures.

    Args:
        framework: the engine; empty for the median of all.
        engine: which engine that is, in words.
        bands: metric → between which values four of five measurements are expected.
        phase_bands: phase → the same of its mean step [s].
        ideal: metric → the bound's figure.
        ideal_phases: phase → the bound's time of its mean step [s].
        bases: the sets it rests on, most of the time first.
        ratios: metric → the figure over the bound's.
        bands_of: what the bands are made of, in words.
    """

    framework: str
    bands: Mapping[str, Band]
    phase_bands: Mapping[str, Band]
    ideal: Mapping[str, float | None]
    ideal_phases: Mapping[str, float]
    bases: tuple[Basis, ...]
    ratios: Mapping[str, float]
    engine: str = ""
    bands_of: str = ""

    @property
    def shares(self) -> tuple[tuple[Basis, float], ...]:
        """Each set with its share of the time."""
        total = sum(b.time_s for b in self.bases) or 1.0
        return tuple((b, b.time_s / total) for b in self.bases)

    def expected(self, beside: Mapping[str, Mapping[str, float]]) -> Calibrated:
        """Return it with the bound and the band of metrics that are expectations over lengths.

        Args:
            beside: JSON name of a metric → ``value ideal low high``.
        """
        bands = {name: Band(v["low"], v["high"]) for name, v in beside.items()}
        ideal: dict[str, float | None] = {name: v["ideal"] for name, v in beside.items()}
        ratios = {name: v["value"] / v["ideal"] for name, v in beside.items() if name in TIMES}
        return replace(self, bands=bands, ideal=ideal, ratios=ratios)

    def of_rows(self, phases: Mapping[str, Phase], work: CalibratedWork) -> Calibrated:
        """Return it with the bases, bands and bounds of rows that are expectations."""
        ideal = {
            name: sum((row.ideal_s or 0.0) * row.count for row in phase.ops)
            for name, phase in phases.items()
        }
        bands = {name: work.bands[name] for name in phases}
        bases = work.bases({name: float(phase.steps) for name, phase in phases.items()})
        return replace(self, phase_bands=bands, ideal_phases=ideal, bases=bases)

    def to_dict(self) -> dict[str, Any]:
        """Return the keys a calibrated document has beside the others."""
        return {
            "framework": self.framework,
            "bands": {n: {"low": b.low, "high": b.high} for n, b in self.bands.items()},
            "bands_of": self.bands_of,
            "ideal": {
                "metrics": dict(self.ideal),
                "phases": {n: {"time_s": t} for n, t in self.ideal_phases.items()},
            },
            "ratio": dict(self.ratios),
            "basis": [
                {"set": b.set, "form": b.form, "rows": b.rows, "share": share}
                for b, share in self.shares
            ],
        }


def check_kind(kind: str, overrides: Overrides) -> None:
    """Raise unless there is such an estimate and what is overridden belongs to it.

    Raises:
        UnknownNameError: no such estimate.
        SpecError: an engine or a calibration, but the bound is asked for.
    """
    if kind not in KINDS:
        raise unknown_name("estimate", kind, KINDS)
    given = [n for n in ("framework", "calibration") if getattr(overrides, n) is not None]
    if kind == IDEAL and given:
        raise SpecError(
            f"{given[0]} is part of a calibrated estimate, and the bound is asked for",
            hint="add --estimate calibrated",
        )
    if overrides.framework is not None:
        from mansard.backends.calibrated.lookup import FRAMEWORKS

        if overrides.framework not in FRAMEWORKS and overrides.calibration is None:
            raise unknown_name("framework", overrides.framework, FRAMEWORKS)


def read_calibration(path: str | None, chip: Hardware) -> Calibration | None:
    """Read what ``mansard calibrate`` wrote.

    Raises:
        SpecError: no such file, not a calibration, or one of another chip.
    """
    if path is None:
        return None
    from mansard.backends.calibrated.parameters import Calibration

    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(
            f"cannot read the calibration {path!r}: {error}",
            hint="write one with mansard calibrate CSV --chip ID -o FILE",
        ) from error
    found = Calibration.from_toml(text, where=path)
    if not found.sets:
        raise SpecError(f"{path}: no [[set]] in it", hint="mansard calibrate writes such files")
    if found.chip != chip.id:
        raise SpecError(
            f"{path} was fitted on {found.chip!r}, the estimate is of {chip.id!r}",
            hint=f"use --on {found.chip}, or fit one for {chip.id}",
        )
    return found


def fitted(path: str, chip: str, say: Callable[[str], None] = lambda said: None) -> Report:
    """Fit a chip from a CSV of a user's measurements.

    Args:
        path: of the CSV.
        chip: that was measured.
        say: told what takes long, before it does.

    Raises:
        MansardError: no such chip or file, or measurements that cannot be fitted.
    """
    from mansard.backends.calibrated.user_csv import fit

    found = load_hardware(chip)
    try:
        raw = Path(path).read_bytes()
        if raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) or b"\0" in raw[:100]:
            raise SpecError(f"{path!r} looks like UTF-16", hint="save it as UTF-8")
        text = raw.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(
            f"cannot read {path!r}: {error}", hint="a CSV in UTF-8; docs/calibrate.md has columns"
        ) from error
    lines = text.count("\n")
    if lines > LONG:
        say(f"reading and fitting {lines} lines, some seconds for every 10000 …")
    return fit(text, found, where=Path(path).name)


def without_calibration(given: Mapping[str, object]) -> dict[str, object]:
    """Return overrides without what belongs to a calibrated estimate alone."""
    return {name: v for name, v in given.items() if name not in (CALIBRATION, FRAMEWORK)}


def priced_as(
    kind: str, program: Program, on: Cluster, asked: Scenario, framework: str,
    own: Calibration | None,
) -> Answer:  # fmt: skip
    """Return what a program costs, in one kind of estimate."""
    if kind == CALIBRATED:
        from mansard.backends.calibrated.estimate import estimate

        return estimate(program, on, asked.symbols, asked.phases, framework=framework, own=own)
    from mansard.backends.roofline import estimate as roofline

    return roofline(program, on, asked.symbols, asked.phases)


def engine_as(
    kind: str, program: Program, on: Cluster, phases: Sequence[str], framework: str,
    own: Calibration | None,
) -> Engine:  # fmt: skip
    """Return what gives the figures of a kind of estimate at many scenarios."""
    if kind == CALIBRATED:
        from mansard.backends.calibrated.compiled import compile_calibrated

        return compile_calibrated(program, on, phases, framework, own)
    from mansard.backends.engine.compiled import compile_program

    return compile_program(program, on, phases)


def work_as(
    kind: str, program: Program, on: Cluster, framework: str, own: Calibration | None
) -> Work:
    """Return what prices the rows of a program in a kind of estimate."""
    if kind == CALIBRATED:
        from mansard.backends.calibrated.estimate import work_of

        return work_of(program, on, framework, own)
    from mansard.backends.roofline import Work

    return Work(program, on)


def calibrated_figures(
    answer: Answer, program: Program, on: Cluster, asked: Scenario, framework: str
) -> Calibrated | None:
    """Return bands, the bound beside, ratios and bases; None where the answer is the bound."""
    bands = getattr(answer, "bands", None)
    if bands is None:
        return None
    from mansard.backends.calibrated.estimate import CalibratedAnswer
    from mansard.backends.calibrated.lookup import family_of, stands_for

    assert isinstance(answer, CalibratedAnswer)
    engines = (basis.fit for basis in answer.bases if basis.form == "engine")
    bound = priced_as(IDEAL, program, on, asked, "", None)
    ideal = {name: getattr(bound.metrics, name) for name in answer.bands}
    ratios = {
        name: getattr(answer.metrics, name) / ideal[name] for name in TIMES if ideal.get(name)
    }
    return Calibrated(
        framework=framework,
        bands=answer.bands,
        phase_bands=answer.phase_bands,
        ideal=ideal,
        ideal_phases={name: phase.time_s for name, phase in bound.phases.items()},
        bases=answer.bases,
        ratios=ratios,
        bands_of=WHOLE_BANDS if answer.is_judged_whole else ADDED_BANDS,
        engine=stands_for(
            next((e.found for e in engines if e), None), framework, on.chip.id, family_of(on.chip)
        ),
    )
