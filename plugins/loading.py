"""Finding and loading plugins: mansard's own first, then every installed one, each by name."""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from dataclasses import field
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from mansard.core import hooks
from mansard.core.errors import MansardError, PluginError, SpecError, nearest, unknown_name
from mansard.core.hooks import PROJECT
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.plugins import builtin, installed

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

BUILTIN = "mansard"
LIMIT = "MANSARD_PLUGINS"
"""Environment variable: names of the plugins to load, comma-separated; empty for none."""
Read = TypeVar("Read")


@dataclass(frozen=True)
class Registry:
    """The plugins of one process.

    Args:
        manager: knows the hooks and who implements them.
        owners: plugin name → the distribution it came from.
        skip_broken: whether a plugin that fails is left out with a note.
        skipped: what was said of those that were left out, by plugin.
        seconds: how long importing each took, by plugin [s].
    """

    manager: pluggy.PluginManager
    owners: dict[str, str]
    skip_broken: bool = False
    skipped: dict[str, Note] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[Note, ...]:
        """One note a plugin that was left out."""
        return tuple(self.skipped.values())

    def ask(
        self, hook: str, read: Callable[[Any], Read], *, own: bool = True
    ) -> Iterator[tuple[str, Read]]:
        """Yield (distribution, what ``read`` makes of its hook's answer), mansard's own first.

        Args:
            hook: its name.
            read: makes what is wanted of an answer; an exception is the plugin's failure.
            own: whether mansard itself is asked, too.

        Raises:
            PluginError: a hook failed, or its answer cannot be read.
        """
        for name, owner in self.owners.items():
            plugin = self.manager.get_plugin(name)
            function = getattr(plugin, hook, None)
            if function is None or name in self.skipped or (plugin is builtin and not own):
                continue
            try:
                with redirect_stdout(sys.stderr):
                    answer = read(function())
            except Exception as error:
                if plugin is builtin:
                    raise
                said = f"plugin {name!r} of {owner} failed in {hook}: {told(error)}"
                self.leave_out(name, owner, said, error)
            else:
                yield owner, answer

    def leave_out(self, name: str, owner: str, said: str, cause: Exception) -> None:
        """Note a plugin that fails, where that was asked for.

        Raises:
            PluginError: it was not.
        """
        if not self.skip_broken:
            hint = f"mend or uninstall {owner}, or run `mansard --ignore-broken-plugins …`"
            raise PluginError(said, hint=hint) from cause
        self.skipped[name] = Note("M050", said)


def told(error: Exception) -> str:
    """Return what an exception says; one that is not mansard's own says its type, too."""
    return str(error) if isinstance(error, MansardError) else f"{type(error).__name__}: {error}"


_SKIP_BROKEN: ContextVar[bool] = ContextVar("skip_broken", default=False)
_PATIENCE: ContextVar[float | None] = ContextVar("patience", default=None)


@contextmanager
def skipping_broken() -> Iterator[None]:
    """Leave out plugins that fail, with a note, instead of failing, while the context lasts."""
    token = _SKIP_BROKEN.set(True)
    try:
        yield
    finally:
        _SKIP_BROKEN.reset(token)


@contextmanager
def waiting_at_most(patience_s: float) -> Iterator[None]:
    """Give up a plugin whose import takes longer, while the context lasts: it has failed."""
    token = _PATIENCE.set(patience_s)
    try:
        yield
    finally:
        _PATIENCE.reset(token)


def registry() -> Registry:
    """Return the registry of this process.

    Raises:
        PluginError: a plugin cannot be imported, implements a hook that does not exist, or has
            the name of another.
        UnknownNameError: ``MANSARD_PLUGINS`` names one that is not installed.
    """
    return _registry(_SKIP_BROKEN.get(), _PATIENCE.get())


