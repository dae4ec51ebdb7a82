"""The hooks a plugin may implement: one per kind of thing that can be added.

A plugin is a module or object whose functions carry ``@mansard.hookimpl`` and the names below; an
entry point of group ``mansard`` names it. Hooks return classes or data and import what is heavy
inside, so that listing what exists stays quick. A module that says ``MANSARD_API = 1`` is refused
by a mansard whose hooks have changed since, with a sentence instead of a traceback.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pluggy

if TYPE_CHECKING:
    from mansard.ir.op import Op
    from mansard.ir.program import Program
    from mansard.passes.technique import Pass

PROJECT = "mansard"
API = 1
"""Version of the hooks: it grows when a plugin written before would no longer work."""
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Frontend(Protocol):
    """Lowers something to a program.

    It may have ``options``, a tuple of those names that its ``load`` takes as keywords: ``raw``,
    ``alias`` and ``branch`` where it reads graphs as written, ``inputs`` (``{"images": "4"}``)
    where its models take more than text. Any other is refused for it.
    """

    name: str

    def accepts(self, source: str | Path | Mapping[str, Any]) -> bool:
        """Say whether ``load`` would try it; quick, and without an error."""

    def load(
        self, source: str | Path | Mapping[str, Any], overrides: Mapping[str, str] | None = None
    ) -> Program:
        """Return the program; raise ``MansardError`` where the source is bad."""


class Backend(Protocol):
    """Reads an answer off a program."""

    name: str

    def estimate(self, program: Program, on: Any, scenario: Mapping[str, int]) -> Any:
        """Return phases, memory and metrics of the program on hardware."""


@hookspec
def mansard_ops() -> Sequence[type[Op]]:  # type: ignore[empty-body]
    """Return op classes the text form should know; called when a program is parsed."""


@hookspec
def mansard_passes() -> Sequence[type[Pass]]:  # type: ignore[empty-body]
    """Return technique passes; called when techniques are listed or a pipeline is read."""


@hookspec
def mansard_frontends() -> Sequence[Frontend]:  # type: ignore[empty-body]
    """Return frontends; called when a model is loaded. The first that accepts a source loads it."""


@hookspec
def mansard_backends() -> Sequence[Backend]:  # type: ignore[empty-body]
    """Return backends by their ``name``; called when an estimate is asked for."""


@hookspec
def mansard_hardware() -> Mapping[str, str]:  # type: ignore[empty-body]
    """Return chips, id → TOML text in the layout of the bundled ones."""


@hookspec
def mansard_cards() -> Mapping[str, str]:  # type: ignore[empty-body]
    """Return cards of model families, a name → TOML text in the layout of the bundled ones."""


@hookspec
def mansard_models() -> Mapping[str, Mapping[str, Any]]:  # type: ignore[empty-body]
    """Return models, name → config, with ``model_type`` naming a card."""
