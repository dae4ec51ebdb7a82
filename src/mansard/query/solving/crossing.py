"""``crossovers``: where each op turns compute-bound, and how much of the whole is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from mansard.backends.inverse.flips import ENUMERATED, Bounds, Flip
from mansard.backends.rates import COMPUTE
from mansard.core.errors import SpecError, unknown_name
from mansard.query.estimate import Estimate
from mansard.query.scenario import LARGEST
from mansard.query.shown import Shown
from mansard.query.solving.document import document
from mansard.query.solving.question import Question

if TYPE_CHECKING:
    from mansard.query.study import Study

SCHEMA = "mansard.crossovers/1"
MOST_SHARES = 64
"""Flips at which the shares of the whole are told."""
Span = tuple[int, int | None]
"""Whole values, both ends included; None where it has no end."""


@dataclass(frozen=True)
class Crossing:
    """One op.

    Args:
        name: as rows are called.
        kind: of the op.
        flips: (first value, last one or None, what bounds it), ascending.
    """

    name: str
    kind: str
    flips: tuple[tuple[int, int | None, str], ...]

    @property
    def compute_bound(self) -> tuple[Span, ...]:
        """Where the matrix unit bounds it."""
        return tuple((low, high) for low, high, bound in self.flips if bound == COMPUTE)

    @property
    def first(self) -> int | None:
        """The first value at which it is compute-bound; None when it never is."""
        return self.compute_bound[0][0] if self.compute_bound else None


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

    Raises:
        MansardError: no such size or phase, or a schedule that is evaluated step by step.
    """
    key = "prompt" if over == "context" else over
    if key not in ("batch", "prompt", "output"):
        raise unknown_name("size to cross over", over, ("batch", "prompt", "output", "context"))
    check_size_name(study, over)
    question = study.question.of_the_bound("crossovers")
    question.check_one(over)
    question.check_few("crossovers")
    priced = question.priced
    if priced is None:
        raise SpecError("this schedule is evaluated step by step, so its rows have no formulas",
                        hint="leave out techniques that run steps side by side")  # fmt: skip
    phase = phase or _usual(question, priced.phases)
    if phase not in priced.phases:
        raise unknown_name("phase in this estimate", phase, priced.phases)
    found = question.bounds(key, 1, LARGEST, phase)
    exact = all(b.exact for b in found)
    method = f"exact: rows are affine in {over}"
    if not exact:
        method = f"rows not affine in {over} enumerated up to {ENUMERATED:,}"
    if study.mix is not None:
        method += f"; expectations over {len(study.mix.weights):,} lengths"
    return Crossovers(
        over=over,
        phase=phase,
        ops=_crossings(found),
        shares=tuple(_shares(question, key, found)),
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


def _crossings(found: Sequence[Bounds]) -> tuple[Crossing, ...]:
    """Return each op once; rows of one name that flip differently stay apart."""
    ops = {}
    for row in found:
        assert row.section.row is not None
        end = LARGEST if row.exact else ENUMERATED
        flips = tuple(_open(flip, end) for flip in row.flips)
        ops[row.section.name, flips] = Crossing(row.section.name, row.section.row.kind, flips)
    return tuple(ops.values())


def _open(flip: Flip, end: int) -> tuple[int, int | None, str]:
    low, high, bound = flip
    return low, None if high >= end else high, bound


def _shares(
    question: Question, key: str, found: Sequence[Bounds]
) -> Iterator[tuple[int, Mapping[str, float]]]:
    """Yield the share of time each resource bounds, at every value at which a row flips."""
    assert question.priced is not None
    values = sorted({1, *(low for row in found for low, _, _ in row.flips)})
    each = question.curves(key, 1, LARGEST).each
    for x in values[:MOST_SHARES]:
        won: dict[str, float] = {}
        for row in found:
            if row.flips:
                time_s = row.seconds(each, x)
                won[row.at(x)] = won.get(row.at(x), 0.0) + time_s
        total = sum(won.values())
        yield x, {r: t / total for r, t in sorted(won.items(), key=lambda item: -item[1])}
