"""``mansard doctor``: is everything here, and does the data read."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import click

from mansard.core.errors import MansardError

PACKAGES = ("mansard", "click", "networkx", "numpy", "onnx", "pluggy", "rich", "sympy")
PATIENCE_S = 10.0
"""How long a plugin may take to import before the doctor goes on without it."""
Check = tuple[bool, str, str]
"""Whether it is well, what, and its state."""


@click.command(short_help="Versions, plugins, data checks.")
@click.pass_context
def doctor(ctx: click.Context) -> None:
    """Print versions and plugins, and read every bundled chip and model once.

    Exits with 1 when anything is wrong.
    """
    from mansard.plugins.loading import skipping_broken, waiting_at_most

    with skipping_broken(), waiting_at_most(PATIENCE_S):
        found = [*_versions(), *_data(), _remembered()]
    for well, name, state in found:
        click.echo(f"{'ok  ' if well else 'BAD '} {name:<10} {state}")
    ctx.exit(0 if all(well for well, _, _ in found) else 1)


def _versions() -> Iterator[Check]:
    yield sys.version_info >= (3, 11), "python", f"{platform.python_version()} on {sys.platform}"
    for package in PACKAGES:
        try:
            yield True, package, version(package)
        except PackageNotFoundError:
            yield False, package, "not installed"


def _data() -> Iterator[Check]:
    checks = (
        ("plugins", _plugins), ("techniques", _techniques), ("operators", _operators),
        ("frontends", _frontends), ("chips", _chips), ("models", _models),
        ("families", _families),
    )  # fmt: skip
    for name, check in checks:
        try:
            yield True, name, check()
        except MansardError as error:
            yield False, name, error.message
    from mansard.query.plugins import left_out

    yield from ((False, "plugin", note.message) for note in left_out())
    yield from _printed()
    yield from _commands()


def _remembered() -> Check:
    """Say where answers are remembered, and how many there are."""
    from mansard.core.units import format_bytes
    from mansard.query.disk import VARIABLE, Disk

    disk = Disk.of_user()
    if disk is None:
        return True, "cache", f"off: no answer is remembered ({VARIABLE}=DIR says where)"
    try:
        sizes = [entry.stat().st_size for entry in disk.documents()]
    except FileNotFoundError:
        sizes = []
    except OSError as error:
        return False, "cache", f"{disk.folder}: {error.strerror}; nothing is remembered"
    told = f"{len(sizes)} kept, {format_bytes(sum(sizes))}" if sizes else "empty"
    return True, "cache", f"{disk.folder}: {told} ({VARIABLE}=off turns it off)"


def _printed() -> Iterator[Check]:
    """Name plugins that print when they are imported: beside data, that is a fault of theirs."""
    from mansard.plugins.loading import registry

    found = registry()
    for name, line in found.printed.items():
        owner = found.owners.get(name, "")
        yield False, "plugin", f"plugin {name!r} of {owner} prints at import: {line[:60]!r}"


def _commands() -> Iterator[Check]:
    """Say which commands of plugins exist, and which of them nobody can run."""
    from mansard.cli.root import COMMANDS
    from mansard.plugins.commands import BOTH, listed

    for name, owner in listed().items():
        if BOTH in owner:
            yield False, "command", f"two commands are called {name!r}: of {owner}"
        elif name in COMMANDS:
            yield False, "command", f"{name!r} of {owner} has the name of one of mansard's own"
        else:
            yield True, "command", f"{name} of {owner}: listed, not run"


def _plugins() -> str:
    from mansard.plugins.loading import registry
    from mansard.query.plugins import installed

    times = registry().seconds
    others = [
        f"{p.name} {p.version} ({times.get(p.entry, 0.0) * 1e3:.0f} ms)"
        for p in installed()[1:]
        if not p.problem
    ]
    return ", ".join(others) or "none besides mansard's own"


def _techniques() -> str:
    from mansard.query.catalogue import techniques

    return f"{len(techniques())} described"


def _operators() -> str:
    from mansard.plugins.registry import ops

    return f"{len(ops())} known to the text form"


def _frontends() -> str:
    from mansard.plugins.registry import frontends

    return ", ".join(frontends())


def _chips() -> str:
    from mansard.query.named import chip_names, readable_chips

    return f"{len(readable_chips(chip_names()))} read"


def _models() -> str:
    from mansard.query.model_list import known_models

    return f"{len(known_models())} read"


def _families() -> str:
    from mansard.query.family_list import known_families

    return f"{len(known_families())} read"
