"""What a question is made of, and where each part may be said.

From the strongest: the command line, the environment (``MANSARD_BATCH``), the scenario file, the
project's ``mansard.toml``, the user's own file, the defaults. A stronger place replaces what a
weaker one says; ``set`` alone is merged key by key.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.query.places import Layer, layers, read_file
from mansard.query.written import READERS as READERS


@dataclass(frozen=True)
class Setting:
    """A part of a question, as it was read.

    Args:
        name: of the keyword of ``analyze``, or ``model``.
        value: as ``analyze`` takes it.
        origin: where it was said, in words.
    """

    name: str
    value: Any
    origin: str


SET = "set."
_PATHS = ("model", "on")
_LENGTHS = ("prompt", "output")


def settle(found: Sequence[Layer]) -> dict[str, Setting]:
    """Return each setting from the strongest place that says it.

    A context in one place and a prompt or output in a weaker one exclude each other: the stronger
    place counts.

    Raises:
        SpecError: a value that is none of its setting; the message says where it stands.
    """
    settled: dict[str, Setting] = {}
    for layer in found:
        for name, written in layer.values.items():
            if name == "set":
                for key, value in _read(name, written, layer).items():
                    settled.setdefault(f"{SET}{key}", Setting(f"{SET}{key}", value, layer.origin))
            elif name not in settled and not _excluded(name, settled, layer):
                settled[name] = Setting(name, _read(name, written, layer), layer.origin)
    return settled


def _excluded(name: str, settled: Mapping[str, Setting], layer: Layer) -> bool:
    """Whether a stronger place asked for one step over a context, or for lengths, instead."""
    rivals = ("context",) if name in (*_LENGTHS, "phase") else _LENGTHS if name == "context" else ()
    return any(r in settled and settled[r].origin != layer.origin for r in rivals)


def _read(name: str, written: object, layer: Layer) -> Any:
    try:
        value = READERS[name](written)
    except SpecError as error:
        raise SpecError(f"{layer.origin}: {name}: {error.message}", hint=error.hint) from error
    if (
        name in (*_PATHS, *_LENGTHS)
        and isinstance(value, str)
        and layer.folder != Path()
        and (layer.folder / value).exists()
    ):
        return str(layer.folder / value)
    return value


def question(
    model: object = None,
    given: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> dict[str, Setting]:
    """Return every setting of a question.

    Args:
        model: what was named first: a model, or a scenario's file.
        given: what was said on the command line; None where nothing was.
        env: the environment; the process's own unless given.
        folder: where the project's file is looked for; the working folder unless given.
    """
    env = os.environ if env is None else env
    scenario = Path(str(model)) if is_scenario(model) else None
    said = dict(given or {})
    if scenario is None and model is not None:
        said["model"] = model
    return settle(layers(said, scenario, env, folder or Path.cwd()))


def from_file(path: Path, given: Mapping[str, Any]) -> dict[str, Setting]:
    """Return the settings of a scenario's file under those a call gives; nothing else counts."""
    said = {name: value for name, value in given.items() if value not in (None, (), {})}
    return settle((Layer("the call", said), read_file(path)))


def is_scenario(model: object) -> bool:
    """Whether a model's name is that of a scenario's file."""
    return isinstance(model, (str, Path)) and str(model).lower().endswith(".toml")


def keywords(settled: Mapping[str, Setting]) -> tuple[Any, dict[str, Any]]:
    """Return the model, and everything else as keywords of ``analyze``.

    Raises:
        SpecError: no model, or no hardware.
    """
    values = {n: setting.value for n, setting in settled.items() if not n.startswith(SET)}
    changed = {n.removeprefix(SET): s.value for n, s in settled.items() if n.startswith(SET)}
    values |= {"set": changed} if changed else {}
    for name, example in (("model", "llama-3.1-8b"), ("on", "--on h100-sxm")):
        if name not in values:
            raise SpecError(f"the question names no {'hardware' if name == 'on' else name}",
                            hint=f"add {example}, or write it in the scenario's file")  # fmt: skip
    if "prompt" in settled and settled["prompt"].origin == "default":
        del values["prompt"]  # it is shorter where a model reads no more
    if "context" in values:
        for name in (*_LENGTHS, "phase"):
            if name in settled and settled[name].origin == "default":
                values.pop(name, None)
    return values.pop("model"), values
