"""The options that make a question, shared by every command that computes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mansard.cli import complete
from mansard.cli.options import (
    graph_options,
    read_aliases,
    scenario_options,
    technique_options,
)
from mansard.core.records import dataclass

if TYPE_CHECKING:
    from mansard.query.settings import Setting

F = TypeVar("F", bound=Callable[..., Any])
NAMES = (
    "model", "on", "batch", "prompt", "output", "phase", "context", "techniques", "level",
    "overrides", "raw", "aliases", "branch", "kind", "price",
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What the command line says; None where it says nothing."""

    model: str | None
    on: str | None
    batch: int | None
    prompt: int | str | None
    output: int | str | None
    phase: str | None
    context: int | None
    techniques: tuple[str, ...]
    level: str | None
    overrides: tuple[str, ...]
    raw: bool
    aliases: tuple[str, ...]
    branch: str
    kind: str | None
    price: str | None

    def settings(self) -> dict[str, Setting]:
        """Return every setting with where it was said: here, environment, files, defaults.

        Raises:
            SpecError: a value that cannot be read, or settings that exclude each other.
        """
        from mansard.cli.paint import paint
        from mansard.query.overrides import read_assignments
        from mansard.query.places import strangers
        from mansard.query.reading import as_settings
        from mansard.query.settings import question

        for said_by_nobody in strangers(os.environ):
            print(f"{paint('note:', '33')} {said_by_nobody}", file=sys.stderr)
        given = {
            "on": self.on, "batch": self.batch, "prompt": self.prompt, "output": self.output,
            "phase": self.phase, "context": self.context, "techniques": self.techniques,
            "level": self.level and f"O{self.level}", "estimate": self.kind, "price": self.price,
        }  # fmt: skip
        said = as_settings(self.raw, read_aliases(self.aliases), self.branch)
        changed = {"set": v} if (v := {**read_assignments(self.overrides), **said}) else {}
        return question(self.model, given | changed)

    def keywords(self) -> tuple[Any, dict[str, Any]]:
        """Return the model, and the keywords of ``analyze``.

        Raises:
            SpecError: as ``settings``; or no model or no hardware is named.
        """
        from mansard.query.settings import keywords

        return keywords(self.settings())


def phase_options(command: F) -> F:
    """Add what ``question_options`` adds, to a command that answers about one phase of any name."""
    found = question_options(command)
    for option in getattr(found, "__click_params__", ()):
        if option.name == "phase":  # any of the program, not only those of tokens
            option.type, option.metavar = click.STRING, "NAME"
            option.help = "prefill, decode or another of the model: denoise, encode."
    return found


def question_options(command: F) -> F:
    """Add MODEL, ``--on`` and everything a scenario has; the command gets it as ``asked``."""

    @wraps(command)
    def gathered(*args: Any, **values: Any) -> Any:
        asked = Asked(**{name: values.pop(name) for name in NAMES})
        return command(*args, asked=asked, **values)

    found: Any = gathered
    for option in reversed((
        click.argument("model", required=False, shell_complete=complete.models),
        click.option("--on", metavar="HW", shell_complete=complete.chips,
                     help="A chip (mansard hardware list), name:N, or a file."),
        scenario_options,
        technique_options,
        graph_options,
        click.option("--estimate", "kind", type=click.Choice(("ideal", "calibrated")),
                     help="The bound (default) or the calibrated estimate."),
        click.option("--price", metavar="$/h", help="Of one device and hour: what the answer"
                     " costs."),
    )):  # fmt: skip
        found = option(found)
    wrapped: F = found
    return wrapped
