"""Every pass, op, frontend, backend, chip and model, with the distribution it came from."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pluggy

from mansard.core import hooks
from mansard.core.errors import MansardError, PluginError, nearest
from mansard.core.hooks import PROJECT, Backend, Frontend
from mansard.core.notes import Note
from mansard.plugins import builtin

if TYPE_CHECKING:
    from mansard.ir.op import Op
    from mansard.passes.technique import Pass

BUILTIN = "mansard"
LIMIT = "MANSARD_PLUGINS"
"""Environment variable: names of the plugins to load, comma-separated; empty for none."""
Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Provided(Generic[Thing]):
    """A thing and the distribution that provides it."""

    thing: Thing
    owner: str


@dataclass(frozen=True)
class Registry:
    """The plugins of one process.

    Args:
        manager: knows the hooks and who implements them.
        notes: plugins that were skipped, when that was asked for.
    """

    manager: pluggy.PluginManager
    notes: tuple[Note, ...] = ()

    def owners(self) -> Mapping[str, str]:
        """Return plugin name → distribution."""
        return {name: _owner(self.manager, plugin) for name, plugin in self._plugins()}

    def _plugins(self) -> Iterator[tuple[str, object]]:
        yield from ((n, p) for n, p in self.manager.list_name_plugin() if p is not None)

    def provided(self, hook: str) -> Iterator[tuple[str, Any]]:
        """Yield (distribution, what its hook returned).

        Raises:
            PluginError: a hook failed.
        """
        for name, plugin in self._plugins():
            function = getattr(plugin, hook, None)
            if function is None:
                continue
            owner = _owner(self.manager, plugin)
            try:
                yield owner, function()
            except MansardError:
                raise
            except Exception as error:
                raise PluginError(
                    f"plugin {name!r} of {owner} failed in {hook}: {error}",
                    hint=f"update or uninstall {owner}, or set {LIMIT} to leave it out",
                ) from error


def _owner(manager: pluggy.PluginManager, plugin: object) -> str:
    if plugin is builtin:
        return BUILTIN
    found = [d.project_name for p, d in manager.list_plugin_distinfo() if p is plugin]
    return found[0] if found else str(manager.get_name(plugin))


@functools.cache
def registry(skip_broken: bool = False) -> Registry:
    """Return the registry: what mansard ships, then every installed plugin.

    Args:
        skip_broken: leave out plugins that cannot be imported, with a note, instead of failing.

    Raises:
        PluginError: a plugin cannot be imported, or implements a hook that does not exist.
    """
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hooks)
    manager.register(builtin, BUILTIN)
    notes = []
    for entry in _entries():
        try:
            manager.load_setuptools_entrypoints(PROJECT, name=entry.name)
            _check_hooks(entry.name, manager.get_plugin(entry.name))
        except Exception as error:
            owner = entry.dist.name if entry.dist else entry.name
            message = f"plugin {entry.name!r} of {owner} cannot be loaded: {error}"
            if not skip_broken:
                hint = f"mend or uninstall {owner}, or pass --ignore-broken-plugins"
                raise PluginError(message, hint=hint) from error
            notes.append(Note("M050", message))
    return Registry(manager, tuple(notes))


def _entries() -> list[metadata.EntryPoint]:
    found = list(metadata.entry_points(group=PROJECT))
    limit = os.environ.get(LIMIT)
    if limit is None:
        return found
    wanted = {name.strip() for name in limit.split(",") if name.strip()}
    return [e for e in found if e.name in wanted]


def _check_hooks(name: str, plugin: object) -> None:
    known = [n for n in vars(hooks) if n.startswith("mansard_")]
    for attribute in dir(plugin):
        if attribute.startswith("mansard_") and attribute not in known:
            near = nearest(attribute, known)
            raise PluginError(
                f"{name!r} implements {attribute}, which is no hook",
                hint=f"did you mean {near[0]}?" if near else f"hooks: {', '.join(known)}",
            )


def passes() -> dict[str, Provided[type[Pass]]]:
    """Return techniques by name."""
    return _named("mansard_passes", "technique", lambda cls: cls.name)


def ops() -> dict[str, Provided[type[Op]]]:
    """Return operators by kind."""
    return _named("mansard_ops", "op", lambda cls: cls.kind)


def frontends() -> dict[str, Provided[Frontend]]:
    """Return frontends by name, those of plugins first."""
    found = _named("mansard_frontends", "frontend", lambda f: f.name)
    return dict(sorted(found.items(), key=lambda item: item[1].owner == BUILTIN))


def backends() -> dict[str, Provided[Backend]]:
    """Return backends by name."""
    return _named("mansard_backends", "backend", lambda b: b.name)


def hardware() -> dict[str, Provided[str]]:
    """Return chips by id: TOML text, empty for a bundled file."""
    return _mapped("mansard_hardware", "chip")


def models() -> dict[str, Provided[Mapping[str, Any]]]:
    """Return models by name: configs, empty for a bundled file."""
    return _mapped("mansard_models", "model")


def _named(hook: str, noun: str, name: Any) -> dict[str, Provided[Any]]:
    pairs = ((owner, ((name(t), t) for t in things)) for owner, things in registry().provided(hook))
    return _collect(noun, pairs)


def _mapped(hook: str, noun: str) -> dict[str, Provided[Any]]:
    pairs = ((owner, things.items()) for owner, things in registry().provided(hook))
    return _collect(noun, pairs)


def _collect(
    noun: str, pairs: Iterable[tuple[str, Iterable[tuple[str, Any]]]]
) -> dict[str, Provided[Any]]:
    found: dict[str, Provided[Any]] = {}
    for owner, things in pairs:
        for name, thing in things:
            if name in found:
                raise PluginError(
                    f"two {noun}s are called {name!r}: of {found[name].owner} and of {owner}",
                    hint=f"uninstall one, or set {LIMIT} to leave one out",
                )
            found[name] = Provided(thing, owner)
    return found
