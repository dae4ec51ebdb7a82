"""What installers wrote beside the modules, read without ``importlib.metadata``.

That module takes 25 ms to import, more than a remembered answer may; it is asked where a plugin is
loaded. A distribution in an archive on the path is left to it, too.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

DIST, EGG = ".dist-info", ".egg-info"

GARBLED = "\ufffd"
"""What stands for bytes that are no text."""


class Stated(NamedTuple):
    """A distribution with entry points.

    Args:
        owner: its name.
        folder: of its metadata, whose name has the version.
        text: of its ``entry_points.txt``.
    """

    owner: str
    folder: str
    text: str

    @property
    def normalized(self) -> str:
        """Its name as installers compare names."""
        return normalized(self.owner)

    @property
    def version(self) -> str:
        """Its version."""
        return _named(self.folder)[1]

    @property
    def is_garbled(self) -> bool:
        """Whether its entry points are no text in UTF-8, which no Python can load."""
        return GARBLED in self.text

    @property
    def is_editable(self) -> bool:
        """Whether its modules are a tree that is worked on."""
        said = _read(os.path.join(self.folder, "direct_url.json"))
        return '"editable": true' in said or '"editable":true' in said


def stated() -> Iterator[Stated]:
    """Yield each distribution that has entry points, the first found of a name."""
    seen: set[str] = set()
    for found in _all_stated():
        if found.normalized not in seen:
            seen.add(found.normalized)
            yield found


def normalized(name: str) -> str:
    """Return a distribution's name as installers compare names.

    >>> normalized("My.Window")
    'my-window'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def contradictions(group: str) -> list[tuple[Stated, ...]]:
    """Return distributions of one name that are not one, where any has entry points of a group.

    A copy further along the path is hidden by the first, as its modules are; one in the same
    folder, or with other entry points, is another distribution.
    """
    named: dict[str, list[Stated]] = {}
    for found in _all_stated():
        if found.folder.endswith(DIST):
            named.setdefault(found.normalized, []).append(found)
    return [
        tuple(same)
        for same in named.values()
        if len(same) > 1
        and any(group in groups(s.text) for s in same)
        and (len({s.text for s in same}) > 1 or len({os.path.dirname(s.folder) for s in same}) == 1)
    ]


def _all_stated() -> Iterator[Stated]:
    for folder in folders():
        if text := _read(os.path.join(folder, "entry_points.txt")):
            yield Stated(_named(folder)[0], folder, text)


def groups(text: str) -> dict[str, list[str]]:
    """Return group → names of an ``entry_points.txt``."""
    found: dict[str, list[str]] = {}
    group = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            group = line.strip("[]").strip()
        elif "=" in line and not line.startswith(("#", ";")):
            found.setdefault(group, []).append(line.partition("=")[0].strip())
    return found


def may_have(group: str) -> bool:
    """Say whether a distribution may have an entry point of a group; False is certain."""
    return any(map(os.path.isfile, sys.path)) or any(group in groups(s.text) for s in stated())


def version(name: str) -> str:
    """Return the version of a distribution.

    Raises:
        PackageNotFoundError: it is not installed.
    """
    found = dict(map(_named, reversed([*folders()])))
    if found.get(name):
        return found[name]
    from importlib import metadata

    return metadata.version(name)


def folders() -> Iterator[str]:
    """Yield the folders of metadata along the path."""
    for place in dict.fromkeys(sys.path):
        try:
            names = sorted(os.listdir(place or "."))
        except OSError:
            continue
        for name in names:
            if name.endswith((DIST, EGG)):
                yield os.path.join(place, name)


def _named(folder: str) -> tuple[str, str]:
    """Return name and version as the name of a folder says them."""
    name, _, rest = os.path.basename(folder).rpartition(".")[0].partition("-")
    return name.replace("_", "-"), rest.partition("-")[0] if folder.endswith(EGG) else rest


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
