"""From a model, hardware and techniques to the program and the cluster that answers are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path

from mansard.backends.cluster import Cluster
from mansard.backends.hardware import Hardware
from mansard.core.errors import SpecError
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.ir.program import Origin, Program
from mansard.query.effects import Technique
from mansard.query.overrides import Overrides, read_overrides
from mansard.query.scenario import Scenario
from mansard.query.source import Source, load_with
from mansard.query.target import Target, spread_over, target_of
from mansard.query.techniques import Spec, apply_techniques


@dataclass(frozen=True, eq=False)
class Prepared:
    """A program after its techniques, and what it runs on.

    Args:
        program: to be priced.
        target: the devices.
        techniques: the passes, in the order they ran.
        notes: what was assumed on the way.
        origin: of the model, as it was loaded.
        overrides: what was changed, and what a calibrated estimate is of.
    """

    program: Program
    target: Target
    techniques: tuple[Technique, ...]
    notes: tuple[Note, ...]
    origin: Origin
    overrides: Overrides = field(default_factory=Overrides)

    @property
    def cluster(self) -> Cluster:
        """The devices with the program's mesh on them."""
        return self.target.laid_out(self.program.mesh)


def prepare(
    source: Source,
    on: str | Path | Hardware,
    scenario: Scenario,
    techniques: Sequence[Spec],
    level: str,
    changed: Mapping[str, object],
) -> Prepared:
    """Load a model and its hardware and apply the techniques.

    Raises:
        MansardError: a name nothing carries, a model or chip that cannot be read, a technique that
            cannot be applied, or one that uses other devices than there are.
    """
    overrides, target = read_overrides(changed), target_of(on, changed)
    asked_for, unsaid = spread_over(techniques, target)
    loaded = load_with(source, overrides.model, overrides.reading)
    if scenario.single_step:
        loaded = _only(loaded, "decode")
    program, applied = apply_techniques(loaded, asked_for, level)
    target.check(program.mesh)
    notes = (*unsaid, *(note for technique in applied for note in technique.notes))
    return Prepared(program, target, applied, notes, loaded.origin, overrides)


def _only(program: Program, phase: str) -> Program:
    """Return the program with one phase of its schedule, so that memory is that phase's alone.

    Raises:
        SpecError: the schedule has no such phase.
    """
    steps = tuple(step for step in program.schedule if step.phase == phase)
    if not steps:
        raise SpecError(
            f"{program.origin.name or 'this model'} has no {phase} phase",
            hint="leave context out",
        )
    return replace(program, schedule=steps)
