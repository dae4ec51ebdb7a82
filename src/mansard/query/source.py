"""Anything that names a model → a Program."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mansard.core.errors import SpecError
from mansard.ir.program import Program
from mansard.query.overrides import read_overrides

Source = str | Path | Mapping[str, Any] | Program


def load(source: Source, *, set: Mapping[str, object] | None = None) -> Program:  # noqa: A002
    """Load a model as a program.

    Args:
        source: a bundled model's name or Hub id, a ``config.json`` or a folder with one, an id in
            the local Hugging Face cache, a config as a mapping, or a Program, returned as it is.
        set: ``{"model.num_hidden_layers": 40}`` changes the config before it is read.

    Raises:
        MansardError: no such model, or one that cannot be read.
    """
    overrides = read_overrides(set or {})
    if overrides.hardware:
        key = next(iter(overrides.hardware))
        raise SpecError(f"hardware.{key} does not belong to a model", hint="load takes model.KEY")
    return load_with(source, overrides.model)


def load_with(source: Source, overrides: Mapping[str, str]) -> Program:
    """Load a model with keys of its config changed."""
    if isinstance(source, Program):
        if overrides:
            raise SpecError(
                f"model.{next(iter(overrides))} cannot be overridden: the model is a Program",
                hint="override the config it is made from",
            )
        return source
    from mansard.plugins import registry
    from mansard.query.named import plugin_model

    named = plugin_model(source)
    for provided in registry.frontends().values():
        if provided.thing.accepts(named):
            return provided.thing.load(named, overrides)
    shown = str(source)[:80]
    what = {".onnx": "ONNX files", ".toml": "scenario files"}.get(Path(shown).suffix.lower())
    raise SpecError(
        f"nothing reads {what or 'it'} yet: {shown!r}" if what else f"nothing reads {shown!r}",
        hint="give a model's name, a config.json or its folder (`mansard models list`)",
    )