@functools.cache
def _registry(skip_broken: bool, patience_s: float | None = None) -> Registry:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hooks)
    manager.register(builtin, BUILTIN)
    found = Registry(manager, {BUILTIN: BUILTIN}, skip_broken)
    for name, entry in chosen().items():
        owner = distribution(entry)
        began = time.perf_counter()
        try:
            plugin = _imported(entry, patience_s)
            found.seconds[name] = time.perf_counter() - began
            _check_api(plugin)
            _check_hooks(plugin)
            manager.register(plugin, name)
        except Exception as error:
            said = f"plugin {name!r} of {owner} cannot be loaded: {told(error)}"
            found.leave_out(name, owner, said, error)
        else:
            found.owners[name] = owner
    return found


def forget() -> None:
    """Load plugins anew when next asked: installed ones have changed, as in a test."""
    _registry.cache_clear()


def chosen() -> Mapping[str, EntryPoint]:
    """Return the entry points to load by name: all, or those ``MANSARD_PLUGINS`` names.

    Raises:
        PluginError: two distributions have a plugin of one name.
        UnknownNameError: the variable names one that is not installed.
    """
    limit = os.environ.get(LIMIT)
    if limit is not None and not limit.strip():
        return {}
    found: dict[str, EntryPoint] = {}
    for entry in _entries():
        if entry.name in (BUILTIN, *found):
            other = distribution(found[entry.name]) if entry.name in found else BUILTIN
            raise PluginError(
                f"two plugins are called {entry.name!r}: of {other} and of {distribution(entry)}",
                hint="uninstall one",
            )
        found[entry.name] = entry
    if limit is None:
        return found
    wanted = [name.strip() for name in limit.split(",") if name.strip()]
    for name in wanted:
        if name not in found:
            raise unknown_name(f"installed plugin (as {LIMIT} asks)", name, found)
    return {name: found[name] for name in wanted}


def _entries() -> Iterable[EntryPoint]:
    if not installed.may_have(PROJECT):
        return ()
    from importlib import metadata

    return metadata.entry_points(group=PROJECT)


def distribution(entry: EntryPoint) -> str:
    """Return the distribution an entry point belongs to."""
    return entry.dist.name if entry.dist else entry.name


def _imported(entry: EntryPoint, patience_s: float | None) -> object:
    """Import a plugin; what it prints goes to stderr, so that data stays data.

    Raises:
        SpecError: it was not done in time, where that is limited.
    """
    if patience_s is None:
        with redirect_stdout(sys.stderr):
            return _loaded(entry)
    done: list[object] = []
    failed: list[Exception] = []

    def load() -> None:
        try:
            done.append(_loaded(entry))
        except Exception as error:
            failed.append(error)

    worker = threading.Thread(target=load, daemon=True, name=f"import of {entry.value}")
    with redirect_stdout(sys.stderr):
        worker.start()
        worker.join(patience_s)
    if worker.is_alive():
        raise SpecError(f"importing {entry.value} had not ended after {patience_s:g} s")
    if failed:
        raise failed[0]
    return done[0]


def _loaded(entry: EntryPoint) -> object:
    """Import a plugin; one that ends the process has failed like any other."""
    try:
        return entry.load()
    except SystemExit as error:
        raise SpecError(f"importing {entry.value} ends the process ({error})") from error


def _check_api(plugin: object) -> None:
    made_for = getattr(plugin, "MANSARD_API", hooks.API)
    if made_for != hooks.API:
        raise SpecError(
            f"it was made for version {made_for!r} of the hooks, this mansard has {hooks.API}"
        )


def _check_hooks(plugin: object) -> None:
    known = [n for n in vars(hooks) if n.startswith("mansard_")]
    for attribute in dir(plugin):
        if attribute.startswith("mansard_") and attribute not in known:
            near = nearest(attribute, known)
            meant = f"; did you mean {near[0]}?" if near else f"; hooks: {', '.join(known)}"
            raise SpecError(f"it implements {attribute}, which is no hook{meant}")
