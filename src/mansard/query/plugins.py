"""What is installed beside mansard, and what each distribution provides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.plugins.installed import version


@dataclass(frozen=True)
class Without:
    """A single thing of a plugin that is left out.

    Args:
        kind, name: of the thing.
        problem: why.
    """

    kind: str
    name: str
    problem: str


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
        without: things of it that are left out, while the rest works.
    """

    name: str
    version: str
    entry: str
    module: str
    provides: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problem: str = ""
    without: tuple[Without, ...] = ()

    @property
    def broken(self) -> bool:
        """Whether it was left out, or everything of it."""
        left = {thing.name for thing in self.without}
        works = any(name not in left for names in self.provides.values() for name in names)
        return bool(self.problem or (self.without and not works))

    @property
    def adds(self) -> str:
        """What it provides, in words: a name each where they are few."""
        return ", ".join(
            f"{len(names)} {kind}" if len(names) > 4 else f"{kind} {' '.join(names)}"
            for kind, names in self.provides.items()
        )


def installed() -> tuple[Installed, ...]:
    """Return mansard itself, then the plugins it loads, with what they provide.

    Where plugins that fail are left out, what each provides is read once, so that single things
    that fail are known, too.

    Raises:
        PluginError: a plugin fails and is not to be left out.
        UnknownNameError: ``MANSARD_PLUGINS`` names one that is not installed.
    """
    from mansard.plugins.entries import BUILTIN, chosen
    from mansard.plugins.loading import is_skipping, registry
    from mansard.plugins.registry import provisions

    provided = provisions()
    if is_skipping():
        _read_of_plugins()
    skipped = registry().skipped
    own = Installed(
        BUILTIN, version("mansard"), BUILTIN, "mansard.plugins.builtin", provided[BUILTIN]
    )
    found = [
        Installed(
            entry.owner,
            entry.version,
            entry.name,
            entry.module,
            {} if entry.name in skipped else provided.get(entry.name, {}),
            skipped[entry.name].message if entry.name in skipped else "",
            _without(entry.owner, entry.name, provided.get(entry.name, {})),
        )
        for entry in chosen()
    ]
    return (own, *sorted(found, key=lambda plugin: (plugin.name, plugin.entry)))


def _read_of_plugins() -> None:
    """Read the chips of plugins; what cannot be read is noted."""
    from mansard.plugins.entries import BUILTIN
    from mansard.plugins.registry import hardware
    from mansard.query.named import readable_chips

    readable_chips(name for name, chip in hardware().items() if chip.owner != BUILTIN)


def _without(
    owner: str, entry: str, provides: Mapping[str, tuple[str, ...]]
) -> tuple[Without, ...]:
    """Return what is left out of a plugin; of a thing read later only the distribution is known."""
    from mansard.plugins.loading import registry

    named = {name for names in provides.values() for name in names}
    return tuple(
        Without(left.kind, left.name, left.problem)
        for left in registry().things
        if left.owner == owner
        and (left.plugin == entry or (not left.plugin and left.name in named))
    )


def skipped_plugins() -> tuple[Note, ...]:
    """Return a note for each plugin that was left out because it fails."""
    from mansard.plugins.loading import registry

    return registry().notes


def left_out() -> tuple[Note, ...]:
    """Return a note for each plugin, and each single thing of one, that was left out."""
    return (*skipped_plugins(), *things_left_out())


def things_left_out() -> tuple[Note, ...]:
    """Return a note for each single thing of a plugin that was left out."""
    from mansard.plugins.loading import registry

    return tuple(registry().things.values())


def whole() -> tuple[Note, ...]:
    """Ask every plugin for everything, and return a note for each that is left out of a page.

    Raises:
        PluginError: a plugin fails and is not to be left out; without it nothing can be answered.
    """
    from mansard.plugins.loading import registry, skipping_broken
    from mansard.plugins.registry import provisions
    from mansard.query.named import chip_names, readable_chips

    if len(registry().owners) == 1 and not registry().skipped:
        return ()
    provisions()
    with skipping_broken():
        readable_chips(chip_names())
        return left_out()
