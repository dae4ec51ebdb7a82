"""Prompts of another length: what techniques share that put other tokens before the question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mansard.core.symbols import Expr, Symbol, prompt
from mansard.ir.program import Call, Loop, Program, Step, Together, Wait
from mansard.passes.drafts import renamed


def with_prompt(program: Program, tokens: Expr) -> Program:
    """Return the program with prompts of ``tokens``, an expression in ``prompt``, everywhere."""
    schedule = tuple(_filled(step, {prompt: tokens}) for step in program.schedule)
    return replace(program, schedule=schedule)


def before_prefill(program: Program, steps: tuple[Step, ...]) -> Program:
    """Return the program with steps in front of everything it does."""
    return replace(program, schedule=(*steps, *program.schedule))


def with_guest(program: Program, guest: Program, name: str) -> Program:
    """Return the program with another model's graph beside its own, on storages of its own."""
    return program.with_graph(name, renamed(guest.graph(), name))


def _filled(step: Step, new: Mapping[Symbol, Expr]) -> Step:
    match step:
        case Call():
            bind = {s: e.xreplace(new) for s, e in step.bind.items()}
            groups = tuple(tuple(e.xreplace(new) for e in g) for g in step.groups)
            return replace(step, bind=bind, groups=groups)
        case Loop():
            inner = tuple(_filled(s, new) for s in step.steps)
            times, start = step.times.xreplace(new), step.start.xreplace(new)
            return replace(step, steps=inner, times=times, start=start)
        case Together():
            return replace(step, steps=tuple(_filled(s, new) for s in step.steps))
        case Wait():
            like = None if step.like is None else _filled(step.like, new)
            return replace(step, like=like, time_s=step.time_s.xreplace(new))
