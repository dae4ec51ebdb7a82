"""Notes about the question itself: what the numbers rest on beyond model and chip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import sympy as sp

from mansard.backends.estimate import Memory
from mansard.backends.hardware import Hardware
from mansard.backends.hardware_file import CONFIDENCES
from mansard.core.notes import UNKNOWN, Note
from mansard.core.symbols import SCENARIO, prompt
from mansard.core.units import format_bytes
from mansard.ir.program import Origin
from mansard.query.scenario import Scenario


def concerns(scenario: Scenario, origin: Origin, chip: Hardware, memory: Memory) -> Iterator[Note]:
    """Yield what a reader of the answer should know."""
    length, max_context = longest(scenario, origin), origin.max_context
    if max_context is not None and length > max_context:
        yield Note(
            "M004",
            f"a sequence reaches {length:,} tokens; the model was made for {max_context:,}",
        )
    if chip.confidence and not chip.verified:
        yield Note("M010", f"{chip.id}: figures are {CONFIDENCES[chip.confidence]}")
    if memory.fits is False:
        yield Note("M030", misfit(memory, chip.id))
    elif memory.overhead == 0:
        yield Note("M031", "no memory is set aside for driver and runtime")


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


def misfit(memory: Memory, chip: str) -> str:
    """Say by how much a model does not fit."""
    capacity = memory.capacity or 0
    return (
        f"does not fit {chip}: {format_bytes(memory.total)} needed,"
        f" {format_bytes(memory.total - capacity)} more than its {format_bytes(capacity)}"
    )


def unknowns(notes: Iterable[Note]) -> tuple[Note, ...]:
    """Return the notes that say something is unknown: what ``--strict`` refuses."""
    return tuple(note for note in notes if note.code in UNKNOWN)
