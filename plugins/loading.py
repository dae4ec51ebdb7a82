"""Loading plugins: mansard's own first, then every installed one; one that fails is named."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import field
from typing import Any, NamedTuple

import pluggy

from mansard.core import hooks
from mansard.core.errors import MansardError, PluginError, SpecError, nearest
from mansard.core.hooks import PROJECT
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.plugins import builtin
from mansard.plugins.entries import BUILTIN as BUILTIN
from mansard.plugins.entries import LIMIT as LIMIT
from mansard.plugins.entries import Entry, chosen
from mansard.plugins.importing import imported, running, surviving


class Answered(NamedTuple):
    """What a plugin answered to a hook.

    Args:
        plugin: its name.
        owner: its distribution.
        answer: what was made of it.
    """

    plugin: str
    owner: str
    answer: Any


class LeftOut(NamedTuple):
    """A single thing of a plugin that cannot be, while the rest of it can.

    Args:
        kind: of the thing, as a noun: "chip".
        name: of the thing.
        owner: the distribution it came from.
        plugin: of that distribution; empty where only the distribution is known.
        problem: what is wrong, and what then holds.
    """

    kind: str
    name: str
    owner: str
    plugin: str
    problem: str


@dataclass(frozen=True)
class Registry:
    """The plugins of one process.

    Args:
        manager: knows the hooks and who implements them.
        owners: plugin name → the distribution it came from.
        skip_broken: whether a plugin that fails is left out with a note.
        skipped: what was said of those that were left out, by plugin.
        things: single things that were left out, once each.
        seconds: how long importing each took, by plugin [s].
        printed: the first line each printed on being imported, by plugin.
    """

    manager: pluggy.PluginManager
    owners: dict[str, str]
    skip_broken: bool = False
    skipped: dict[str, Note] = field(default_factory=dict)
    things: dict[LeftOut, Note] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    printed: dict[str, str] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[Note, ...]:
        """One note a plugin that was left out."""
        return tuple(dict.fromkeys(self.skipped.values()))

    def ask(self, hook: str, read: Callable[[Any], Any], *, own: bool = True) -> Iterator[Answered]:
        """Yield what ``read`` makes of each plugin's answer to a hook, mansard's own first.

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
            if plugin is builtin:
                yield Answered(name, owner, read(function()))
                continue
            whose = f"plugin {name!r} of {owner}"
            try:
                with running(whose, hook):
                    answer = read(surviving(function, "it"))
            except Exception as error:
                said = f"{whose} failed in {hook}: {told(error)}"
                self.leave_out(name, owner, said, error)
            else:
                yield Answered(name, owner, answer)

    def leave_out(self, name: str, owner: str, said: str, cause: Exception | None) -> None:
        """Note a plugin that fails, where that was asked for.

        Raises:
            PluginError: it was not.
        """
        if not self.skip_broken:
            hint = f"mend or uninstall {owner}, or run `mansard --ignore-broken-plugins …`"
            raise PluginError(said, hint=hint) from cause
        self.skipped[name] = Note("M050", said)

    def leave_out_thing(self, thing: LeftOut, hint: str) -> None:
        """Note one thing of a plugin that cannot be, where that was asked for.

        Raises:
            PluginError: it was not.
        """
        if not self.skip_broken:
            raise PluginError(thing.problem, hint=hint)
        self.things[thing] = Note("M140", thing.problem)


def told(error: Exception) -> str:
    """Return what an exception says; one that is not mansard's own says its type, too."""
    return error.message if isinstance(error, MansardError) else f"{type(error).__name__}: {error}"


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


def is_skipping() -> bool:
    """Say whether plugins that fail are left out."""
    return _SKIP_BROKEN.get()


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
    for entry in chosen():
        if entry.point is None or entry.problem:
            found.leave_out(entry.name, entry.owner, entry.problem, None)
            continue
        whose = f"plugin {entry.name!r} of {entry.owner}"
        try:
            with running(whose, "importing it") as out:
                began = time.perf_counter()
                plugin = imported(entry.point, patience_s)
            found.seconds[entry.name] = time.perf_counter() - began
            if out.first:
                found.printed[entry.name] = out.first
            _register(plugin, entry, found)
        except Exception as error:
            said = f"{whose} cannot be loaded: {told(error)}"
            found.leave_out(entry.name, entry.owner, said, error)
    return found


def _register(plugin: object, entry: Entry, found: Registry) -> None:
    """Let the manager know a plugin.

    Raises:
        SpecError: it is not made for these hooks, or is another plugin as well.
    """
    _check_api(plugin)
    _check_hooks(plugin)
    if (other := found.manager.get_name(plugin)) is not None:
        raise SpecError(f"{entry.module} is plugin {other!r} of {found.owners[other]} already")
    found.manager.register(plugin, entry.name)
    found.owners[entry.name] = entry.owner


def forget() -> None:
    """Load plugins anew when next asked: installed ones have changed, as in a test."""
    _registry.cache_clear()


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
