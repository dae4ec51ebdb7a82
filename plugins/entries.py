"""The plugins that are installed, by entry point, and which of them to load."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from mansard.core.errors import unknown_name
from mansard.core.hooks import PROJECT
from mansard.core.records import dataclass
from mansard.plugins import installed
from mansard.plugins.installed import Stated

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

BUILTIN = "mansard"
LIMIT = "MANSARD_PLUGINS"
"""Environment variable: names of the plugins to load, comma-separated; empty for none."""


@dataclass(frozen=True)
class Entry:
    """A plugin that is installed, not imported yet.

    Args:
        name: of the plugin.
        owner: its distribution.
        version: of the distribution.
        point: imports it; None where it is not known which of two distributions is meant.
        problem: why it must not be loaded; empty where it may be.
    """

    name: str
    owner: str
    version: str
    point: EntryPoint | None
    problem: str = ""

    @property
    def module(self) -> str:
        """What is imported, as its entry point says it."""
        return self.point.value if self.point else ""


def chosen() -> tuple[Entry, ...]:
    """Return the plugins to load: all, or those ``MANSARD_PLUGINS`` names, in its order.

    Raises:
        UnknownNameError: the variable names one that is not installed.
    """
    limit = os.environ.get(LIMIT)
    if limit is not None and not limit.strip():
        return ()
    found = tuple(_entries())
    if limit is None:
        return found
    wanted = [name.strip() for name in limit.split(",") if name.strip()]
    known = {entry.name for entry in found}
    for name in wanted:
        if name not in known:
            raise unknown_name(f"installed plugin (as {LIMIT} asks)", name, known)
    return tuple(entry for name in dict.fromkeys(wanted) for entry in found if entry.name == name)


def _entries() -> Iterator[Entry]:
    """Yield every plugin, those that two distributions claim with what is wrong."""
    if not installed.may_have(PROJECT):
        return
    from importlib import metadata

    twice = {same[0].normalized: same for same in installed.contradictions(PROJECT)}
    for several in twice.values():
        yield from _claimed_twice(several)
    for stated in installed.stated():
        if stated.is_garbled and PROJECT in stated.text:
            said = f"the entry points of {stated.owner} are not text in UTF-8"
            yield Entry(stated.owner, stated.owner, stated.version, None, said)
    try:
        known: Iterable[EntryPoint] = metadata.entry_points(group=PROJECT)
    except UnicodeDecodeError:
        known = _readable()
    points = [(point, point.dist.name if point.dist else point.name) for point in known]
    for point, owner in points:
        if installed.normalized(owner) in twice:
            continue
        version = point.dist.version if point.dist else ""
        owners = [BUILTIN] if point.name == BUILTIN else []
        owners += [o for p, o in points if p.name == point.name]
        said = f"two plugins are called {point.name!r}: of {' and of '.join(owners)}"
        yield Entry(point.name, owner, version, point, said if len(owners) > 1 else "")


def _readable() -> Iterator[EntryPoint]:
    """Yield the entry points of distributions whose own are text."""
    from importlib import metadata

    seen = set()
    for dist in metadata.distributions():
        if dist.name not in seen:
            seen.add(dist.name)
            with suppress(UnicodeDecodeError):
                yield from dist.entry_points.select(group=PROJECT)


def _claimed_twice(same: tuple[Stated, ...]) -> Iterator[Entry]:
    """Yield the plugins of distributions of one name; which of them is meant nobody knows."""
    places = " and ".join(f"version {s.version} in {os.path.dirname(s.folder)}" for s in same)
    said = f"two distributions are called {same[0].normalized!r}: {places}"
    for stated in same:
        for name in installed.groups(stated.text).get(PROJECT, ()):
            yield Entry(name, stated.owner, stated.version, None, said)
