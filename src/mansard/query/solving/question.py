"""A study that is asked inverse questions: its answer, its polynomials and curves, made once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mansard.backends.engine.lowered import Lowered, NotCompiledError
from mansard.backends.inverse.curves import Curves
from mansard.backends.inverse.flips import Bounds, bounds
from mansard.backends.inverse.mixed import Mixed
from mansard.backends.inverse.sections import Priced
from mansard.backends.roofline import wanted_phases
from mansard.core.errors import SpecError
from mansard.query.calibration import IDEAL, read_calibration, without_calibration
from mansard.query.engines import Engine
from mansard.query.estimate import Estimate
from mansard.query.lengths import Averaged, read_mix
from mansard.query.metrics import METRICS, SPENT, quantities
from mansard.query.scenario import Scenario, make_scenario
from mansard.query.sequence import as_long_as_it_takes, generates
from mansard.query.study import Study

if TYPE_CHECKING:
    from mansard.backends.calibrated.parameters import Calibration

KEPT = 64
"""Curves that are remembered; the oldest go."""
MOST_LENGTHS = 1024
"""Lengths of a distribution that are looked at one by one."""


class Question:
    """A study with what inverse questions need of it.

    Args:
        study: the model, the hardware and everything else.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self._curves: dict[Any, Curves | Mixed] = {}
        self._bounds: dict[Any, tuple[Bounds, ...]] = {}

    @cached_property
    def estimate(self) -> Estimate:
        """The answer of ``analyze``."""
        return self.study.analyze()

    @cached_property
    def measured(self) -> tuple[str, Calibration | None]:
        """The engine and the user's calibration that a calibrated estimate is of."""
        ready = self.study.prepared
        own = read_calibration(ready.overrides.calibration, ready.target.chip)
        return ready.overrides.framework or "", own

    @property
    def engine(self) -> Engine | Averaged:
        """What gives figures at many scenarios; expectations where lengths are a distribution."""
        engine, mix = self.study.compiled, self.study.mix
        return engine if mix is None else Averaged(engine, mix)

    @cached_property
    def scenario(self) -> Scenario:
        """What is asked; a prompt nobody gave is no longer than a model takes that only reads."""
        study = self.study
        if not study.unsaid or study.mix is not None:
            return study.scenario
        return as_long_as_it_takes(study.scenario, study.prepared.origin)[0]

    @property
    def sizes(self) -> dict[str, float]:
        """Batch, prompt and output; of lengths that are a distribution, the expected ones."""
        sizes = self._symbols
        if self.study.mix is not None:
            sizes["prompt"], sizes["output"] = self.study.mix.means
        return sizes

    @property
    def each(self) -> Iterator[tuple[dict[str, float], float]]:
        """Yield batch, prompt and output of every length, with the length's weight."""
        sizes, mix = self._symbols, self.study.mix
        if mix is None:
            yield sizes, 1.0
            return
        for prompt, output, weight in zip(mix.prompts, mix.outputs, mix.weights, strict=True):
            yield {**sizes, "prompt": prompt, "output": output}, weight

    @property
    def _symbols(self) -> dict[str, float]:
        sizes: dict[str, float] = dict(self.scenario.symbols)
        if not self.generates:
            sizes["output"] = 1  # throughput is batch·output over time, and a batch is made once
        return sizes

    @cached_property
    def generates(self) -> bool:
        """Whether the model makes tokens; of one that is called once, latency is the total."""
        return generates(self.study.prepared.program)

    @property
    def decodes(self) -> bool:
        """Whether the model makes tokens one by one."""
        return "decode" in {step.phase for step in self.estimate.program.schedule}

    @property
    def usual(self) -> str:
        """The metric that is asked for where nobody says which."""
        return "tpot" if self.generates else "latency"

    def where_to_ask(self) -> str:
        """Return a hint for a metric that the answer does not have."""
        if not self.decodes:
            known = ", ".join(n for n in METRICS if quantities(self.estimate)[n] is not None)
            return f"this model decodes nothing; this answer has {known}"
        return "ask for the phase it belongs to; tpot needs two output tokens or more"

    def other_metric(self) -> str:
        """Return a hint for a metric that was asked for and that the answer does not have."""
        if self.estimate.latency is None or self.decodes:
            return self.where_to_ask()
        return f"add --metric latency; {self.where_to_ask()}"

    def check_priced(self, metric: str) -> None:
        """Raise where a metric is what the devices' time is worth, and nobody knows it.

        Raises:
            SpecError: no price, or a chip that states no power.
        """
        if metric in ("cost", "cost_per_mtok") and self.study.price is None:
            raise SpecError(f"{metric} is unknown: nothing gives a price", hint="add --price 2.50")
        known = quantities(self.estimate)
        if metric == "energy" and known[metric] is None and known["throughput"] is not None:
            raise SpecError(f"energy is unknown: {self.estimate.chip.id} states no power",
                            hint="add --set hardware.tdp=700W")  # fmt: skip
        if metric in SPENT and known[metric] is None:
            raise SpecError(f"this answer has no {metric}", hint=self.other_metric())

    def check_one(self, size: str) -> None:
        """Raise where a size is asked about that is a distribution.

        Raises:
            SpecError: it is, or it is the context of lengths that are.
        """
        mix = self.study.mix
        if mix is not None and size in (*mix.spread, "context"):
            raise SpecError(
                f"{size} is no one number here: lengths are a distribution, {mix.text}",
                hint=f"ask about batch, or give {' and '.join(mix.spread)} as a number",
            )

    def check_few(self, what: str) -> None:
        """Raise where lengths are too many to be looked at one by one.

        Raises:
            SpecError: there are more than ``MOST_LENGTHS``.
        """
        mix = self.study.mix
        if mix is not None and len(mix.weights) > MOST_LENGTHS:
            raise SpecError(
                f"{what} look at every length by itself, and {len(mix.weights):,} are more than"
                f" {MOST_LENGTHS:,}: {mix.text}",
                hint="round the lengths to fewer, or write lognormal(MEDIAN,SIGMA)",
            )

    @cached_property
    def lowered(self) -> Lowered:
        """The program as polynomials, before its hardware.

        Raises:
            NotCompiledError: it is only evaluated step by step.
        """
        known = getattr(self.study.compiled, "lowered", None)
        return known or Lowered(self.study.prepared.program)

    @property
    def lowered_phases(self) -> tuple[str, ...]:
        """Phases that are asked about.

        Raises:
            NotCompiledError: the program is only evaluated step by step.
        """
        return wanted_phases(self.study.scenario.phases, self.lowered.phases)

    @cached_property
    def priced(self) -> Priced | None:
        """The program as polynomials; None where it is only evaluated step by step.

        That is a schedule without closed form, and every calibrated estimate.
        """
        if self.study.kind != IDEAL:
            return None
        ready, phases = self.study.prepared, self.study.scenario.phases
        try:
            return Priced(self.lowered, ready.cluster, phases)
        except NotCompiledError:
            return None

    @property
    def bound(self) -> Question:
        """The same of the bound, whose sizes are those of every estimate."""
        if self.study.kind == IDEAL:
            return self
        given = without_calibration(self.study.set)
        return self.changed(kind=IDEAL, set=given)

    def sized(self, **sizes: int) -> Question:
        """Return the question with other sizes: batch, prompt, output or context."""
        asked = self.study.scenario
        step = asked.single_step
        given: dict[str, Any] = {
            "batch": asked.batch, "phase": "both" if step else asked.phase,
            "prompt": None if step else asked.prompt, "output": None if step else asked.output,
            "context": asked.prompt if step else None,
        } | sizes  # fmt: skip
        if "context" in sizes:
            given |= {"prompt": None, "output": None, "phase": "both"}
        unsaid = self.study.unsaid and not {"prompt", "context"} & set(sizes)
        study = replace(self.study, scenario=make_scenario(**given), unsaid=unsaid)
        if self.study.lengths is None or not {"prompt", "output"} & set(sizes):
            return Question(study)
        prompt, output = self.study.lengths
        lengths = (sizes.get("prompt", prompt), sizes.get("output", output))
        mix = read_mix(*lengths, (asked.prompt, asked.output))
        return Question(replace(study, lengths=lengths, mix=mix))

    def changed(self, **values: Any) -> Question:
        """Return the question with other fields of its study."""
        return Question(replace(self.study, **values))

    def curves(self, unknown: str, low: Any, high: Any) -> Curves | Mixed:
        """Return figures as functions of an unknown, made once; expectations over lengths.

        Raises:
            NotCompiledError: the schedule is only evaluated step by step.
        """
        if self.priced is None:
            raise NotCompiledError("its schedule is evaluated step by step")
        key = (unknown, low, high)
        if key not in self._curves:
            while len(self._curves) >= KEPT:
                del self._curves[next(iter(self._curves))]
            each = [(Curves(self.priced, sizes, unknown, low, high), w) for sizes, w in self.each]
            one = self.study.mix is None
            self._curves[key] = each[0][0] if one else Mixed(*zip(*each, strict=True))
        return self._curves[key]

    def bounds(self, unknown: str, low: Any, high: Any, phase: str) -> tuple[Bounds, ...]:
        """Return what bounds each row of a phase as an unknown grows, made once.

        Raises:
            NotCompiledError: the schedule is only evaluated step by step.
        """
        curves = self.curves(unknown, low, high)
        key = (unknown, low, high, phase)
        if key not in self._bounds:
            rows = (s for s in curves.priced.of_phase(phase) if s.row and not s.segment.waits)
            self._bounds[key] = tuple(bounds(curves.each, section) for section in rows)
        return self._bounds[key]
