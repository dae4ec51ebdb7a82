"""Technique texts and passes → the program they make of another, and what each one did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, TypeAlias

from mansard.ir.program import Program
from mansard.query.effects import Technique

if TYPE_CHECKING:
    from mansard.passes.pipeline import Applied
    from mansard.passes.technique import Pass

    Spec: TypeAlias = "str | Pass"
else:
    Spec = object

CHECKPOINT = "from the checkpoint"


def known_passes() -> dict[str, type[Pass]]:
    """Return every technique there is, by name."""
    from mansard.plugins import registry

    return {name: provided.thing for name, provided in registry.passes().items()}


def read_techniques(specs: Sequence[Spec]) -> tuple[Pass, ...]:
    """Return the passes that texts and passes name, in order.

    Raises:
        MansardError: no such technique or option, or a text that is no pipeline.
    """
    from mansard.passes.pipeline import parse

    known = known_passes()
    found: list[Pass] = []
    for spec in specs:
        found += parse(spec, known) if isinstance(spec, str) else (spec,)
    return tuple(found)


def apply_techniques(
    program: Program, specs: Sequence[Spec], level: str
) -> tuple[Program, tuple[Technique, ...]]:
    """Run what the checkpoint carries, the user's techniques in order, then the level's.

    Raises:
        MansardError: no such level, technique or option, or a technique that cannot be applied.
    """
    from mansard.passes.pipeline import run, with_level

    own = read_techniques([program.origin.pipeline] if program.origin.pipeline else [])
    asked = with_level(read_techniques(specs), level, known_passes())
    after, applied = run(program, (*own, *asked))
    return after, tuple(_reported(applied, len(own)))


def _reported(applied: Sequence[Applied], own: int) -> Iterator[Technique]:
    for at, done in enumerate(applied):
        changed = f"{done.changed} ({CHECKPOINT})" if at < own and done.changed else done.changed
        yield Technique(
            name=done.technique.name,
            options=dict(_options(done.technique)),
            changed=changed,
            notes=done.notes,
            before=done.before,
            after=done.after,
        )


def _options(technique: Pass) -> Iterator[tuple[str, object]]:
    from mansard.passes.options import spelled

    for f in fields(technique):
        value = getattr(technique, f.name)
        if value != f.default:
            yield spelled(f.name), list(value) if isinstance(value, tuple) else value
