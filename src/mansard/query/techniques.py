"""Technique texts and passes → the program they make of another, and what each one did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from mansard.ir.program import Program
from mansard.query.effects import Technique

if TYPE_CHECKING:
    from mansard.passes.pipeline import Applied
    from mansard.passes.technique import Pass

    Spec: TypeAlias = "str | Pass"
else:
    Spec = object

CHECKPOINT = "from the checkpoint"


def known_passes() -> Mapping[str, type[Pass]]:
    """Return every technique there is, by name."""
    from mansard.plugins.registry import Passes

    return Passes()


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
    return tuple(map(with_programs, found))


def with_programs(technique: Pass) -> Pass:
    """Load the models that options name, such as a draft: passes know no frontend."""
    from mansard.query.source import load

    loaded: dict[str, Any] = {
        f.name: load(value)
        for f in fields(technique)
        if f.metadata.get("program")
        and isinstance(value := getattr(technique, f.name), str)
        and value not in f.metadata["choices"]
    }
    return replace(technique, **loaded) if loaded else technique


def apply_techniques(
    program: Program, specs: Sequence[Spec], level: str
) -> tuple[Program, tuple[Technique, ...]]:
    """Run what the checkpoint carries, the user's techniques in order, then the level's.

    Raises:
        MansardError: no such level, technique or option, or a technique that cannot be applied.
    """
    from mansard.core.errors import PluginError
    from mansard.passes.pipeline import InvalidResultError, PassError, run, with_level

    own = read_techniques([program.origin.pipeline] if program.origin.pipeline else [])
    typed = read_techniques(specs)
    asked = with_level(typed, level, known_passes())
    try:
        with _attributed(asked):
            after, applied = run(program, (*own, *asked))
    except (PassError, InvalidResultError) as crash:
        owner = _owner(crash.technique)
        if owner is None:
            raise
        if isinstance(crash, InvalidResultError):
            said = f"a technique of {owner} made an invalid graph: {crash.message}"
        else:
            why = f"{type(crash.__cause__).__name__}: {crash.__cause__}"
            said = f"{crash}, a technique of {owner}: {why}"
        raise PluginError(said, hint=f"report it to the authors of {owner}") from crash
    return after, tuple(_reported(applied, len(own), len(own) + len(typed)))


def _attributed(asked: Sequence[Pass]) -> AbstractContextManager[Any]:
    """Attribute what techniques of plugins print, where there are such; data stays data."""
    others = [t for t in asked if not type(t).__module__.startswith("mansard.")]
    whose = " and ".join(f"{t.name} of {_owner(t) or 'the caller'}" for t in others)
    if not others:
        return nullcontext()
    from mansard.plugins.importing import running

    return running(f"technique {whose}", "a run of it")


def _owner(technique: Pass) -> str | None:
    """Return the distribution of a plugin's technique; none for one of mansard or of the caller."""
    from mansard.plugins import registry
    from mansard.plugins.loading import BUILTIN

    found = registry.passes().get(technique.name)
    if found is None or found.owner == BUILTIN or found.thing is not type(technique):
        return None
    return found.owner


def _reported(applied: Sequence[Applied], own: int, level: int) -> Iterator[Technique]:
    """Yield what each technique did: the checkpoint's, from ``own`` the user's, then the level's.

    That a technique of the level matched nothing is no news: nobody asked for it by name.
    """
    for at, done in enumerate(applied):
        changed = f"{done.changed} ({CHECKPOINT})" if at < own and done.changed else done.changed
        yield Technique(
            name=done.technique.name,
            options=dict(_options(done.technique)),
            changed=changed,
            notes=tuple(n for n in done.notes if at < level or n.code != "M020"),
            before=done.before,
            after=done.after,
            technique=done.technique,
        )


def _options(technique: Pass) -> Iterator[tuple[str, object]]:
    from mansard.passes.options import spelled

    for f in fields(technique):
        value = getattr(technique, f.name)
        if value != f.default:
            yield spelled(f.name), _plain(value)


def _plain(value: object) -> object:
    """Return an option's value as JSON has it; a program by its name."""
    if isinstance(value, Program):
        return value.origin.name
    return list(value) if isinstance(value, tuple) else value
