"""The catalogue of techniques: what each does, assumes, leaves out, and its options."""

from __future__ import annotations

import inspect
from dataclasses import MISSING
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from mansard.core.errors import unknown_name
from mansard.core.records import dataclass

if TYPE_CHECKING:
    from mansard.passes.technique import Pass


@dataclass(frozen=True)
class OptionSheet:
    """An option of a technique.

    Args:
        name: as users write it.
        type: "number", "whole number", "true or false", "name" or "list".
        default: as pipeline text; None where it must be given, which one out of range says, too.
        help: one phrase.
        choices: the only values allowed; empty for any.
        least: the smallest number allowed.
        most: the largest number allowed.
        unit: dimension of numbers that may carry a unit.
    """

    name: str
    type: str
    default: str | None
    help: str
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    unit: str = ""

    @property
    def allowed(self) -> str:
        """What may be written, in words."""
        if self.choices:
            return " | ".join(self.choices)
        ends = [f"{word} {value:g}" for word, value in (("at least", self.least),
                ("at most", self.most)) if value is not None]  # fmt: skip
        if self.least is not None and self.most is not None:
            ends = [f"{self.least:g} to {self.most:g}"]
        return ", ".join([_KINDS.get(self.unit, self.type), *ends])


_KINDS = {
    "time": "time, as 20ms", "power": "power, as 700W", "bytes/s": "rate, as 3.35TB/s",
    "bytes": "size, as 80GB", "tokens": "tokens, as 512 or 8k",
}  # fmt: skip
"""Dimension → how its numbers are written, in words."""


@dataclass(frozen=True)
class TechniqueSheet:
    """A technique.

    Args:
        name: as pipelines write it.
        summary: first line of its docstring.
        text: the rest of it.
        owner: the distribution that provides it.
        source: its citation.
        level: the level that appends it; empty for none.
        requires: techniques that must have run before.
        conflicts: techniques that must not.
        assumes: sentences.
        omits: sentences.
        example: options that show it, as pipeline text; empty where it states none.
        options: its own first, then those of every technique.
    """

    name: str
    summary: str
    text: str
    owner: str
    source: str
    level: str
    requires: tuple[str, ...]
    conflicts: tuple[str, ...]
    assumes: tuple[str, ...]
    omits: tuple[str, ...]
    example: str
    options: tuple[OptionSheet, ...]


def techniques() -> tuple[TechniqueSheet, ...]:
    """Return every technique, by name."""
    from mansard.plugins import registry
    from mansard.plugins.registry import readable

    found = dict(sorted(registry.passes().items()))
    owners = {name: provided.owner for name, provided in found.items()}
    sheets = readable("technique", owners, lambda n: _sheet(found[n].thing, owners[n]))
    return tuple(sheet for _, sheet in sheets)


def technique(name: str) -> TechniqueSheet:
    """Return one technique.

    Raises:
        UnknownNameError: there is none of that name.
    """
    found = {sheet.name: sheet for sheet in techniques()}
    if name not in found:
        raise unknown_name("technique", name, found)
    return found[name]


def _sheet(cls: type[Pass], owner: str) -> TechniqueSheet:
    from mansard.passes.options import options
    from mansard.passes.pipeline import LEVELS
    from mansard.passes.technique import Pass

    summary, _, text = inspect.cleandoc(cls.__doc__ or cls.name).partition("\n")
    common = options(Pass)
    listed = sorted(options(cls).items(), key=lambda item: item[0] in common)
    hints = get_type_hints(cls)
    return TechniqueSheet(
        name=cls.name,
        summary=summary.strip(),
        text=text.strip(),
        owner=owner,
        source=cls.source,
        level=next((f"-{at}" for at, names in LEVELS.items() if cls.name in names.split(",")), ""),
        requires=cls.requires,
        conflicts=cls.conflicts,
        assumes=cls.assumes,
        omits=cls.omits,
        example=cls.example,
        options=tuple(
            option_sheet(name, declared, hints[declared.name]) for name, declared in listed
        ),
    )


def option_sheet(name: str, declared: Any, hint: Any) -> OptionSheet:
    """Return an option from the field that declares it.

    Args:
        name: as users write it.
        declared: a dataclass field.
        hint: its type.
    """
    from mansard.passes.options import written

    about = declared.metadata
    unit, least = about.get("unit", ""), about.get("least")
    value = declared.default
    must = value is MISSING or (least is not None and isinstance(value, float) and value < least)
    return OptionSheet(
        name=name,
        type=_type(hint),
        default=None if must else written(value, unit),
        help=about.get("help", ""),
        choices=tuple(about.get("choices", ())),
        least=least,
        most=about.get("most"),
        unit=unit,
    )


def _type(hint: Any) -> str:
    if get_origin(hint) is tuple:
        return "list"
    kinds = {bool: "true or false", int: "whole number", float: "number", str: "name"}
    found = [kinds[t] for t in (hint, *get_args(hint)) if t in kinds]
    return found[0] if found else "name"
