"""A study that is asked inverse questions: its answer, its polynomials and curves, made once."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

from mansard.backends.engine.compiled import Compiled
from mansard.backends.engine.lowered import NotCompiledError
from mansard.backends.engine.stepwise import Stepwise
from mansard.backends.inverse.curves import Curves
from mansard.backends.inverse.flips import Bounds, bounds
from mansard.backends.inverse.sections import Priced
from mansard.core.errors import SpecError
from mansard.query.estimate import Estimate
from mansard.query.scenario import make_scenario
from mansard.query.study import Study

KEPT = 64
"""Curves that are remembered; the oldest go."""


class Question:
    """A study with what inverse questions need of it.

    Args:
        study: the model, the hardware and everything else.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self._curves: dict[Any, Curves] = {}
        self._bounds: dict[Any, tuple[Bounds, ...]] = {}

    @cached_property
    def estimate(self) -> Estimate:
        """The answer of ``analyze``."""
        return self.study.analyze()

    @property
    def engine(self) -> Compiled | Stepwise:
        """What gives figures at many scenarios."""
        return self.study.compiled

    @cached_property
    def priced(self) -> Priced | None:
        """The program as polynomials; None where it is only evaluated step by step.

        That is a schedule without closed form, and every calibrated estimate.
        """
        if self.study.kind != "ideal":
            return None
        ready, phases = self.study.prepared, self.study.scenario.phases
        lowered = getattr(self.engine, "lowered", None)
        try:
            return Priced(lowered or ready.program, ready.cluster, phases)
        except NotCompiledError:
            return None

    def of_the_bound(self, what: str) -> Question:
        """Return the question where it is about the bound, which alone has formulas.

        Raises:
            SpecError: it asks for another estimate.
        """
        if self.study.kind != "ideal":
            raise SpecError(f"{what} are of the bound, not of the {self.study.kind} estimate",
                            hint="leave --estimate out; solve and sweep take it")  # fmt: skip
        return self

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
        return Question(replace(self.study, scenario=make_scenario(**given)))

    def changed(self, **values: Any) -> Question:
        """Return the question with other fields of its study."""
        return Question(replace(self.study, **values))

    def curves(self, unknown: str, low: Any, high: Any) -> Curves:
        """Return figures as functions of an unknown, made once.

        Raises:
            NotCompiledError: the schedule is only evaluated step by step.
        """
        if self.priced is None:
            raise NotCompiledError("its schedule is evaluated step by step")
        key = (unknown, low, high)
        if key not in self._curves:
            while len(self._curves) >= KEPT:
                del self._curves[next(iter(self._curves))]
            scenario = self.study.scenario.symbols
            self._curves[key] = Curves(self.priced, scenario, unknown, low, high)
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
            self._bounds[key] = tuple(bounds(curves, section) for section in rows)
        return self._bounds[key]
