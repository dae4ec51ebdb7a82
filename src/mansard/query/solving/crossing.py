"""``crossovers``: where each op turns compute-bound, and how much of the whole is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from mansard.backends.engine.lowered import NotCompiledError
from mansard.core.errors import SpecError, unknown_name
from mansard.query.calibration import IDEAL
from mansard.query.estimate import Estimate
from mansard.query.shown import Shown
from mansard.query.solving.document import document
from mansard.query.solving.flipping import Crossing, of_kernels, of_the_bound
from mansard.query.solving.question import Question

if TYPE_CHECKING:
    from mansard.query.study import Study

SCHEMA = "mansard.crossovers/1"


@dataclass(frozen=True)
class Crossovers(Shown):
    """Where ops flip as one size grows.

    Args:
        over: the size.
        phase: whose mean step it is.
        ops: each with its flips.
        shares: (value, resource → share of the phase's time), at every flip.
        method: how it was found.
        estimate: the answer it belongs to.
    """

    renderer: ClassVar[str] = "crossovers"

    over: str
    phase: str
    ops: tuple[Crossing, ...]
    shares: tuple[tuple[int, Mapping[str, float]], ...]
    method: str
    estimate: Estimate = field(repr=False)

    def __getitem__(self, name: str) -> Crossing:
        for op in self.ops:
            if op.name == name:
                return op
        raise unknown_name(f"op in {self.phase}", name, [op.name for op in self.ops])

    def record(self) -> dict[str, Any]:
        """Return what it says, without what it is about."""
        return {
            "over": self.over,
            "phase": self.phase,
            "method": self.method,
            "ops": [
                {
                    "name": op.name, "kind": op.kind, "first_compute_bound": op.first,
                    "compute_bound": [list(span) for span in op.compute_bound],
                    "bounds": [{"from": a, "to": b, "bound": r} for a, b, r in op.flips],
                }
                for op in self.ops
            ],
            "shares": [{self.over: x, **shares} for x, shares in self.shares],
        }  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return the ``mansard.crossovers/1`` document."""
        return document(SCHEMA, self.estimate, self.record())

    def rows(self) -> list[dict[str, Any]]:
        """Return a record for each stretch of each op, as CSV has them."""
        return [
            {"op": op.name, "kind": op.kind, "over": self.over, "from": low, "to": high,
             "bound": bound}
            for op in self.ops for low, high, bound in op.flips
        ]  # fmt: skip


def crossovers(study: Study, over: str = "batch", phase: str | None = None) -> Crossovers:
    """Say where each op of a phase turns compute-bound as ``over`` grows.

    Args:
        study: the model, the hardware and everything else.
        over: batch, prompt, output or context.
        phase: decode unless given, or of a model without it the one that takes longest.

    Of the calibrated estimate it is where the term of a kernel's law that asks most changes, by
    the efficiencies of its set; its launches count for none.

    Raises:
        MansardError: no such size or phase, or a schedule that is evaluated step by step.
    """
    key = "prompt" if over == "context" else over
    if key not in ("batch", "prompt", "output"):
        raise unknown_name("size to cross over", over, ("batch", "prompt", "output", "context"))
    check_size_name(study, over)
    question = study.question
    question.check_one(over)
    question.check_few("crossovers")
    find = of_the_bound if study.kind == IDEAL else of_kernels
    try:
        phases = question.lowered_phases
        phase = phase or _usual(question, phases)
        if phase not in phases:
            raise unknown_name("phase in this estimate", phase, phases)
        ops, shares, method = find(question, key, over, phase)
    except NotCompiledError as error:
        raise SpecError(
            "this schedule is evaluated step by step, so its rows have no formulas",
            hint="leave out techniques that run steps side by side",
        ) from error
    if study.mix is not None:
        method += f"; expectations over {len(study.mix.weights):,} lengths"
    return Crossovers(
        over=over,
        phase=phase,
        ops=ops,
        shares=shares,
        method=method,
        estimate=question.estimate,
    )


def _usual(question: Question, phases: Sequence[str]) -> str:
    """Return the phase that is meant where none is named."""
    if {"prefill", "decode"} & set(phases):
        return phases[-1]
    known = question.estimate.phases
    return max(phases, key=lambda name: known[name].total_s if name in known else 0.0)


def check_size_name(study: Study, over: str) -> None:
    """Raise unless a size occurs in the question.

    Raises:
        SpecError: the context of a whole request, or the prompt or output of one step.
    """
    step = study.scenario.single_step
    if over == "context" and not step:
        raise SpecError("context is of one decode step", hint="add --context 4k, or use prompt")
    if over in ("prompt", "output") and step:
        raise SpecError(f"{over} does not occur: one step over cached tokens is asked for",
                        hint="use context")  # fmt: skip
