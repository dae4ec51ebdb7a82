"""Metrics as sympy expressions: ``estimate.expr("tpot")``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import sympy as sp

from mansard.backends.engine.lowered import NotCompiledError
from mansard.backends.estimate import DECODE, ENCODE, PREFILL, called_once
from mansard.backends.inverse.sections import Priced
from mansard.backends.inverse.symbolic import Formulas
from mansard.core.errors import SpecError, unknown_name
from mansard.core.symbols import SCENARIO, Expr, output
from mansard.query.lengths import is_expected

if TYPE_CHECKING:
    from mansard.query.estimate import Estimate

NAMES = ("ttft", "tpot", "latency", "throughput", "tokens_per_s_per_user", "prefill", "decode")


def expression(estimate: Estimate, metric: str, over: str | Iterable[str] | None = None) -> Expr:
    """Return a metric as an expression over scenario symbols.

    Args:
        estimate: of the model on its hardware.
        metric: of ``NAMES``.
        over: scenario symbols that are left, by name; batch, prompt and output unless given.

    Raises:
        UnknownNameError: no such metric or symbol.
        SpecError: the estimate has no such metric, or its schedule is no formula.
    """
    if metric not in NAMES:
        raise unknown_name("metric with a formula", metric, NAMES)
    left = set(SCENARIO) if over is None else ({over} if isinstance(over, str) else set(over))
    for name in sorted(left - set(SCENARIO)):
        raise unknown_name("scenario symbol", name, SCENARIO)
    values = estimate.scenario.symbols
    bind = {name: value for name, value in values.items() if name not in left}
    check_one_length(estimate, bind)
    return metric_of(Formulas(priced_of(estimate), bind), metric, bind)


def check_one_length(estimate: Estimate, bound: Iterable[str]) -> None:
    """Raise where a formula would have a mean length in it.

    Raises:
        SpecError: lengths are a distribution, and not all are left symbolic.
    """
    if {"prompt", "output"} & set(bound) and is_expected(estimate.notes):
        raise SpecError("a formula is of one length, and these are a distribution",
                        hint="leave prompt and output in it, or give both as numbers")  # fmt: skip


def priced_of(estimate: Estimate) -> Priced:
    """Return the program of an answer as polynomials.

    Raises:
        SpecError: its schedule is evaluated step by step, it is calibrated, or the answer was
            remembered without it.
    """
    if estimate.calibrated is not None:
        raise SpecError(
            "formulas are of the bound, and this estimate is calibrated",
            hint="leave --estimate out; explain --op NAME has what was fitted",
        )
    if estimate.cluster is None:
        raise SpecError("an answer from the cache has no program", hint="set MANSARD_CACHE=off")
    try:
        return Priced(estimate.program, estimate.cluster, estimate.scenario.phases)
    except NotCompiledError as error:
        raise SpecError(
            f"this schedule has no formulas: {error.message}", hint="ask for numbers instead"
        ) from error


def metric_of(formulas: Formulas, metric: str, bind: dict[str, int]) -> Expr:
    """Return a metric from the seconds of its phases.

    Raises:
        SpecError: the phases it is made of are not there.
    """
    phases = formulas.priced.phases
    batch, n = (sp.Integer(bind[s.name]) if s.name in bind else s
                for s in (SCENARIO["batch"], output))  # fmt: skip

    def need(phase: str) -> Expr:
        if phase not in phases:
            raise SpecError(f"there is no {metric} without a {phase} phase",
                            hint="ask for both phases")  # fmt: skip
        return formulas.phase(phase)

    def mean(phase: str) -> Expr:
        tokens = formulas.tokens(phase)
        seconds = need(phase)
        return seconds if tokens is None else divided(seconds, tokens)

    def first() -> Expr:
        encoded = formulas.phase(ENCODE) if ENCODE in phases else sp.S.Zero
        return sp.Add(encoded, need(PREFILL))

    if called_once(phases) and metric in ("latency", "throughput"):
        total = sp.Add(*(formulas.phase(p) for p in phases))
        return total if metric == "latency" else batch / total
    match metric:
        case "ttft":
            return first()
        case "prefill" | "decode":
            return mean(metric)
        case "tpot":
            return mean("decode")
        case "tokens_per_s_per_user":
            return 1 / mean("decode")
        case "latency":
            named = (ENCODE, PREFILL, DECODE)
            between = [formulas.phase(p) for p in phases if p not in named]
            return sp.Add(first(), *between, (n - 1) * mean("decode"))
        case _:
            need("prefill")
            need("decode")
            return batch * n / sp.Add(*(formulas.phase(p) for p in phases))


def divided(seconds: Expr, by: Expr) -> Expr:
    """Divide term by term, so that a number of steps cancels."""
    return sp.Add(*(term / by for term in sp.Add.make_args(seconds)))
