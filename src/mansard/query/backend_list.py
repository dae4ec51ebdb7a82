"""The backends that may answer in place of the roofline: what each does, and its options."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any, get_type_hints

from mansard.core.errors import unknown_name
from mansard.core.records import dataclass
from mansard.query.catalogue import OptionSheet, option_sheet


@dataclass(frozen=True)
class BackendSheet:
    """A backend.

    Args:
        name: as ``--backend`` names it.
        summary: first line of its docstring.
        text: the rest of it.
        owner: the distribution that provides it.
        source: its citation; empty where it states none.
        example: options that show it, as text; empty where it states none.
        options: in the order in which it declares them.
    """

    name: str
    summary: str
    text: str
    owner: str
    source: str
    example: str
    options: tuple[OptionSheet, ...]


def known_backends() -> tuple[BackendSheet, ...]:
    """Return every backend, by name; the roofline is what answers without one."""
    from mansard.plugins import registry

    found = dict(sorted(registry.backends().items()))
    owners = {name: provided.owner for name, provided in found.items()}
    read = registry.readable("backend", owners, lambda n: _sheet(found[n].thing, owners[n]))
    return tuple(sheet for _, sheet in read)


def backend_sheet(name: str) -> BackendSheet:
    """Return one backend.

    Raises:
        UnknownNameError: there is none of that name.
    """
    found = {sheet.name: sheet for sheet in known_backends()}
    if name not in found:
        raise unknown_name("backend", name, found)
    return found[name]


def _sheet(backend: Any, owner: str) -> BackendSheet:
    cls = type(backend)
    said = cls.__doc__ if not (cls.__doc__ or "").startswith(f"{cls.__name__}(") else ""
    summary, _, text = inspect.cleandoc(said or "").partition("\n")
    declared = fields(backend) if hasattr(cls, "__dataclass_fields__") else ()
    hints = get_type_hints(cls) if declared else {}
    return BackendSheet(
        name=backend.name,
        summary=summary.strip(),
        text=text.strip(),
        owner=owner,
        source=getattr(backend, "source", ""),
        example=getattr(backend, "example", ""),
        options=tuple(option_sheet(f.name.replace("_", "-"), f, hints[f.name]) for f in declared),
    )
