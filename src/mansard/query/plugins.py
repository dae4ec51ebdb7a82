"""What is installed beside mansard, and what each distribution provides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.plugins.installed import version


@dataclass(frozen=True)
class Installed:
    """A plugin.

    Args:
        name: of the distribution.
        version: of the distribution.
        entry: the name it registers under.
        module: what is loaded.
        provides: kind of thing → the names it adds.
        problem: why it was left out; empty for one that works.
    """

    name: str
    version: str
    entry: str
    module: str
    provides: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problem: str = ""


def installed() -> tuple[Installed, ...]:
    """Return mansard itself, then the plugins it loads, with what they provide.

    Raises:
        PluginError: a plugin fails and is not to be left out.
        UnknownNameError: ``MANSARD_PLUGINS`` names one that is not installed.
    """
    from mansard.plugins.loading import BUILTIN, chosen, distribution, registry
    from mansard.plugins.registry import provisions

    provided = provisions()
    skipped = registry().skipped
    own = Installed(
        BUILTIN, version("mansard"), BUILTIN, "mansard.plugins.builtin", provided[BUILTIN]
    )
    found = [
        Installed(
            distribution(entry),
            entry.dist.version if entry.dist else "",
            name,
            entry.value,
            provided.get(distribution(entry), {}),
            skipped[name].message if name in skipped else "",
        )
        for name, entry in chosen().items()
    ]
    return (own, *sorted(found, key=lambda plugin: (plugin.name, plugin.entry)))


def skipped_plugins() -> tuple[Note, ...]:
    """Return a note for each plugin that was left out because it fails."""
    from mansard.plugins.loading import registry

    return registry().notes
