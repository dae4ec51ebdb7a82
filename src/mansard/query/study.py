"""``study``: one model on one hardware, to be asked more than one question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mansard.core.errors import SpecError
from mansard.query.lengths import Mix, read_sizes
from mansard.query.scenario import DEFAULT_OUTPUT, DEFAULT_PROMPT, Scenario, make_scenario
from mansard.query.settings import from_file, is_scenario, keywords
from mansard.query.several import several

if TYPE_CHECKING:
    from mansard.backends.hardware import Hardware
    from mansard.query.comparing import Comparison
    from mansard.query.engines import Engine
    from mansard.query.estimate import Estimate
    from mansard.query.prepare import Prepared
    from mansard.query.solving.crossing import Crossovers
    from mansard.query.solving.elasticity import Sensitivity
    from mansard.query.solving.explanation import Explanation
    from mansard.query.solving.many import Solutions
    from mansard.query.solving.question import Question
    from mansard.query.solving.solution import Solution
    from mansard.query.source import Source
    from mansard.query.sweeps.result import Sweep
    from mansard.query.techniques import Spec
    from mansard.query.what_if import WhatIf

LENGTHS = ("prompt", "output")


@dataclass(frozen=True, eq=False)
class Study:
    """A scenario with the model, the hardware and the techniques it is about.

    Args:
        source: what ``load`` takes.
        on: a chip's name, ``name:N``, ``name:NODESxN``, the path of a chip's file, or a Hardware.
        scenario: sequences, lengths and phase; a question about one of them overrides it.
        techniques: passes, or pipeline text, in order.
        level: "O0" or "O1".
        set: overrides, as ``analyze`` takes them.
        kind: "ideal" or "calibrated".
        price: of a device and hour; None where costs are unknown.
        lengths: of prompt and output as they were given, where one is a distribution; the
            scenario then has their means.
        mix: what they say.
        unsaid: whether nobody gave the prompt, so that in a sweep a model that takes less gets
            what it takes.
        given: which of prompt and output somebody gave, with which a context has no place.
    """

    source: Source
    on: str | Path | Hardware
    scenario: Scenario = field(default_factory=Scenario)
    techniques: tuple[Spec, ...] = ()
    level: str = "O1"
    set: Mapping[str, object] = field(default_factory=dict)
    kind: str = "ideal"
    price: float | None = None
    lengths: tuple[int | str | None, int | str | None] | None = None
    mix: Mix | None = None
    unsaid: bool = False
    given: tuple[str, ...] = ()

    @cached_property
    def prepared(self) -> Prepared:
        """The program after its techniques, and the devices."""
        from mansard.query.prepare import prepare

        return prepare(self.source, self.on, self.scenario, self.techniques, self.level, self.set)

    @cached_property
    def compiled(self) -> Engine:
        """The program as a function of batch, prompt and output."""
        from mansard.query.calibration import check_kind, engine_as, read_calibration
        from mansard.query.overrides import read_overrides

        overrides = read_overrides(self.set)
        check_kind(self.kind, overrides)
        ready = self.prepared
        own = read_calibration(overrides.calibration, ready.target.chip)
        return engine_as(
            self.kind, ready.program, ready.cluster, self.scenario.phases,
            overrides.framework or "", own,
        )  # fmt: skip

    @cached_property
    def question(self) -> Question:
        """The study as inverse questions see it."""
        from mansard.query.solving.question import Question

        return Question(self)

    def solve(
        self, find: str, *, maximize: bool = False, minimize: bool = False,
        subject_to: str | Sequence[str] = (), within: str | None = None,
    ) -> Solution:  # fmt: skip
        """Find the value of one unknown that satisfies constraints; see ``solving.solve``.

        >>> import mansard as ms
        >>> asked = ms.study("qwen2.5-0.5b", on="h100-sxm", prompt=1024, output=32)
        >>> asked.solve("batch", maximize=True, subject_to="memory <= capacity").value
        3191
        """
        from mansard.query.solving import solve

        return solve(
            self, find, maximize=maximize, minimize=minimize, subject_to=subject_to, within=within
        )

    def solve_many(
        self, find: str, *, over: Mapping[str, Any], subject_to: str | Sequence[str],
        maximize: bool = False, minimize: bool = False, within: str | None = None,
    ) -> Solutions:  # fmt: skip
        """Find the greatest or least size for each of many workloads; see ``solving.many``.

        >>> import mansard as ms
        >>> asked = ms.study("qwen2.5-0.5b", on="h100-sxm")
        >>> asked.solve_many("batch", maximize=True, subject_to="memory <= capacity",
        ...                  over={"prompt": [1024, 8192], "output": 32}).values.tolist()
        [3191, 404]
        """
        from mansard.query.solving import solve_many

        return solve_many(
            self, find, over=over, subject_to=subject_to, maximize=maximize, minimize=minimize,
            within=within,
        )  # fmt: skip

    def crossovers(self, over: str = "batch", phase: str | None = None) -> Crossovers:
        """Say where each op turns compute-bound; see ``solving.crossovers``."""
        from mansard.query.solving import crossovers

        return crossovers(self, over, phase)

    def sensitivity(self, metric: str | None = None) -> Sensitivity:
        """Return a metric's elasticities to the rates of the chip; see ``solving.sensitivity``."""
        from mansard.query.solving import sensitivity

        return sensitivity(self, metric)

    def explain(
        self, metric: str | None = None, *, over: str | None = None, op: str | None = None,
        technique: str | None = None,
    ) -> Explanation:  # fmt: skip
        """Say what a metric is made of; see ``solving.explain``."""
        from mansard.query.solving import explain

        return explain(self, metric, over=over, op=op, technique=technique)

    def analyze(self) -> Estimate:
        """Return the answer of ``mansard.analyze`` for the scenario itself."""
        from mansard.query.analyze import analyze

        return analyze(self.source, on=self.on, **self._asked())

    def sweep(
        self,
        axes: Mapping[str, object] | None = None,
        *,
        pareto: Sequence[str] | str = (),
        top: int | None = None,
        best: str | None = None,
        unfit: bool = False,
        engine: str = "auto",
        progress: Callable[[int, int], None] | None = None,
        **more: object,
    ) -> Sweep:
        """Evaluate every combination of values of some axes; see ``query.sweeps.run.sweep``."""
        from mansard.query.sweeps.run import sweep

        return sweep(
            self, axes, pareto=pareto, top=top, best=best, unfit=unfit, engine=engine,
            progress=progress, **more,
        )  # fmt: skip

    def compare(
        self,
        models: Source | Sequence[Source] = (),
        on: str | Path | Hardware | Sequence[str | Path | Hardware] = (),
        variants: Spec | Sequence[Spec | Sequence[Spec]] = ((),),
    ) -> Comparison:
        """Answer it for several models, chips or pipelines side by side, itself first."""
        from mansard.query.comparing import compare

        return compare([self.source, *several(models)], [self.on, *several(on)],
                       variants=variants, **self._asked())  # fmt: skip

    def what_if(self, changes: Mapping[str, object]) -> WhatIf:
        """Ask it again with something changed; see ``query.what_if.what_if``."""
        from mansard.query.what_if import what_if

        return what_if(self, changes)

    def _asked(self) -> dict[str, Any]:
        """Return the keywords of ``analyze`` but for the hardware."""
        asked, step = self.scenario, self.scenario.single_step
        prompt, output = self.lengths or (asked.prompt, asked.output)
        return {
            "batch": asked.batch, "techniques": self.techniques,
            "prompt": None if step or self.unsaid else prompt, "output": None if step else output,
            "context": asked.prompt if step else None, "level": self.level,
            "phase": asked.phase, "set": self.set, "estimate": self.kind, "price": self.price,
        }  # fmt: skip


