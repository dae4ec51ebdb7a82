"""The hardware of a question: a name, ``name:N``, a file, or a chip already loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mansard.backends import chips
from mansard.backends.hardware import Hardware
from mansard.core.errors import SpecError


@dataclass(frozen=True)
class Target:
    """A chip and how many of it."""

    chip: Hardware
    devices: int = 1


def load_hardware(name: str | Path) -> Hardware:
    """Load a chip by name, alias or path; see ``mansard hardware list``."""
    return chips.load(name)


def read_target(on: str | Path | Hardware, overrides: Mapping[str, str]) -> Target:
    """Return the chip ``on`` names, with fields overridden.

    Raises:
        MansardError: no such chip, an override it has no field for, or several devices, which
            need a technique that says how they share the work.
    """
    if isinstance(on, Hardware):
        chip, devices = on, 1
    else:
        name, nodes, per_node = chips.parse_target(str(on))
        chip, devices = load_hardware(name), nodes * per_node
    if devices > 1:
        raise SpecError(
            f"{on} asks for {devices} devices, and no technique splits a model over devices yet",
            hint=f"use one device: {chip.id}",
        )
    for key, value in overrides.items():
        chip = chip.override(key, value)
    return Target(chip, devices)
