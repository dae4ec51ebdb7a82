"""Commands of plugins: entry points of group ``mansard.commands``, listed without an import.

``importlib.metadata`` takes longer to import than the help may, so the list is read off the
``entry_points.txt`` files that installers write; running a command goes through the entry point.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from mansard.core.errors import PluginError

GROUP = "mansard.commands"
LIMIT = "MANSARD_PLUGINS"
"""As for plugins: names of commands, plugins or distributions; empty for none."""


def listed() -> dict[str, str]:
    """Return command → the distribution it came from; imports nothing of either.

    Raises:
        PluginError: two distributions have a command of one name.
    """
    limit = os.environ.get(LIMIT)
    if limit is not None and not limit.strip():
        return {}
    wanted = None if limit is None else {name.strip() for name in limit.split(",")}
    found: dict[str, str] = {}
    for owner, text in _stated():
        groups = _groups(text)
        mine = {owner, *groups.get("mansard", ()), *groups.get(GROUP, ())}
        if wanted is not None and not mine & wanted:
            continue
        for name in groups.get(GROUP, ()):
            if found.get(name, owner) != owner:
                raise PluginError(
                    f"two commands are called {name!r}: of {found[name]} and of {owner}",
                    hint=f"uninstall one, or set {LIMIT} to leave one out",
                )
            found[name] = owner
    return dict(sorted(found.items()))


def load(name: str) -> Callable[..., Any]:
    """Import a command by its name.

    Raises:
        PluginError: it cannot be imported, or is nothing that can be called.
    """
    from importlib import metadata

    (entry, *_) = metadata.entry_points(group=GROUP, name=name)
    try:
        command = entry.load()
    except Exception as error:
        raise failed(name, error) from error
    if not callable(command):
        raise failed(name, TypeError(f"{entry.value} is no command"))
    found: Callable[..., Any] = command
    return found


def failed(name: str, error: Exception) -> PluginError:
    """Return what is said of a command that raised, or could not be imported."""
    owner = listed().get(name, "a plugin")
    return PluginError(
        f"command {name!r} of {owner} failed: {type(error).__name__}: {error}",
        hint=f"report it to the authors of {owner}, or uninstall it",
    )


def _stated() -> Iterator[tuple[str, str]]:
    """Yield each distribution with the text of its entry points, the first found of a name."""
    seen: set[str] = set()
    for folder in dict.fromkeys(sys.path):
        try:
            names = sorted(os.listdir(folder or "."))
        except OSError:
            continue
        for name in names:
            if not name.endswith((".dist-info", ".egg-info")):
                continue
            owner = name.rpartition(".")[0].partition("-")[0].replace("_", "-")
            try:
                with open(os.path.join(folder, name, "entry_points.txt"), encoding="utf-8") as file:
                    text = file.read()
            except OSError:
                continue
            if owner not in seen:
                seen.add(owner)
                yield owner, text


def _groups(text: str) -> dict[str, list[str]]:
    """Return group → names of an ``entry_points.txt``."""
    found: dict[str, list[str]] = {}
    group = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            group = line.strip("[]").strip()
        elif "=" in line and not line.startswith(("#", ";")):
            found.setdefault(group, []).append(line.partition("=")[0].strip())
    return found
