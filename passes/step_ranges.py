"""Ranges of decode steps: the loop is split, and one piece calls a variant of its graph."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import sympy as sp

from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.core.symbols import Expr, least
from mansard.ir.program import Loop, Program, Step
from mansard.ir.rewrite import Rewritten
from mansard.passes.schedules import replace_steps, single_decode
from mansard.passes.technique import Outcome, Pass

_TEXT = re.compile(r"(\d{1,9})(?:(-)(\d{0,9}))?")


@dataclass(frozen=True)
class Steps:
    """Decode steps ``first … last``, both included, counted from 0; ``last`` may be open."""

    first: int
    last: int | None

    def within(self, loop: Loop) -> tuple[Expr, Expr, Expr] | None:
        """Return how many trips of a loop lie before, in and after the range; none if none do."""
        most = _most(loop.times)
        first = self.first - loop.start
        end = None if self.last is None else self.last + 1 - loop.start
        if (most is not None and first >= most) or (end is not None and end <= 0):
            return None
        before = least(loop.times, first) if first > 0 else sp.S.Zero
        if end is None or (most is not None and end >= most):
            return before, loop.times - before, sp.S.Zero
        until = least(loop.times, end)
        return before, until - before, loop.times - until

    def __str__(self) -> str:
        return f"{self.first}-{'' if self.last is None else self.last}"


def read_steps(text: str, what: str) -> Steps:
    """Read ``64-127``, ``64-`` (to the end) or ``64`` (that step alone).

    >>> read_steps("64-", "quantize"), str(read_steps("3", "quantize"))
    (Steps(first=64, last=None), '3-3')

    Raises:
        SpecError: it is none of them, or ends before it starts.
    """
    m = _TEXT.fullmatch(text)
    if m is None:
        raise SpecError(f"{what}: steps is {text!r}", hint="write 0-63, or 64- to the end")
    first = int(m[1])
    last = first if not m[2] else int(m[3]) if m[3] else None
    if last is not None and last < first:
        raise SpecError(f"{what}: steps {text} end before they start", hint=f"write {last}-{first}")
    return Steps(first, last)


def split_decode(
    program: Program, graph: str, steps: Steps, variant: Callable[[str], str]
) -> tuple[Program, int]:
    """Split loops of decode at a range of steps; return the program and how many it met.

    Args:
        program: whose schedule changes.
        graph: the graph, or a variant of it, that the loops call.
        steps: the range.
        variant: the graph a loop called → what it calls in the range.
    """

    def change(step: Step, phase: str) -> tuple[Step, ...] | None:
        call = single_decode(step, graph)
        if call is None or not isinstance(step, Loop) or not step.start.is_Integer:
            return None
        found = steps.within(step)
        if found is None:
            return None
        pieces: list[Step] = []
        start = step.start
        for at, times in enumerate(found):
            if times == 0:
                continue
            inner = replace(call, graph=variant(call.graph)) if at == 1 else call
            pieces.append(replace(step, steps=(inner,), times=times, start=start))
            start = sp.Integer((steps.first, (steps.last or 0) + 1)[at]) if at < 2 else start
        return tuple(pieces)

    return replace_steps(program, change)


def _most(times: Expr) -> Expr | None:
    """Return the most trips a loop can have, where pieces cut off earlier bound it."""
    cut = times.replace(lambda e: isinstance(e, least) and e.args[1].is_number, lambda e: e.args[1])
    return cut if cut.is_number else None


def on_steps(technique: Pass, program: Program, text: str, suffix: str) -> Outcome:
    """Run a technique on the variants that a range of decode steps calls.

    Args:
        technique: what changes the graphs.
        program: what it changes.
        text: the range, as ``read_steps`` reads it.
        suffix: of the names of the variants.

    Raises:
        SpecError: no step of the program lies in the range.
    """
    steps = read_steps(text, technique.name)
    done: dict[str, Rewritten] = {}

    def variant(graph: str) -> str:
        done.setdefault(graph, technique.transform(program.graph(graph)))
        changed = done[graph].graph is not program.graph(graph)
        return f"{graph}{suffix}" if changed else graph

    program.graph(technique.on)
    split, found = split_decode(program, technique.on, steps, variant)
    if not found:
        raise SpecError(
            f"{technique.name}: no loop of {technique.on!r} makes a token a step in steps {text}",
            hint=f"put {technique.name} before what rewrites decoding, or ask for other steps",
        )
    changed = {g: d for g, d in done.items() if d.graph is not program.graph(g)}
    matches = sum(d.matches for d in (changed or done).values())
    if not changed:
        return Outcome(program, matches, notes=technique.nothing(matches))
    graphs = {**split.graphs, **{f"{g}{suffix}": d.graph for g, d in changed.items()}}
    said = (
        f"{technique.describe(program.graph(g), d.graph)} in {g}{suffix}"
        for g, d in changed.items()
    )
    return Outcome(replace(split, graphs=graphs), matches, ", ".join(said))
