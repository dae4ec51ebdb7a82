"""The answer of ``analyze``: phases, memory and metrics, with what they rest on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, cast

from mansard.backends.cluster import Cluster
from mansard.backends.estimate import Memory, Metrics, Phase, Row, called_once, made_in
from mansard.backends.hardware import Hardware
from mansard.core.errors import unknown_name
from mansard.core.facts import ModelFacts
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.query.effects import Effect, Figures, Technique, count_ops
from mansard.query.find import find_row
from mansard.query.report import result
from mansard.query.scenario import Scenario
from mansard.query.shown import Shown

if TYPE_CHECKING:
    from mansard.backends.roofline import Answer
    from mansard.core.symbols import Expr
    from mansard.ir.program import Loop, Program, Step
    from mansard.query.calibration import Calibrated


@dataclass(frozen=True, eq=False)
class Estimate(Shown):
    """What one model costs on one kind of hardware; all figures in SI base units.

    Args:
        model: what is true of it anywhere.
        chip: the hardware, overrides applied.
        devices: of it.
        scenario: what was asked.
        prefilled: tokens of a prompt that the prefill reads, those of images included.
        kind: "ideal": the roofline bound; "calibrated": what is measured.
        techniques: the passes, in the order they ran.
        program: after them.
        phases: label → the mean step.
        memory: of one device.
        metrics: what users steer by.
        notes: what the figures rest on.
        price: what a program costs here, for the figures before and after a technique.
        backend: of a plugin that answered in place of the roofline, with its options; or empty.
        figures: what it says besides, by a name that ends in its unit.
        assumes: what a plugin's backend says its figures rest on, a sentence each.
        cluster: the devices, with the program's mesh on them; None of a remembered answer.
        calibrated: bands, the bound beside and what they rest on; None of the bound itself.
        lengths: prompt or output → the distribution it is, as it was written; the scenario then
            has its mean.
    """

    renderer: ClassVar[str] = "terminal"

    model: ModelFacts
    chip: Hardware
    devices: int
    scenario: Scenario
    prefilled: int
    kind: str
    techniques: tuple[Technique, ...]
    program: Program = field(repr=False)
    phases: Mapping[str, Phase]
    memory: Memory
    metrics: Metrics
    notes: tuple[Note, ...]
    price: Callable[[Program], Answer] = field(repr=False)
    backend: str = field(default="", kw_only=True)
    figures: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    assumes: tuple[str, ...] = field(default=(), kw_only=True)
    cluster: Cluster | None = field(default=None, repr=False)
    calibrated: Calibrated | None = None
    lengths: Mapping[str, str] = field(default_factory=dict, kw_only=True)

    @property
    def ttft(self) -> float | None:
        """Time to the first token, without queueing [s]."""
        return self.metrics.ttft_s

    @property
    def tpot(self) -> float | None:
        """Mean time per output token after the first [s]; None when there is none."""
        return self.metrics.tpot_s

    @property
    def latency(self) -> float | None:
        """Time of the whole request [s]."""
        return self.metrics.latency_s

    @property
    def throughput(self) -> float | None:
        """Generated tokens of all sequences per second."""
        return self.metrics.throughput_tok_s

    @property
    def prefill(self) -> Phase:
        """The prefill; raises when it was not asked for."""
        return self.phase("prefill")

    @property
    def decode(self) -> Phase:
        """The mean decode step; raises when it was not asked for."""
        return self.phase("decode")

    def phase(self, name: str) -> Phase:
        """Return a phase by its label.

        Raises:
            UnknownNameError: the estimate has none.
        """
        if name not in self.phases:
            raise unknown_name("phase in this estimate", name, self.phases)
        return self.phases[name]

    def op(self, name: str, phase: str | None = None) -> Row:
        """Return the row of an op; warn when it is the row of the op it was merged into.

        Args:
            name: as the rows are called: ``layers.q_proj``.
            phase: the last one unless given.

        Raises:
            UnknownNameError: no such op or phase.
        """
        found = find_row(self.phase(phase or tuple(self.phases)[-1]), name)
        if found.said:
            warnings.warn(found.said, stacklevel=2)
        return found.row

    def expr(self, metric: str, over: str | Iterable[str] | None = None) -> Expr:
        """Return a metric as a sympy expression, every maximum left unevaluated.

        Args:
            metric: ttft, tpot, latency, throughput, tokens_per_s_per_user, prefill or decode.
            over: symbols that are left, by name; batch, prompt and output unless given.

        Raises:
            MansardError: no such metric or symbol, or a schedule that is no formula.
        """
        from mansard.query.solving.expression import expression

        return expression(self, metric, over)

    @cached_property
    def sizes(self) -> frozenset[str]:
        """Sizes of the scenario that the model depends on: an encoder has no output."""
        from mansard.ir.occurring import occurring

        return occurring(self.program)

    @cached_property
    def decodes_several(self) -> bool:
        """Whether a decode step does not make one token: figures are then of a token."""
        return any(loop.yields != 1 for loop in _decoding(self.program.schedule))

    @property
    def asked(self) -> dict[str, Any]:
        """The scenario as plain JSON values, and under ``lengths`` what it has the means of."""
        lengths = {"lengths": dict(self.lengths)} if self.lengths else {}
        return {**self.scenario.symbols, **lengths}

    @property
    def makes(self) -> str:
        """What throughput counts: tokens, or of a model that is called once what it makes."""
        sizes = self.sizes if called_once(self.phases) else ()
        return made_in(self.phases, sizes, self.model.source)

    @cached_property
    def kv_growth(self) -> tuple[int | float, int | float]:
        """Growth of a device's cache with a sequence's first token, and with one far on [B]."""
        from mansard.ir.footprint import kv_growth

        return kv_growth(self.program)

    @cached_property
    def effects(self) -> tuple[Effect, ...]:
        """What each technique changed; prices the program again between techniques."""
        final = Figures(count_ops(self.program), self.memory, self.phases)
        known: dict[Program, Figures] = {self.program: final}

        def figures(program: Program) -> Figures:
            if program not in known:
                answer = self.price(program)
                known[program] = Figures(count_ops(program), answer.memory, answer.phases)
            return known[program]

        from mansard.query.speculation import best_gamma

        return tuple(
            Effect(
                t, figures(t.before), figures(t.after), best_gamma(self.techniques, at, self.price)
            )
            for at, t in enumerate(self.techniques)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the ``mansard.result/1`` document: plain JSON values, null for unknown."""
        return result(self)

    def figure(self, kind: str = "roofline", phase: str | None = None) -> Any:
        """Draw the answer as SVG, which notebooks show and ``save`` writes.

        Args:
            kind: "roofline", "breakdown", "memory" or "graph".
            phase: the last one unless given.

        Raises:
            UnknownNameError: no such figure or phase.

        >>> import mansard as ms
        >>> est = ms.analyze("qwen2.5-0.5b", on="h100-sxm")
        >>> est.figure("roofline", phase="decode").title
        'Roofline of qwen2.5-0.5b · H100 SXM5 80GB, decode'
        """
        return import_module("mansard.render.drawings.estimates").figure_of(self, kind, phase)

    def plot(self, kind: str = "roofline", phase: str | None = None, *, ax: Any = None) -> Any:
        """Draw the same figure on matplotlib axes; return them. Needs the extra ``plot``.

        Args:
            kind: "roofline", "breakdown" or "memory"; a graph has no axes, ``figure`` draws it.
            phase: the last one unless given.
            ax: to draw on; those of a new figure unless given.

        Raises:
            MansardError: no such figure or phase, or matplotlib is not installed.
        """
        return import_module("mansard.render.plots.estimates").plot_of(self, kind, phase, ax)

    def _repr_html_(self) -> str:
        return str(import_module("mansard.render.notebook").html(self))


def _decoding(steps: Iterable[Step]) -> Iterator[Loop]:
    """Yield the loops of a schedule whose steps make tokens in decode."""
    for step in steps:
        if getattr(step, "phase", "") == "decode" and getattr(step, "yields", 0):
            yield cast("Loop", step)
        else:
            yield from _decoding(getattr(step, "steps", ()))
