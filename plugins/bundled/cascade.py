"""Cascades: a small model answers first, the large one where that is not good enough."""

from __future__ import annotations

from dataclasses import dataclass, replace

import sympy as sp

import mansard as ms
from mansard.ir.program import Call, Loop, Step
from mansard.passes.schedules import each_call
from mansard.passes.written_numbers import exact
from mansard.plugins.bundled.prompts import with_guest

SMALL = "small"


@dataclass(frozen=True)
class Cascade(ms.Pass):
    """Let ``small`` answer every prompt, and the model itself a share ``escalate`` of them.

    ``E = cost_small + escalate·cost``, the expectation of the cost; both models are resident. A
    chain of more models is this technique more than once: each is asked what the one before left.
    The time of a token is that of all work over the tokens of one answer.
    """

    name = "cascade"
    noun = "answer"
    source = "[Chen 2023 FrugalGPT; Zhou 2024, §4.3]"
    example = "small=gpt2 escalate=0.3"
    removes = "the model's own answers to prompts that the small one settles"
    assumes = ("both models write answers of the same length",)
    omits = ("judging an answer", "batches that fall apart: each model runs whole batches")

    small: str | ms.Program = ms.option("gpt2", "the model asked first", program=True)
    escalate: float = ms.option(0.3, "share of the answers it cannot give", least=0, most=1)

    def run(self, program: ms.Program) -> ms.Outcome:
        """Put the small model's steps before the model's, which run for a share of the batches."""
        made = with_guest(program, loaded(self.small, self.name), SMALL)
        cheap = asked(made, self.on, SMALL, self.name)
        dear = with_share(program, exact(self.escalate), yields=False)
        made = replace(made, schedule=(*cheap, *dear))
        return ms.Outcome(made, 1, f"{self.escalate:.0%} of the answers are escalated")


def asked(program: ms.Program, graph: str, other: str, who: str) -> tuple[Step, ...]:
    """Return a program's steps with calls of one graph made to another.

    Raises:
        MansardError: a call wants what the other does not make.
    """
    made = {value.name for value in program.graph(other).outputs}

    def pointed(call: Call) -> Call:
        if call.graph != graph:
            return call
        if missing := [want for want in call.wants if want not in made]:
            raise ms.MansardError(
                f"{who}: the model is asked for {missing[0]!r}, which {other!r} does not make",
                hint="take a smaller model of the same kind: small=…",
            )
        return replace(call, graph=other)

    return tuple(each_call(step, pointed) for step in program.schedule)


def with_share(program: ms.Program, share: sp.Expr, *, yields: bool = True) -> tuple[Step, ...]:
    """Return a program's steps, run with a probability; tokens count where ``yields``."""
    return tuple(
        replace(loop, steps=(_silent(step) if not yields else step,))
        for step in program.schedule
        for loop in (Loop((step,), share, phase=step.phase),)
    )


def _silent(step: Step) -> Step:
    if not isinstance(step, Loop):
        return step
    return replace(step, yields=sp.S.Zero, steps=tuple(_silent(s) for s in step.steps))


def loaded(model: str | ms.Program, who: str) -> ms.Program:
    """Return the program of an option; a name that nobody loaded is an error."""
    if isinstance(model, ms.Program):
        return model
    raise ms.MansardError(f"{who}: {model!r} is a name, not a program",
                          hint="load it first: mansard.load(name)")  # fmt: skip