def study(
    source: Source,
    *,
    on: str | Path | Hardware | None = None,
    batch: int | str | None = None,
    prompt: int | str | None = None,
    output: int | str | None = None,
    techniques: Spec | Sequence[Spec] = (),
    level: str | None = None,
    phase: str | None = None,
    context: int | str | None = None,
    set: Mapping[str, object] | None = None,  # noqa: A002 - the name of the option
    estimate: str | None = None,
    price: float | None = None,
) -> Study:
    """Return a study, which takes what ``analyze`` takes; nothing is loaded before it is asked.

    Raises:
        MansardError: a size that is no whole number of at least one, or no such phase.

    >>> import mansard as ms
    >>> asked = ms.study("qwen2.5-0.5b", on="h100-sxm", prompt=1024, output=32)
    >>> asked.analyze().tpot == ms.analyze(
    ...     "qwen2.5-0.5b", on="h100-sxm", prompt=1024, output=32).tpot
    True
    """
    if is_scenario(source):
        asks = {"on": on, "batch": batch, "prompt": prompt, "output": output, "context": context,
                 "techniques": techniques, "level": level, "phase": phase, "set": set,
                 "estimate": estimate, "price": price}  # fmt: skip
        settled = from_file(Path(str(source)), asks)
        model, rest = keywords(settled)
        stated = [n for n in LENGTHS if n in settled and settled[n].origin != "default"]
        return replace(study(model, **rest), given=tuple(stated))
    if on is None:
        raise SpecError("the question names no hardware", hint='add on="h100-sxm"')
    lengths = (prompt, output)
    p, n, mix = read_sizes(prompt, output, context, (DEFAULT_PROMPT, DEFAULT_OUTPUT))
    asked = make_scenario(1 if batch is None else batch, p, n, phase or "both", context)
    said = tuple(n for n, size in zip(LENGTHS, lengths, strict=True) if size is not None)
    kind, given_level = estimate or "ideal", level or "O1"
    return Study(
        source, on, asked, several(techniques), given_level, dict(set or {}), kind, price,
        None if mix is None else lengths, mix, prompt is None and context is None, said,
    )  # fmt: skip
