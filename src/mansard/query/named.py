"""Chips and models by name, those of plugins beside the bundled ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from mansard.backends import chips
from mansard.backends.hardware import Hardware
from mansard.core.errors import UnknownNameError, unknown_name

Config: TypeAlias = str | Path | Mapping[str, Any]


def chip_names() -> tuple[str, ...]:
    """Return the ids of every chip: the bundled ones, then those of plugins."""
    return (*chips.bundled(), *_chips())


def chip_owner(name: str) -> str:
    """Return the distribution a chip came from."""
    from mansard.plugins import registry

    return registry.hardware()[name].owner


def chip(name: str | Path) -> Hardware:
    """Load a chip: of a plugin or bundled by name, a user's own by path.

    Raises:
        MansardError: no such chip or file, or its text does not describe a chip.
    """
    try:
        return chips.load(name)
    except UnknownNameError:
        texts = _chips()
        if name in texts:
            owner = chip_owner(str(name))
            where = str(name) if owner == name else f"{name} of {owner}"
            return Hardware.from_toml(texts[str(name)], where=where)
        if not texts:
            raise
        see = "(mansard hardware list)"
        raise unknown_name("hardware", str(name), chip_names(), see=see) from None


def readable_chips(names: Iterable[str]) -> list[tuple[str, Hardware]]:
    """Return (distribution, chip) of each name whose text describes a chip.

    Raises:
        PluginError: a plugin's does not, and is not to be left out.
    """
    from mansard.plugins import registry
    from mansard.plugins.registry import readable

    known = registry.hardware()
    return list(readable("chip", {name: known[name].owner for name in names}, chip))


def plugin_models() -> dict[str, tuple[Mapping[str, Any], str]]:
    """Return the models of plugins: name → config and distribution."""
    from mansard.plugins import registry

    return {n: (found.thing, found.owner) for n, found in registry.models().items() if found.thing}


def plugin_model(source: Config) -> Config:
    """Return the config of a plugin's model where ``source`` is its name, else ``source``."""
    if not isinstance(source, str):
        return source
    found = plugin_models().get(source)
    return source if found is None else {"_name_or_path": source, **found[0]}


def _chips() -> dict[str, str]:
    """Return the chips of plugins: id → TOML; the bundled ones come without text."""
    from mansard.plugins import registry

    return {name: found.thing for name, found in registry.hardware().items() if found.thing}
