"""Where ops of a phase flip: by the roofline's rows, or by the laws of calibrated kernels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mansard.backends.inverse.flips import ENUMERATED, Bounds, Flip
from mansard.backends.rates import COMPUTE
from mansard.core.records import dataclass
from mansard.query.scenario import LARGEST

if TYPE_CHECKING:
    from mansard.query.solving.question import Question

MOST_SHARES = 64
"""Flips at which the shares of the whole are told."""
Span = tuple[int, int | None]
"""Whole values, both ends included; None where it has no end."""
Shares = tuple[tuple[int, Mapping[str, float]], ...]


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


Found = tuple[tuple[Crossing, ...], Shares, str]
"""Each op, the shares of the whole at flips, and how they were found."""


def of_the_bound(question: Question, key: str, over: str, phase: str) -> Found:
    """Return where the slowest resource of each row of the roofline changes."""
    found = question.bounds(key, 1, LARGEST, phase)
    method = f"exact: rows are affine in {over}"
    if not all(b.exact for b in found):
        method = f"rows not affine in {over} enumerated up to {ENUMERATED:,}"
    each = [
        (row.section.name, row.section.row.kind, row.flips, LARGEST if row.exact else ENUMERATED)
        for row in found
        if row.section.row is not None
    ]
    return _crossings(each), tuple(_shares(question, key, found)), method


def of_kernels(question: Question, key: str, over: str, phase: str) -> Found:
    """Return where the term that asks most of each calibrated kernel changes."""
    from mansard.backends.calibrated.sides import Turns, shares

    turns = Turns(question.lowered, question.study.prepared.cluster, phase, key,
                  list(question.each), *question.measured)  # fmt: skip
    found = turns.rows(LARGEST)
    first = {1, 2} if key == "output" else {1}  # one token is no decode
    values = sorted(first | {low for row in found for low, _, _ in row.flips})[:MOST_SHARES]
    method = (
        "of the calibrated terms: the greater of what compute and memory ask for by the fitted"
        f" efficiencies; every {over} up to {turns.most:,}, then by bisection"
    )
    each = [(row.name, row.kind, row.flips, LARGEST) for row in found]
    return _crossings(each), tuple(shares(turns, found, values)), method


def _crossings(found: Sequence[tuple[str, str, Sequence[Flip], int]]) -> tuple[Crossing, ...]:
    """Return each op once; rows of one name that flip differently stay apart."""
    ops = {}
    for name, kind, stretches, end in found:
        flips = tuple(_open(flip, end) for flip in stretches)
        ops[name, flips] = Crossing(name, kind, flips)
    return tuple(ops.values())


def _open(flip: Flip, end: int) -> tuple[int, int | None, str]:
    low, high, bound = flip
    return low, None if high >= end else high, bound


def _shares(
    question: Question, key: str, found: Sequence[Bounds]
) -> Iterator[tuple[int, Mapping[str, float]]]:
    """Yield the share of time each resource bounds, at every value at which a row flips."""
    values = sorted({1, *(low for row in found for low, _, _ in row.flips)})[:MOST_SHARES]
    each = question.curves(key, 1, LARGEST).each
    won: list[dict[str, float]] = [{} for _ in values]
    for row in found:
        if row.flips:
            for x, time_s, at in zip(values, row.seconds(each, values), won, strict=True):
                at[row.at(x)] = at.get(row.at(x), 0.0) + time_s
    for x, at in zip(values, won, strict=True):
        total = sum(at.values())
        yield x, {r: t / total for r, t in sorted(at.items(), key=lambda item: -item[1])}
