"""``--set KEY=VALUE``: which part of the question each override belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace

from mansard.core.errors import SpecError, unknown_name
from mansard.core.records import dataclass
from mansard.query.reading import AS_FOUND, Reading, read_reading

SECTIONS = ("model", "hardware", "graph", "input", "network")
NETWORK, CALIBRATION, FRAMEWORK = "network", "calibration", "framework"
NAMES = (NETWORK, CALIBRATION, FRAMEWORK)
"""Keys that are no section."""
DIMENSIONS = {
    "memory.bandwidth": "bytes/s", "memory.capacity": "bytes", "memory.reserve": "bytes",
    "link.per_direction": "bytes/s", "link.host": "bytes/s", "link.storage": "bytes/s",
    "link.latency": "time",
}  # fmt: skip
"""Field of a chip's file → what it is measured in; of peaks it is flop/s."""


@dataclass(frozen=True)
class Overrides:
    """Changed fields, text as the user wrote it.

    Args:
        model: keys of the config.
        hardware: dotted keys of the chip's file.
        network: what joins nodes, by name; None when not given.
        wires: fields of what joins nodes.
        reading: how a file's graph is read, and what a prompt holds besides text.
        calibration: the file of a user's calibration; None when not given.
        framework: the engine a calibrated estimate is of; None for the median of all.
    """

    model: Mapping[str, str] = field(default_factory=dict)
    hardware: Mapping[str, str] = field(default_factory=dict)
    network: str | None = None
    reading: Reading = AS_FOUND
    calibration: str | None = None
    framework: str | None = None
    wires: Mapping[str, str] = field(default_factory=dict)


def read_overrides(values: Mapping[str, object]) -> Overrides:
    """Sort ``{"model.num_hidden_layers": 40}`` by the section before the first dot.

    Raises:
        SpecError: no section, or nothing after it.
        UnknownNameError: a section that cannot be overridden.
    """
    found: dict[str, dict[str, str]] = {name: {} for name in SECTIONS}
    values = dict(values)
    named = {name: str(values.pop(name)) for name in NAMES if name in values}
    for key, value in values.items():
        section, dot, rest = key.partition(".")
        if section not in found:
            known = dict.fromkeys((*SECTIONS, *NAMES))
            raise unknown_name("section to override", section, known)
        if not dot or not rest:
            raise SpecError(
                f"cannot override {key!r}: it names no field",
                hint="write model.num_hidden_layers=40 or hardware.memory.bandwidth=4TB/s",
            )
        found[section][rest] = str(value)
    reading = replace(read_reading(found["graph"]), inputs=found["input"])
    return Overrides(
        found["model"], found["hardware"], reading=reading, wires=found[NETWORK], **named
    )


def read_assignments(texts: Iterable[str]) -> dict[str, str]:
    """Split ``KEY=VALUE`` texts.

    Raises:
        SpecError: no ``=``, or a key given twice.

    >>> read_assignments(["hardware.tdp=300W"])
    {'hardware.tdp': '300W'}
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not key or not value:
            raise SpecError(
                f"cannot read the override {text[:60]!r}",
                hint="write KEY=VALUE, for example model.num_hidden_layers=40",
            )
        if key in found:
            raise SpecError(f"{key!r} is overridden twice", hint="keep one of the two")
        found[key] = value
    return found
