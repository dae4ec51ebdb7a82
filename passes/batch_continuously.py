"""Continuous batching: a sequence that ends makes room for the next one at once."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from mansard.core.errors import SpecError, unknown_name
from mansard.core.records import dataclass
from mansard.core.symbols import batch, least
from mansard.ir.program import Call, Loop, Program, Step
from mansard.passes.options import option
from mansard.passes.schedules import each_call, replace_steps, single_decode, sizes
from mansard.passes.technique import Outcome, Pass

LENGTHS = ("fixed", "uniform", "exponential")
_AGE = {"fixed": sp.Rational(1, 2), "uniform": sp.Rational(2, 3), "exponential": sp.S.One}
"""Mean age of a running sequence over ``L - 1``: ``E[l·(l-1)/2]/E[l]``, of lengths ``L`` alike,
uniform on 1 … 2L-1, or geometric (what exponential is in whole tokens)."""


@dataclass(frozen=True)
class BatchContinuously(Pass):
    """Keep every slot of the batch busy: prefill one sequence whenever another ends.

    The steady state of ``batch`` slots: each decode step has every slot at work, at contexts
    spread over a sequence's life, so ``prompt + a·(L-1)`` cached tokens on average, with ``a`` 1/2
    for ``L`` decode steps each, 2/3 for lengths uniform on 1 … 2L-1, 1 for exponential ones. In the
    ``L`` steps of a sequence the other ``batch - k`` are prefilled between steps, ``k`` at a time
    (``admitted``, one unless said), so a step waits for ``(batch-k)/(k·L)`` prefills on average;
    the time to the first token is that of ``k`` prompts. Where ``L`` is 0, an output of one token,
    nothing is decoded and the others are prefilled all the same. A static batch runs until its
    longest sequence ends and keeps ``E[l]/E[max l]`` of its slots busy: 1 for fixed lengths,
    ``(B+1)/(2B)`` for uniform, ``1/H_B`` for exponential ones.
    """

    name = "batch-continuously"
    noun = "loop"
    source = "[Yu 2022, §3]"
    assumes = (
        "requests wait in a queue that is never empty; a first token's wait in it is not counted",
        "output is the mean length; contexts are at their mean, and so is the cache",
        "a prefill runs between decode steps: what shortens it stands before this pass",
    )
    conflicts = ("disaggregate",)  # pools decode between no prefills
    omits = ("steps that mix a prefill with decoding (chunk-prefill has them)", "preemption")

    lengths: str = option("fixed", "distribution of the outputs' lengths", choices=LENGTHS)
    admitted: int = option(
        1, "sequences prefilled together, as data-parallel ranks do", least=1, most=65536
    )

    def run(self, program: Program) -> Outcome:
        """Prefill one sequence at a time; decode at the mean context, between prefills."""
        early = tuple(s for s in program.schedule if s.phase == "prefill")
        alone = tuple(each_call(s, self._admitted) for s in early)

        def change(step: Step, phase: str) -> tuple[Step, ...] | None:
            if step in early:
                return (alone[early.index(step)],)
            call = single_decode(step, self.on)
            if call is None or phase != "decode" or not isinstance(step, Loop):
                return None
            return self._steady(step, call, alone)

        program.graph(self.on)
        made, found = replace_steps(program, change)
        loops = found - len(early)
        if loops < 1 and any(step.phase == "decode" for step in program.schedule):
            raise SpecError(
                "a decode step is more than one call already",
                hint=f"put {self.name} before speculative-decode and before parallel:pp",
            )
        if loops < 1:
            return Outcome(program, 0, notes=self.nothing(0))
        share = ", ".join(f"{static_utilization(self.lengths, n):.0%} of {n}" for n in (8, 64))
        return Outcome(made, loops, f"every slot busy; a static batch keeps {share}")

    def _steady(self, step: Loop, call: Call, alone: tuple[Step, ...]) -> tuple[Step, ...]:
        b, _, _ = sizes(call)
        age = _AGE[self.lengths] * (step.times - 1)
        bind = {s: e.xreplace({step.index: age}) if step.index else e for s, e in call.bind.items()}
        stalls = tuple(_relabelled(s, step.phase) for s in alone)
        others: tuple[Step, ...] = ()
        after: tuple[Step, ...] = ()
        if stalls:
            few = sp.Integer(self.admitted)
            turns = b - 1 if self.admitted == 1 else (b - least(b, few)) / few
            others = (Loop(stalls, turns / step.times, phase=step.phase),)
            never = 1 - least(step.times, sp.S.One)  # 1 where one token leaves no step to decode
            after = (Loop(stalls, turns * never, phase=step.phase),)
        return (replace(step, steps=(replace(call, bind=bind), *others), index=None), *after)

    def _admitted(self, call: Call) -> Call:
        few = {batch: sp.S.One if self.admitted == 1 else least(batch, sp.Integer(self.admitted))}
        groups = tuple(tuple(e.xreplace(few) for e in g) for g in call.groups)
        return replace(call, bind={s: e.xreplace(few) for s, e in call.bind.items()}, groups=groups)


def static_utilization(lengths: str, sequences: int) -> float:
    """Return the share of slots a static batch keeps busy: the mean length over the mean longest.

    Raises:
        UnknownNameError: no such distribution.
    """
    match lengths:
        case "fixed":
            return 1.0
        case "uniform":
            return (sequences + 1) / (2 * sequences)
        case "exponential":
            return 1 / sum(1 / k for k in range(1, sequences + 1))
    raise unknown_name("distribution of lengths", lengths, LENGTHS)


def _relabelled(step: Step, phase: str) -> Step:
    if isinstance(step, Loop):
        step = replace(step, steps=tuple(_relabelled(s, phase) for s in step.steps))
    return replace(step, phase=phase)
