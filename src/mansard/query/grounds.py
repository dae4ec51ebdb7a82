"""What an answer rests on besides its words: files, plugins, versions, mansard's own code.

A word of a question may name a file, a folder or a model of the Hugging Face cache. Which of them
do is asked of no command but looked up: whatever lies under a word counts with its content. That
may be more than is read, never less; so a key changes too often rather than too seldom.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

MOST_FILE = 16_000_000
"""Bytes of a file whose content is part of a key; of a larger one size and time are."""
MOST_FILES = 2_000
"""Files one question may rest on; with more of them nothing is remembered."""
Read = tuple[Path, int]
"""A file, and up to how many bytes of it are read; of a larger one size and time count."""
_BETWEEN = re.compile(r"[\s,=:;{}\[\]()<>\"']+")


def key_of(*parts: object) -> str:
    """Return a digest of JSON values."""
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()


def standing() -> list[object] | None:
    """Return what every answer rests on; None where that cannot be known.

    It is Python and what is installed beside mansard, the plugins to be loaded, mansard's files.
    """
    plugins = loaded_plugins()
    return None if plugins is None else [sys.version, installed_names(), plugins, own_files()]


def contents(
    words: Iterable[str], folders: Sequence[Path] = (Path(),), *, inside: bool = True
) -> dict[str, str] | None:
    """Return file → digest of all that the words of a question name; None where it is too much.

    Args:
        words: texts.
        folders: where relative names start.
        inside: whether the words of TOML files count, too: a scenario names files.
    """
    names = dict.fromkeys(name for word in words for name in _names(word))
    named = (f for name in names for folder in folders for f in _files(folder, name))
    files = dict.fromkeys(islice(named, MOST_FILES + 1))
    found = {f"{file}": digest for file, most in files if (digest := _digest(file, most))}
    if len(files) > MOST_FILES or len(found) < len({file for file, _ in files}):
        return None
    for file, _ in files:
        if inside and file.suffix.lower() == ".toml":
            lines = file.read_text(encoding="utf-8", errors="replace").split("\n")
            more = contents(lines, (Path(), file.parent), inside=False)
            if more is None:
                return None
            found |= more
    return found


def _names(word: str) -> Iterator[str]:
    """Yield what of a word may be a name: itself, its parts between commas, every other part."""
    for name in (word, *word.split(","), word.partition("=")[2], *_BETWEEN.split(word)):
        if stripped := name.strip():
            yield stripped


def _files(folder: Path, name: str) -> Iterator[Read]:
    """Yield the files that are read where a name is one of a model, a chip or lengths."""
    try:
        path = folder / os.path.expanduser(name)
        if path.is_dir():
            if (path / "config.json").is_file():
                yield from ((f, MOST_FILE) for f in sorted(path.iterdir()) if f.is_file())
        elif path.is_file():
            yield from _with_what_is_beside(path)
        elif folder == Path():
            yield from _cached(name)
    except (OSError, ValueError):  # a name too long, a null byte: it names nothing
        return


def _with_what_is_beside(path: Path) -> Iterator[Read]:
    yield path, MOST_FILE
    beside = path.parent / "hf_quant_config.json"
    if path.suffix.lower() == ".json" and beside.is_file():
        yield beside, MOST_FILE
    if path.suffix.lower() == ".onnx":  # its weights lie beside it or below: their sizes count
        for place, _, names in os.walk(path.parent):
            yield from ((Path(place, name), 0) for name in names if Path(place, name) != path)


def _cached(name: str) -> Iterator[Read]:
    """Yield the config of a model of the Hugging Face cache."""
    from mansard.frontends.hf.read import cached_config, hub_cache

    if (hub_cache() / f"models--{name.replace('/', '--')}").is_dir():
        config = cached_config(name)
        yield from _with_what_is_beside(config) if config else ()


def _digest(file: Path, most: int) -> str | None:
    """Return a digest of a file; of one larger than ``most`` bytes, its size and time."""
    try:
        about = file.stat()
        if about.st_size > most:
            return f"{about.st_size} {about.st_mtime_ns}"
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return None


def loaded_plugins() -> list[list[str]] | None:
    """Return the plugins to be loaded and their versions; None when one is being worked on.

    None, too, where an archive lies on the path: plugins in it were not looked for.
    """
    from mansard.core.hooks import PROJECT
    from mansard.plugins.entries import LIMIT
    from mansard.plugins.installed import groups, stated

    limit = os.environ.get(LIMIT)
    if limit is not None and not limit.strip():
        return []
    found = []
    for dist in stated():
        if PROJECT in groups(dist.text):
            if dist.is_editable:
                return None
            found.append([os.path.basename(dist.folder), dist.text, limit or ""])
    return None if any(map(os.path.isfile, sys.path)) else found


def installed_names() -> list[str]:
    """Return the distributions along the path, with their versions."""
    from mansard.plugins.installed import folders

    return [os.path.basename(folder) for folder in folders()]


@functools.cache
def own_files() -> str:
    """Return a digest of the sizes and times of mansard's own files, as this process met them."""
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


def frontends_of_plugins() -> bool:
    """Say whether plugins read models: what they read beside a file that is named nobody knows."""
    from mansard.plugins.loading import BUILTIN
    from mansard.plugins.registry import frontends

    return any(provided.owner != BUILTIN for provided in frontends().values())
