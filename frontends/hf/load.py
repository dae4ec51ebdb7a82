"""A model's name, file, folder or config → Program.

Where a text could mean several things, the first of these counts: a path that is written as one
(``./``, ``~``, an absolute path, ``….json``), a file or a folder with a ``config.json`` of that
name, a bundled model, a model in the local Hugging Face cache. Nothing is downloaded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mansard.core.errors import SpecError, unknown_name
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.frontends.hf.architecture import Architecture
from mansard.frontends.hf.bundled import is_bundled, load_bundled, names
from mansard.frontends.hf.checkpoint import checkpoint_pipeline
from mansard.frontends.hf.diffusion.config import is_diffusion
from mansard.frontends.hf.inputs import read_inputs
from mansard.frontends.hf.keys import show
from mansard.frontends.hf.layer_words import layers_in_words
from mansard.frontends.hf.lower.program import program
from mansard.frontends.hf.mtp import mtp_parameters
from mansard.frontends.hf.overrides import apply_overrides
from mansard.frontends.hf.read import LONGEST_ID, RawConfig, cached_config, read_config
from mansard.frontends.hf.resolve import resolve
from mansard.ir.program import Origin, Program

CONFIG = "config.json"
Source = str | Path | Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """A config, the name its model goes by, and what kind of place it came from.

    Args:
        source: ``bundled``, ``hf-config`` or ``hf-cache``.
        notes: what is known of it besides its config.
    """

    config: RawConfig
    name: str
    source: str
    notes: tuple[Note, ...] = ()


def load(
    source: Source,
    overrides: Mapping[str, str] | None = None,
    inputs: Mapping[str, str] | None = None,
) -> Program:
    """Return the program of a model.

    Args:
        source: a bundled model's name, Hub id or alias; a config file or a folder with one; a Hub
            id in the local cache; the config itself.
        overrides: config key → text, as the command line's ``--set model.KEY=VALUE``.
        inputs: ``images``, ``image_size`` → text, as ``--set input.KEY=VALUE``.

    Raises:
        MansardError: nothing is called that (the nearest names are the hint), or it cannot be read.
    """
    found = find(source)
    config = found.config
    if is_diffusion(config.values):
        if inputs:
            raise SpecError(
                f"input.{next(iter(inputs))} means nothing to an image model",
                hint="change its own keys, for example --set model.image_tokens=1024",
            )
        from mansard.frontends.hf.diffusion.load import load_denoiser

        return load_denoiser(config, found.name, found.source, overrides or {})
    if overrides:
        config = RawConfig(config.where, apply_overrides(config.values, overrides))
    arch = resolve(config)
    return program(arch, _origin(arch, found), read_inputs(inputs or {}))


def accepts(source: object) -> bool:
    """Say whether ``load`` is the one to ask for ``source``."""
    if isinstance(source, Mapping):
        return True
    if not isinstance(source, (str, Path)):
        return False
    path = Path(source)
    if path.suffix.lower() == ".json" or _holds_config(path):
        return True
    text = str(source)
    return not isinstance(source, Path) and (is_bundled(text) or cached_config(text) is not None)


def find(source: Source) -> Found:
    """Find the config that ``source`` names; see the module for what comes first."""
    if isinstance(source, Mapping):
        config = read_config(source)
        return Found(config, str(config.values.get("_name_or_path") or "config"), "hf-config")
    text = str(source)
    if isinstance(source, Path) or _written_as_path(text) or _holds_config(Path(text)):
        return Found(read_config(source), _file_name(Path(text)), "hf-config")
    if is_bundled(text):
        model = load_bundled(text)
        return Found(model.config, model.name, "bundled", model.notes)
    if cached := cached_config(text):
        return Found(read_config(cached), text, "hf-cache")
    if "\0" in text or text.count("/") > 1:
        return Found(read_config(source), text, "hf-config")  # no name has that form
    see = "(`mansard models list` names every bundled model)"
    if text.count("/") == 1:
        see += f"; a model of the Hub: `mansard models show {text[:LONGEST_ID]} --download`"
    raise unknown_name("model or file", text[:LONGEST_ID], names(), see=see)


def _origin(arch: Architecture, found: Found) -> Origin:
    return Origin(
        name=found.name,
        source=found.source,
        family=arch.family,
        max_context=arch.max_context,
        notes=(*arch.notes, *found.notes),
        facts={**dict(_facts(arch)), **_layers(arch)},
        pipeline=checkpoint_pipeline(arch),
    )


def _facts(arch: Architecture, prefix: str = "") -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield what was read of every stack, those beside the first under their names."""
    for found in arch.provenance:
        yield f"{prefix}{found.key}", (show(found.value), found.source)
    towers = (("encoder", arch.encoder), ("vision", arch.vision), ("audio", arch.audio))
    for name, part in towers:
        if part is not None:
            yield from _facts(part, f"{prefix}{name}.")


def _layers(arch: Architecture) -> dict[str, tuple[str, str]]:
    """Return the layers the config makes, and what serving leaves out of the checkpoint."""
    facts = {"layers": (layers_in_words(arch), "the config's layers, in order")}
    if extra := mtp_parameters(arch):
        said = f"{arch.mtp_layers} layers of the checkpoint that are not served"
        facts["mtp_params"] = (f"{extra:,}", said)
    return facts


def _written_as_path(text: str) -> bool:
    return text.startswith((".", "~", "/", "\\")) or os.path.isabs(text) or text.endswith(".json")


def _holds_config(path: Path) -> bool:
    try:
        return path.is_file() or (path / CONFIG).is_file()
    except (OSError, ValueError):  # names too long, null bytes
        return False


def _file_name(path: Path) -> str:
    """Return the folder's name of a ``…/config.json``, and the stem of any other file."""
    path = path.expanduser()
    if path.name != CONFIG and path.suffix == ".json":
        return path.stem
    folder = path.parent if path.name == CONFIG else path
    return folder.resolve().name or "config"
