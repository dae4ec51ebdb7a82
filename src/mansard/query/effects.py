"""What each technique changed: the program priced before and after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from mansard.backends.estimate import Memory, Number, Phase
from mansard.core.notes import Note
from mansard.core.records import dataclass

if TYPE_CHECKING:
    from mansard.ir.program import Program
    from mansard.passes.technique import Pass


@dataclass(frozen=True)
class Technique:
    """A pass as it was applied.

    Args:
        name: of the pass.
        options: its fields that differ from their default, as JSON values.
        changed: what it changed, in words; empty when nothing.
        notes: what its reader should know.
        before: the program it got.
        after: the program it returned; the same object when nothing changed.
        technique: the pass itself.
    """

    name: str
    options: Mapping[str, object]
    changed: str
    notes: tuple[Note, ...]
    before: Program
    after: Program
    technique: Pass = field(repr=False)


@dataclass(frozen=True)
class Figures:
    """What a program costs, briefly: operators with every trip, memory, and its phases."""

    ops: Number
    memory: Memory
    phases: Mapping[str, Phase]


@dataclass(frozen=True)
class Effect:
    """A technique with the figures on either side of it.

    Args:
        advice: what would be better here, in words; empty where nothing was looked for.
    """

    technique: Technique
    before: Figures
    after: Figures
    advice: str = ""


def count_ops(program: Program) -> Number:
    """Count the operators a call of the model runs, views left out."""
    from mansard.ir.program import TARGET

    total = sum(float(n) for op, n in program.graph(TARGET).walk() if not op.is_view)
    return int(total) if total == int(total) else total
