"""Which sizes a program depends on: of a graph whose sizes are fixed, none."""

from __future__ import annotations

from collections.abc import Iterator

from mansard.core.symbols import SCENARIO, Expr
from mansard.ir.free import free_symbols
from mansard.ir.program import Call, Loop, Program, Step, Together


def occurring(program: Program) -> frozenset[str]:
    """Return the names of the scenario's symbols that figures of a program depend on.

    An encoder makes no output, a denoiser reads no prompt: their calls bind neither. A file's
    graph may have fixed sizes: it mentions nothing of what its call binds.
    """
    names = {symbol: name for name, symbol in SCENARIO.items()}
    sizes = (e for step in program.schedule for e in _sizes(program, step))
    return frozenset(names[s] for e in sizes for s in e.free_symbols if s in names)


def _sizes(program: Program, step: Step) -> Iterator[Expr]:
    if isinstance(step, Call):
        mentioned = free_symbols(program.graph(step.graph))
        yield from (e for s, e in step.bind.items() if s in mentioned)
        yield from (e for group in step.groups for e in group)
    elif isinstance(step, Loop):
        yield from (step.times, step.start)
        yield from (e for inner in step.steps for e in _sizes(program, inner))
    elif isinstance(step, Together):
        yield from (e for inner in step.steps for e in _sizes(program, inner))
    else:
        yield from (step.time_s, step.times)
        if step.like is not None:
            yield from _sizes(program, step.like)
