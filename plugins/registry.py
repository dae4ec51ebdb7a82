"""Every pass, op, frontend, backend, chip and model, with the distribution it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mansard.core.hooks import Backend, Frontend
from mansard.core.records import dataclass
from mansard.plugins import answers, builtin
from mansard.plugins.loading import BUILTIN, LIMIT, LeftOut, registry, told

if TYPE_CHECKING:
    from mansard.ir.op import Op
    from mansard.passes.technique import Pass

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Provided(Generic[Thing]):
    """A thing, the distribution that provides it, and the plugin of it."""

    thing: Thing
    owner: str
    plugin: str = BUILTIN


class Passes(Mapping[str, "type[Pass]"]):
    """Techniques by name; mansard's own are imported when they are asked for, not before.

    Raises:
        PluginError: a plugin fails, or two techniques have one name.
    """

    def __init__(self) -> None:
        self._own = builtin.technique_names()
        start = dict.fromkeys(self._own, Provided[Any](None, BUILTIN))
        found = _collect("mansard_passes", "techniques", answers.techniques, start)
        self._others = {n: provided.thing for n, provided in found.items() if n not in self._own}

    def __getitem__(self, name: str) -> type[Pass]:
        return builtin.technique(name) if name in self._own else self._others[name]

    def __iter__(self) -> Iterator[str]:
        yield from (*self._own, *self._others)

    def __len__(self) -> int:
        return len(self._own) + len(self._others)


def passes() -> dict[str, Provided[type[Pass]]]:
    """Return techniques by name."""
    return _collect("mansard_passes", "techniques", answers.techniques)


def ops() -> dict[str, Provided[type[Op]]]:
    """Return operators by kind."""
    return _collect("mansard_ops", "ops", answers.ops)


def frontends() -> dict[str, Provided[Frontend]]:
    """Return frontends by name, those of plugins first."""
    found = _collect("mansard_frontends", "frontends", answers.frontends)
    return dict(sorted(found.items(), key=lambda item: item[1].owner == BUILTIN))


def backends() -> dict[str, Provided[Backend]]:
    """Return backends by name."""
    return _collect("mansard_backends", "backends", answers.backends)


def hardware() -> dict[str, Provided[str]]:
    """Return chips by id: TOML text, empty for a bundled file."""
    return _collect("mansard_hardware", "chips", answers.chips)


def cards() -> dict[str, Provided[str]]:
    """Return the texts of plugins' cards by name; mansard's own are the frontend's."""
    found = _collect("mansard_cards", "sets of cards", answers.cards)
    owners: dict[str, str] = {}
    for name, provided in [*found.items()]:
        families = answers.families(provided.thing)
        for family in families:
            if family in owners:
                found.pop(name, None)
                said = f"two families are called {family!r}: of {owners[family]} and of"
                what = ("family", family, provided.owner, provided.plugin)
                thing = LeftOut(*what, f"{said} {provided.owner}")
                registry().leave_out_thing(thing, _way_out("family", owners[family], thing.owner))
        owners |= dict.fromkeys(families, provided.owner) if name in found else {}
    return found


def models() -> dict[str, Provided[Mapping[str, Any]]]:
    """Return models by name: configs, empty for a bundled file."""
    return _collect("mansard_models", "models", answers.models)


def provisions() -> dict[str, dict[str, tuple[str, ...]]]:
    """Return plugin → kind of thing → the names it provides; loads every plugin.

    Raises:
        PluginError: a plugin fails, or two provide a thing of one name.
    """
    kinds: dict[str, Callable[[], dict[str, Provided[Any]]]] = {
        "techniques": passes, "ops": ops, "frontends": frontends, "backends": backends,
        "chips": hardware, "cards": cards, "models": models,
    }  # fmt: skip
    found: dict[str, dict[str, tuple[str, ...]]] = {p: {} for p in registry().owners}
    for kind, things in kinds.items():
        for name, provided in things().items():
            names = found[provided.plugin].get(kind, ())
            found[provided.plugin][kind] = (*names, name)
    return found


def readable(
    kind: str, owners: Mapping[str, str], read: Callable[[str], Thing]
) -> Iterator[tuple[str, Thing]]:
    """Yield (owner, what ``read`` makes of it) of each thing by name.

    What a plugin provides and cannot be read is left out with a note, where that is asked for.

    Args:
        kind: of the things, as a noun: "chip".
        owners: name → the distribution it came from.
        read: makes a thing of its name.

    Raises:
        PluginError: a plugin's cannot be read, and is not to be left out.
    """
    for name, owner in owners.items():
        try:
            found = read(name)
        except Exception as error:
            if owner == BUILTIN:
                raise
            why = told(error).removeprefix(f"{name} of {owner}: ").removeprefix(f"{name}: ")
            said = f"{kind} {name!r} of {owner} cannot be read: {why}"
            hint = f"report it to the authors of {owner}, or uninstall it"
            registry().leave_out_thing(LeftOut(kind, name, owner, "", said), hint)
        else:
            yield owner, found


def _collect(
    hook: str,
    noun: str,
    read: Callable[[Any], list[tuple[str, Any]]],
    own: Mapping[str, Provided[Any]] | None = None,
) -> dict[str, Provided[Any]]:
    """Ask every plugin; mansard itself only when what it provides is not given.

    Raises:
        PluginError: a plugin fails, or two provide a thing of one name.
    """
    found = dict(own or {})
    plugins = registry()
    for plugin, owner, things in plugins.ask(hook, read, own=own is None):
        for name, thing in things:
            if name in found:
                said = f"two {noun} are called {name!r}: of {found[name].owner} and of {owner}"
                kind = noun.rpartition(" ")[2].removesuffix("s")
                thing = LeftOut(kind, name, owner, plugin, said)
                plugins.leave_out_thing(thing, _way_out(kind, found[name].owner, owner))
            else:
                found[name] = Provided(thing, owner, plugin)
    return found


def _way_out(kind: str, first: str, second: str) -> str:
    """Say what to do about one name for two things; what mansard ships stays."""
    if first in (BUILTIN, second):
        one = f"rename the {kind} of {second}, or uninstall {second}"
    else:
        one = f"rename the {kind} of {first} or of {second}, or uninstall one of them"
    return f"{one}; {LIMIT} says what is loaded; `mansard plugins check` has a row for each"
