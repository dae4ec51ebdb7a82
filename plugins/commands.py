"""Commands of plugins: entry points of group ``mansard.commands``, listed without an import.

The list is read off the ``entry_points.txt`` files that installers write; running a command goes
through the entry point.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from mansard.core.errors import PluginError
from mansard.plugins.installed import groups, stated

GROUP = "mansard.commands"
LIMIT = "MANSARD_PLUGINS"
"""As for plugins: names of commands, plugins or distributions; empty for none."""
BOTH = " and of "
"""Between the distributions that have a command of one name."""


def listed() -> dict[str, str]:
    """Return command → the distribution it came from; imports nothing of either.

    One that several distributions have is listed with all of them, and cannot be run.
    """
    limit = os.environ.get(LIMIT)
    if limit is not None and not limit.strip():
        return {}
    wanted = None if limit is None else {name.strip() for name in limit.split(",")}
    found: dict[str, list[str]] = {}
    for dist in stated():
        owner, names = dist.owner, groups(dist.text)
        mine = {owner, *names.get("mansard", ()), *names.get(GROUP, ())}
        if wanted is not None and not mine & wanted:
            continue
        for name in names.get(GROUP, ()):
            found.setdefault(name, []).append(owner)
    return {name: BOTH.join(owners) for name, owners in sorted(found.items())}


def load(name: str) -> Callable[..., Any]:
    """Import a command by its name.

    Raises:
        PluginError: it cannot be imported, is nothing that can be called, or is not the only one.
    """
    if BOTH in (owners := listed().get(name, "")):
        raise PluginError(
            f"two commands are called {name!r}: of {owners}",
            hint=f"uninstall one, or set {LIMIT} to leave one out",
        )
    from importlib import metadata

    try:
        (entry, *_) = metadata.entry_points(group=GROUP, name=name)
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
