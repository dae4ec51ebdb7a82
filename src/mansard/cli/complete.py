"""Names a shell offers after Tab: models, chips, techniques; nothing else is loaded for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem


def models(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the bundled models, or files where a path is begun; after a comma, too."""
    from click.shell_completion import CompletionItem

    from mansard.frontends.hf.bundled import names

    if incomplete.startswith((".", "/", "~")):
        return [CompletionItem(incomplete, type="file")]
    return _after_comma(names(), incomplete)


def chips(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the bundled chips."""
    from mansard.backends.chips import bundled

    return _after_comma(bundled(), incomplete)


def techniques(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the names of the techniques."""
    from mansard.plugins.builtin import technique_names

    return _after_comma(technique_names(), incomplete)


def _after_comma(known: Iterable[str], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    done, comma, last = incomplete.rpartition(",")
    return [CompletionItem(f"{done}{comma}{name}") for name in known if name.startswith(last)]
