"""Rows of an answer that are expectations over lengths that are a distribution."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

from mansard.backends.estimate import Phase
from mansard.backends.expected import expected_phases
from mansard.backends.roofline import Answer, Work
from mansard.ir.program import Program
from mansard.query.calibration import engine_as, work_as
from mansard.query.estimate import Estimate
from mansard.query.lengths import Mix, metrics_of, said
from mansard.query.solving.question import Question

if TYPE_CHECKING:
    from mansard.backends.calibrated.work import CalibratedWork


def expected_rows(question: Question) -> Estimate:
    """Return the answer; where lengths are a distribution, with rows that are expectations.

    Raises:
        SpecError: the lengths are too many to be looked at one by one.
    """
    estimate, mix = question.estimate, question.study.mix
    if mix is None:
        return estimate
    question.check_few("rows")
    work = _work(question, estimate.program)
    answer = _expected(question, mix, estimate.program, work)
    told = said(mix, question.study.prepared.origin.max_context, mean_rows=False)
    notes = tuple(told if n.code == told.code else n for n in estimate.notes)
    phases = {name: _sized_as(p, estimate.phases.get(name)) for name, p in answer.phases.items()}
    beside = estimate.calibrated
    if beside is not None:
        beside = beside.of_rows(phases, cast("CalibratedWork", work))
    price = partial(_expected, question, mix)
    return replace(estimate, phases=phases, price=price, notes=notes, calibrated=beside)


def _expected(question: Question, mix: Mix, program: Program, work: Work | None = None) -> Answer:
    """Return what a program costs over lengths: before and after a technique, too."""
    study, estimate, asked = question.study, question.estimate, question.study.scenario
    work = work or _work(question, program)
    phases = expected_phases(program, work.cluster, list(question.each), asked.phases, work)
    engine = engine_as(study.kind, program, work.cluster, asked.phases, *question.measured)
    metrics, _, memory = metrics_of(engine, mix, asked.batch, estimate.memory)
    return Answer(estimate.model, phases, memory, metrics, ())


def _work(question: Question, program: Program) -> Work:
    """Return what prices the rows of a program."""
    cluster = question.study.prepared.target.laid_out(program.mesh)
    return work_as(question.study.kind, program, cluster, *question.measured)


def _sized_as(phase: Phase, mean: Phase | None) -> Phase:
    """Return a phase whose rows show the sizes that those of the mean lengths have."""
    sizes = {(r.graph, r.name, r.kind): r.dims for r in (mean.ops if mean else ())}
    rows = (replace(r, dims=sizes.get((r.graph, r.name, r.kind), r.dims)) for r in phase.ops)
    return replace(phase, ops=tuple(rows))
