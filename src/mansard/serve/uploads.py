"""A file dropped onto the page → a model: parsed in memory, never written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mansard.core.errors import MansardError, SpecError
from mansard.query.in_memory import InMemory, in_memory
from mansard.query.reading import Reading

LONGEST_NAME = 120


def read_upload(data: bytes, filename: str, raw: bool = False) -> InMemory | Mapping[str, Any]:
    """Return the model in a file: a config as its mapping, an ONNX graph as its file.

    Args:
        data: of the file.
        filename: as the user has it; only its last part and its suffix count.
        raw: whether an ONNX graph will be kept as written.

    Raises:
        MansardError: neither, or one that cannot be read.
    """
    name = _plain(filename)
    if not data:
        raise SpecError(f"{name} is empty", hint="drop a config.json or an .onnx file")
    if name.lower().endswith(".onnx"):
        made = in_memory(data, name)
        made.program({}, Reading(raw=raw))  # refused now rather than at the first question
        return made
    if name.lower().endswith(".json"):
        from mansard.frontends.hf.read import MAX_BYTES, parse_config
        from mansard.query.source import load

        if len(data) > MAX_BYTES:
            raise SpecError(f"{name}: {len(data)} bytes is no config", hint="drop the config.json")
        try:
            config = parse_config(data.decode("utf-8-sig"), name)
        except UnicodeDecodeError as error:
            raise SpecError(f"{name}: not UTF-8 text", hint="drop a config.json") from error
        config.setdefault("_name_or_path", name)
        try:
            load(config)  # refused now rather than at the first question
        except MansardError as error:  # a mapping has no file to name
            said = error.message.removeprefix("config: ")
            raise SpecError(f"{name}: {said}", hint=error.hint) from error
        return config
    raise SpecError(f"{name} is neither a config nor an ONNX model",
                    hint="drop a config.json or an .onnx file")  # fmt: skip


def _plain(filename: str) -> str:
    """Return the last part of a path as printable text."""
    last = re.split(r"[/\\]", filename)[-1]
    return "".join(c if c.isprintable() else "\ufffd" for c in last)[-LONGEST_NAME:] or "file"
