"""Phases whose lengths are a distribution: every row the expectation of its rows.

A phase is a sum of weighted stretches, so the mean over lengths is the sum of every length's
stretches, each weighted by the share of its length.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

import sympy as sp

from mansard.backends.cluster import Cluster
from mansard.backends.estimate import Phase
from mansard.backends.roofline import Work, wanted_phases
from mansard.backends.schedule import Stretch, Timeline, elapsed, timeline
from mansard.core.symbols import SCENARIO
from mansard.ir.program import Program

Weighted = tuple[Mapping[str, float], float]
"""(batch, prompt and output by name, the share of requests that are so long)."""


def expected_phases(
    program: Program, cluster: Cluster, lengths: Sequence[Weighted], phases: Sequence[str] = (),
    work: Work | None = None,
) -> dict[str, Phase]:  # fmt: skip
    """Return the mean step of each phase, over lengths and over a length's steps.

    Sizes of a row (``dims``) are those of one of the lengths; first and last steps are the mean
    one. A phase that some lengths do not have is the mean over those that do.

    Args:
        program: after its passes.
        cluster: prices it.
        lengths: scenarios with their shares.
        phases: to return; every one unless given.
        work: prices rows in place of the roofline.
    """
    work = work or Work(program, cluster)
    lines = [(_timeline(program, sizes), weight) for sizes, weight in lengths]
    known = tuple(dict.fromkeys(name for line, _ in lines for name in line.phases))
    return {name: _phase(work, name, lines) for name in wanted_phases(tuple(phases), known)}


def _timeline(program: Program, sizes: Mapping[str, float]) -> Timeline:
    exact = {name: Fraction(value) for name, value in sizes.items()}
    env = {SCENARIO[k]: sp.Rational(v.numerator, v.denominator) for k, v in exact.items()}
    return timeline(program.schedule, env)


def _phase(work: Work, name: str, lines: Sequence[tuple[Timeline, float]]) -> Phase:
    """Return the expectation of a phase; ``steps`` makes its total that of all steps."""
    ran = [(k, line, w) for k, (line, w) in enumerate(lines) if name in line.phases]
    share = sum(w for _, _, w in ran)
    stretches: list[Stretch] = []
    ends: list[tuple[int, float]] = []
    for k, line, weight in ran:
        by = weight / share / (line.yields.get(name) or 1.0)
        stretches += _weighted((s for s in line.stretches if s.phase == name), k, by)
        ends.append((len(stretches), weight / by))
    before = len(work.times)
    mean = work.phase(name, stretches, None)
    times, start, total_s = work.times[before:], 0, 0.0
    for end, back in ends:
        total_s += elapsed(times[start:end]) * back
        start = end
    steps = total_s / mean.time_s if mean.time_s else 1.0
    return replace(mean, steps=steps, first_step_s=mean.time_s, last_step_s=mean.time_s)


APART = 1_000_000
"""More than any schedule has of steps side by side."""


def _weighted(stretches: Iterator[Stretch], which: int, by: float) -> Iterator[Stretch]:
    """Yield stretches as often as a length occurs; only its own ones are side by side."""
    for s in stretches:
        branch = tuple((which * APART + side, step) for side, step in s.branch)
        yield replace(s, weight=s.weight * by, branch=branch, trip=None)
