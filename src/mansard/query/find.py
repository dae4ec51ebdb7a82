"""Finding the row of an op by name, inside the kernels it may have been merged into."""

from __future__ import annotations

from collections.abc import Iterator

from mansard.backends.estimate import Phase, Row
from mansard.core.errors import unknown_name
from mansard.core.records import dataclass


@dataclass(frozen=True)
class Found:
    """A row, and what to say when it is not called what was asked for."""

    row: Row
    said: str = ""


def find_row(phase: Phase, name: str) -> Found:
    """Return the row called ``name``, or the one that contains the op called so.

    Raises:
        UnknownNameError: the phase has neither; the nearest names are the hint.
    """
    for row in phase.ops:
        if row.name == name:
            return Found(row)
    for row in phase.ops:
        if name in contained(row):
            return Found(row, f"{name} is part of {row.name} in {phase.name}")
    known = {n for row in phase.ops for n in (row.name, *contained(row))}
    raise unknown_name(f"op in {phase.name}", name, known, see="(`analyze --all` lists them)")


def contained(row: Row) -> tuple[str, ...]:
    """Return the names of the ops a row is made of.

    Merged projections are named after their parts: ``layers.qkv_proj`` holds ``layers.q_proj``,
    ``layers.gate_up_proj`` holds ``layers.gate_proj``.
    """
    return tuple(dict.fromkeys((*row.members, *_parts(row.name), *_member_parts(row))))


def _member_parts(row: Row) -> Iterator[str]:
    for member in row.members:
        yield from _parts(member)


def _parts(name: str) -> tuple[str, ...]:
    parent, dot, last = name.rpartition(".")
    parts = {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "gate_up_proj": ("gate_proj", "up_proj")}
    return tuple(f"{parent}{dot}{part}" for part in parts.get(last, ()))
