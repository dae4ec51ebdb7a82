"""``analyze`` with a memory: a question asked before is answered from disk, to the last digit.

What an answer depends on is its key: the question, the content of the files it names, mansard's own
version and files, the plugins with their versions. Where any of that cannot be known - a model of
the Hugging Face cache, an ONNX file, a plugin being worked on - nothing is remembered.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mansard.core.records import dataclass
from mansard.query.disk import Disk

if TYPE_CHECKING:
    from mansard.query.estimate import Estimate

MOST_FILE = 16_000_000
"""Bytes of a file whose content is part of a key."""


@dataclass(frozen=True)
class Question:
    """A question to ``analyze``, and where its answer is remembered.

    Args:
        model: what ``analyze`` takes.
        asked: its keywords.
        disk: of the user; None where nothing is remembered.
        key: of the answer; None where what it depends on is not known.
    """

    model: Any
    asked: Mapping[str, Any]
    disk: Disk | None
    key: str | None

    @classmethod
    def of(cls, model: Any, asked: Mapping[str, Any]) -> Question:
        """Return a question with its key, where the user's cache is on."""
        disk = Disk.of_user()
        return cls(model, asked, disk, question_key(model, asked) if disk is not None else None)

    def recall(self, effects: bool) -> Estimate | None:
        """Return the remembered answer; it prints the same, and has no program to look into.

        Args:
            effects: whether it must know what each technique changed.
        """
        if self.disk is None or self.key is None:
            return None
        found = self.disk.read(self.key)
        if found is None or (effects and found.get("effects") is None):
            return None
        from mansard.core.errors import MansardError
        from mansard.query.answers import load
        from mansard.query.target import target_of

        try:
            chip = target_of(self.asked["on"], self.asked.get("set") or {}).chip
            return load(found, chip)
        except (KeyError, TypeError, ValueError, AttributeError, MansardError):
            return None

    def keep(self, estimate: Estimate) -> None:
        """Remember an answer; not one that plugins were left out of, nor one of a graph's file."""
        if self.disk is None or self.key is None:
            return
        skipped = any(note.code == "M050" for note in estimate.notes)
        if skipped or estimate.program.origin.resolution is not None:
            return
        from mansard.query.answers import dump

        self.disk.write(self.key, dump(estimate))


def question_key(model: object, asked: Mapping[str, Any]) -> str | None:
    """Return a digest of everything an answer depends on; None where something is not known."""
    if not isinstance(model, str) or not isinstance(asked.get("on"), str):
        return None
    if asked.get("estimate") == "calibrated":  # it has bands and bases, and may name a file
        return None
    if not all(isinstance(t, str) and not _names_file(t) for t in asked.get("techniques") or ()):
        return None
    lengths = _lengths_content(asked)
    parts = [
        lengths,
        _model_content(model),
        _hardware_content(asked["on"]),
        _plugins(),
        _own_files(),
    ]
    if any(part is None for part in parts):
        return None
    text = json.dumps([model, sorted(asked.items()), parts], default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _lengths_content(asked: Mapping[str, Any]) -> str | None:
    """Return a digest of the files that lengths are read from."""
    given = (str(asked.get(name)).strip() for name in ("prompt", "output"))
    return _digest(Path(text) for text in given if text.lower().endswith(".csv"))


def _names_file(text: str) -> bool:
    return any(c in text for c in "/\\") or ".json" in text or ".onnx" in text


def _model_content(model: str) -> str | None:
    """Return a digest of the files of a model; of a bundled one its name says it all."""
    from mansard.frontends.hf import bundled

    if model in bundled.names():
        return "bundled"
    path = Path(model)
    if path.suffix.lower() == ".json" and path.is_file():
        path = path.parent
    if not path.is_dir():
        return None
    return _digest(f for f in sorted(path.iterdir()) if f.is_file())


def _hardware_content(on: str) -> str | None:
    from mansard.backends.chips import parse_target
    from mansard.core.errors import MansardError

    try:
        name = parse_target(on)[0]
    except MansardError:
        return None
    return _digest([Path(name)]) if _names_file(name) or name.endswith(".toml") else "bundled"


def _digest(files: Any) -> str | None:
    """Return a digest of files; of those too large to be read, of their size and time."""
    found = hashlib.sha256()
    try:
        for file in files:
            about = file.stat()
            found.update(f"{file.name}\0{about.st_size}\0".encode())
            if about.st_size <= MOST_FILE:
                found.update(file.read_bytes())
            else:
                found.update(str(about.st_mtime_ns).encode())
    except OSError:
        return None
    return found.hexdigest()


def _plugins() -> list[list[str]] | None:
    """Return the plugins to be loaded and their versions; None when one is being worked on."""
    from mansard.core.hooks import PROJECT
    from mansard.plugins.installed import groups, stated
    from mansard.plugins.loading import LIMIT

    limit = os.environ.get(LIMIT)
    if limit is not None and not limit.strip():
        return []
    found = []
    for dist in stated():
        if PROJECT in groups(dist.text):
            if dist.is_editable:
                return None
            found.append([os.path.basename(dist.folder), dist.text, limit or ""])
    return found if _all_are_folders() else None


def _all_are_folders() -> bool:
    """Say whether nothing on the path is an archive, whose plugins were not looked for."""
    return not any(map(os.path.isfile, sys.path))


def _own_files() -> str:
    """Return a digest of the sizes and times of mansard's own files: code and data."""
    import mansard

    found = hashlib.sha256()
    for name, size, time in _walked(os.path.dirname(os.path.abspath(mansard.__file__))):
        found.update(f"{name}\0{size}\0{time}\n".encode())
    return found.hexdigest()


def _walked(folder: str) -> Iterator[tuple[str, int, int]]:
    for entry in sorted(os.scandir(folder), key=lambda e: e.name):
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _walked(entry.path)
        elif entry.name.endswith((".py", ".toml", ".json")):
            about = entry.stat()
            yield entry.path, about.st_size, about.st_mtime_ns
