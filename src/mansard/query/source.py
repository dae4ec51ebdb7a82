"""Anything that names a model → a Program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mansard.core.errors import SpecError
from mansard.ir.program import Program
from mansard.query.in_memory import InMemory
from mansard.query.overrides import read_overrides
from mansard.query.reading import AS_FOUND, INPUTS, Reading

Source = str | Path | Mapping[str, Any] | Program | InMemory


def load(
    source: Source,
    *,
    set: Mapping[str, object] | None = None,  # noqa: A002 - the name of the option
    raw: bool = False,
    alias: Mapping[str, str] | None = None,
    branch: str = "",
) -> Program:
    """Load a model as a program.

    Args:
        source: a bundled model's name or Hub id, a ``config.json`` or a folder with one, an id in
            the local Hugging Face cache, a config as a mapping, an ``.onnx`` file, or a Program,
            returned as it is.
        set: ``{"model.num_hidden_layers": 40}`` changes the config before it is read; of an ONNX
            file, ``{"model.SYMBOL": 512}`` binds a size; ``{"input.images": 4}`` puts images in
            the prompt.
        raw: of an ONNX file: keep the graph as written.
        alias: of an ONNX file: ``{"seq_len": "S"}`` says what sizes are.
        branch: of an ONNX file: "then", "else", or the share of then, where data decide.

    Raises:
        MansardError: no such model, or one that cannot be read.
    """
    overrides = read_overrides(set or {})
    if overrides.hardware:
        key = next(iter(overrides.hardware))
        raise SpecError(f"hardware.{key} does not belong to a model", hint="load takes model.KEY")
    told = Reading(raw, alias or {}, branch, overrides.reading.inputs)
    given = raw or alias or branch
    return load_with(source, overrides.model, told if given else overrides.reading)


def load_with(source: Source, overrides: Mapping[str, str], reading: Reading = AS_FOUND) -> Program:
    """Load a model with keys of its config changed, or a file read in a way of one's own."""
    shown = str(source)[:80]
    if isinstance(source, InMemory):
        return source.program(overrides, reading)
    if isinstance(source, Program):
        if overrides:
            raise SpecError(
                f"model.{next(iter(overrides))} cannot be overridden: the model is a Program",
                hint="override the config it is made from",
            )
        _check_options(reading, (), "a Program")
        return source
    from mansard.plugins import registry
    from mansard.plugins.importing import blamed
    from mansard.query.named import plugin_model

    named = plugin_model(source)
    for provided in registry.frontends().values():
        frontend = provided.thing
        with blamed(provided.owner, f"frontend {frontend.name}"):
            accepted = frontend.accepts(named)
        if accepted:
            _check_options(reading, getattr(frontend, "options", ()), f"{shown!r}")
            with blamed(provided.owner, f"frontend {frontend.name}"):
                return frontend.load(named, overrides, **reading.given)
    what = {".onnx": "ONNX files", ".toml": "scenario files"}.get(Path(shown).suffix.lower())
    raise SpecError(
        f"nothing reads {what or 'it'} yet: {shown!r}" if what else f"nothing reads {shown!r}",
        hint="give a model's name, a config.json or its folder (`mansard models list`)",
    )


def _check_options(reading: Reading, known: Sequence[str], what: str) -> None:
    """Raise when a model is to be read in a way it cannot be.

    Raises:
        SpecError: naming the option.
    """
    for name in reading.given:
        if name == INPUTS and name not in known:
            raise SpecError(f"{what} takes no inputs", hint="leave input.… out")
        if name not in known:
            raise SpecError(
                f"{name} is for files that hold a graph (.onnx), and {what} is none",
                hint=f"leave {name} out",
            )
