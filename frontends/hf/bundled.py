"""The models mansard knows by name: one small TOML file each, with its source."""

from __future__ import annotations

import functools
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mansard.core.errors import unknown_name
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.frontends.hf.read import RawConfig


@dataclass(frozen=True)
class BundledModel:
    """A model's name, Hub id, the facts of its config, and where they were read.

    Args:
        parameters: published or counted total the config must reproduce exactly.
        parameters_from: where that total comes from.
        compared: a second source whose sizes are the same; empty where none was found.
        notes: what no source states.
    """

    name: str
    hub_id: str
    source: str
    config: RawConfig
    parameters: int
    parameters_from: str
    aliases: tuple[str, ...] = ()
    compared: str = ""
    notes: tuple[Note, ...] = ()


@functools.cache
def names() -> tuple[str, ...]:
    """Return the bundled models' names, sorted; no file is opened."""
    files = (name for name in os.listdir(_folder()) if name.endswith(".toml"))
    return tuple(sorted(name.removesuffix(".toml") for name in files))


def load_bundled(name: str) -> BundledModel:
    """Return a bundled model by its name, its Hub id or an alias, in any case.

    Raises:
        UnknownNameError: nothing bundled is called that; the nearest names are the hint.
    """
    low = name.strip().lower()
    for candidate in (low, low.rpartition("/")[2] if low.count("/") == 1 else low):
        if candidate in names():
            model = _load(candidate)
            if "/" not in low or low == model.hub_id.lower() or low in model.aliases:
                return model
    for known in names():
        model = _load(known)
        if low == model.hub_id.lower() or low in model.aliases:
            return model
    raise unknown_name("bundled model", name, names(), see="`mansard models list` names them all")


def is_bundled(name: str) -> bool:
    """Say whether ``load_bundled`` would find the name, without an error."""
    low = name.strip().lower()
    return low in names() or any(
        low == model.hub_id.lower() or low in model.aliases for model in map(_load, names())
    )


def _folder() -> Path:
    return Path(__file__).parent / "models"


@functools.cache
def _load(name: str) -> BundledModel:
    data = tomllib.loads(_folder().joinpath(f"{name}.toml").read_text(encoding="utf-8"))
    config = {**data["config"], **dict.fromkeys(data.get("null", ()))}
    notes: tuple[Note, ...] = ()
    if not _states_dtype(config):
        config["dtype"] = "bfloat16"
        notes = (Note("M105", f"no source of {name} states its dtype; bf16 is counted"),)
    return BundledModel(
        name,
        data["id"],
        data["source"],
        RawConfig(name, config),
        data["parameters"],
        data["parameters_from"],
        tuple(alias.lower() for alias in data.get("aliases", ())),
        data.get("compared", ""),
        notes,
    )


def _states_dtype(config: Mapping[str, Any]) -> bool:
    """Say whether a config, or one inside it, states a dtype; image models are of theirs."""
    if {"dtype", "torch_dtype", "_class_name"} & set(config):
        return True
    return any(_states_dtype(part) for part in config.values() if isinstance(part, Mapping))
