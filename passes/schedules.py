"""Finding and replacing steps of a schedule, as techniques that rewrite it do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeGuard

import sympy as sp

from mansard.core.errors import SpecError
from mansard.core.symbols import B, Expr, ExprLike, P, S
from mansard.ir.graph import Graph
from mansard.ir.program import Call, Loop, Program, Step, Together, Wait, binding

Replacement = tuple[Step, ...]


def replace_steps(
    program: Program, change: Callable[[Step, str], Replacement | None]
) -> tuple[Program, int]:
    """Replace steps by others, outermost first; return the program and how many were.

    Args:
        program: whose schedule is walked.
        change: (step, its phase) → what stands in its place, or None to look inside it.
    """
    found = 0

    def walk(steps: tuple[Step, ...], phase: str) -> Iterator[Step]:
        nonlocal found
        for step in steps:
            label = step.phase or phase
            new = change(step, label)
            if new is not None:
                found += 1
                yield from new
            elif isinstance(step, (Loop, Together)):
                if isinstance(step, Together):  # what replaces one side by side stays one
                    sides = (tuple(walk((side,), label)) for side in step.steps)
                    inner = tuple(in_one(side) for side in sides if side)
                else:
                    inner = tuple(walk(step.steps, label))
                yield step if inner == step.steps else replace(step, steps=inner)
            elif isinstance(step, Wait) and step.like is not None:
                like = in_one(tuple(walk((step.like,), label)) or (step.like,))
                yield step if like is step.like else replace(step, like=like)
            else:
                yield step

    schedule = tuple(walk(program.schedule, ""))
    return (replace(program, schedule=schedule) if found else program), found


def in_one(steps: Replacement) -> Step:
    """Return steps one after another as a single one."""
    return steps[0] if len(steps) == 1 else Loop(steps, sp.S.One)


def single_decode(step: Step, graph: str) -> Call | None:
    """Return the call of a loop that makes one token a trip with one call of ``graph``."""
    match step:
        case Loop(steps=(Call() as call,)) if call.graph.partition("@")[0] == graph:
            return call if step.index is not None and call.bind[S] == 1 else None
    return None


def without_logits(graph: Graph) -> tuple[str, ...]:
    """Return what a call wants that makes no token: the last hidden state."""
    if len(graph.outputs) < 2:
        raise SpecError(
            "the graph has no output but its logits", hint="its frontend must hand out the state"
        )
    return (graph.outputs[-1].name,)


def resized(
    call: Call, b: ExprLike, new: ExprLike, past: ExprLike, *, rows: ExprLike | None = None
) -> Call:
    """Return the call over other sizes, whatever else it binds unchanged."""
    return replace(call, bind={**call.bind, **binding(b, new, past, rows=rows)})


def is_prefill(step: Step, phase: str, graph: str) -> TypeGuard[Call]:
    """Whether a step is a call that prefills with a graph or a variant of it."""
    named = isinstance(step, Call) and step.graph.partition("@")[0] == graph
    return named and phase == "prefill"


def each_call(step: Step, change: Callable[[Call], Call]) -> Step:
    """Return a step with every call in it changed."""
    match step:
        case Call():
            return change(step)
        case Loop() | Together():
            return replace(step, steps=tuple(each_call(s, change) for s in step.steps))
        case Wait():
            return step if step.like is None else replace(step, like=each_call(step.like, change))


def sizes(call: Call) -> tuple[Expr, Expr, Expr]:
    """Return the ``B``, ``S`` and ``P`` a call binds."""
    return call.bind[B], call.bind[S], call.bind[P]
