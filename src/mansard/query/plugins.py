"""What is installed beside mansard."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import entry_points

GROUP = "mansard"


@dataclass(frozen=True)
class Installed:
    """A distribution that adds to mansard.

    Args:
        name: of the distribution.
        entry: the name it registers under.
        module: what is loaded.
    """

    name: str
    version: str
    entry: str
    module: str


def installed() -> tuple[Installed, ...]:
    """Return the plugins that are installed, without importing one."""
    found = (
        Installed(point.dist.name, point.dist.version, point.name, point.value)
        for point in entry_points(group=GROUP)
        if point.dist is not None
    )
    return tuple(sorted(found, key=lambda plugin: (plugin.name, plugin.entry)))
