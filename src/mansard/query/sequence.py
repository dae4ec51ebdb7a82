"""How many tokens a model reads of what was asked: images add some, an encoder takes so many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import sympy as sp

from mansard.backends.estimate import made_in
from mansard.core.notes import Note
from mansard.core.symbols import SCENARIO, prompt
from mansard.ir.occurring import occurring
from mansard.ir.program import Origin, Program
from mansard.passes.step_ranges import read_steps
from mansard.query.effects import Technique
from mansard.query.scenario import Scenario


def as_long_as_it_takes(scenario: Scenario, origin: Origin) -> tuple[Scenario, tuple[Note, ...]]:
    """Return the default prompt, cut to what a model takes that only reads it."""
    most = origin.max_context
    if most is None or scenario.prompt <= most or prompt not in origin.lengths:
        return scenario, ()
    said = f"prompt is {most:,} tokens, the longest that {origin.name or 'the model'} reads"
    return replace(scenario, prompt=most), (Note("M009", said),)


def longest(scenario: Scenario, origin: Origin) -> int:
    """Return the tokens of the longest sequence that the model's context bounds."""
    made = 1 if scenario.single_step else scenario.output
    sizes = {"prompt": scenario.prompt, "output": made}
    values = {SCENARIO[name]: sp.Integer(n) for name, n in sizes.items()}
    return max((int(each.xreplace(values)) for each in origin.lengths), default=0)


def prefilled(scenario: Scenario, origin: Origin) -> int:
    """Return how many tokens the prefill of a prompt reads, those of images included."""
    if not origin.lengths or scenario.single_step:
        return scenario.prompt
    values = {SCENARIO["prompt"]: sp.Integer(scenario.prompt), SCENARIO["output"]: sp.S.Zero}
    return int(origin.lengths[-1].xreplace(values)) or scenario.prompt


def generates(program: Program) -> bool:
    """Say whether a program makes tokens one by one."""
    return bool({"prefill", "decode"} & set(_phases(program.schedule)))


def made_by(program: Program) -> str:
    """Return what throughput counts of a program: tokens, or what one call makes."""
    phases = set(_phases(program.schedule)) - {""}
    return made_in(phases, occurring(program), program.origin.source)


def _phases(steps: Iterable[Any]) -> Iterator[str]:
    """Yield the phases of steps, those that run side by side too."""
    for step in steps:
        yield getattr(step, "phase", "")
        yield from _phases(getattr(step, "steps", ()))


def fixed_batch(scenario: Scenario, program: Program) -> tuple[Note, ...]:
    """Return a note when a batch was asked of a graph whose sizes are fixed."""
    if scenario.batch == 1 or "batch" in occurring(program):
        return ()
    said = f"batch {scenario.batch} changes nothing: the sizes of this model's graph are fixed"
    return (Note("M009", said),)


def steps_there_are(scenario: Scenario, applied: Sequence[Technique]) -> Iterator[Note]:
    """Yield a note for each technique whose range of decode steps goes beyond the last one."""
    if scenario.single_step or scenario.phase == "prefill":
        return
    last = scenario.output - 2  # the prefill makes the first token, step 0 the second
    for of in applied:
        text = getattr(of.technique, "steps", "")
        if not isinstance(text, str) or not text:
            continue
        asked = read_steps(text, of.name)
        there = f"{scenario.output:,} output tokens take decode steps 0 to {last:,}"
        if scenario.output < 2:
            there = "one output token takes no decode step"
        if asked.first > last:
            yield Note("M115", f"{of.name} of steps {text} changes nothing: {there}")
        elif asked.last is not None and asked.last > last:
            yield Note("M115", f"{of.name} of steps {text} ends with step {last:,}: {there}")
