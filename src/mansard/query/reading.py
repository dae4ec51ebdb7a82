"""How a model is read: a file's graph as written or raised, a prompt with images or without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from mansard.core.errors import SpecError, unknown_name
from mansard.core.records import dataclass

ALIAS = "alias."
INPUTS = "inputs"
_YES = {"true": True, "false": False}


@dataclass(frozen=True)
class Reading:
    """What a caller says of a graph, or of what goes into it.

    Args:
        raw: keep the graph as written.
        alias: name of a size in the file → what it is.
        branch: then, else, or the share of then, where data decide; empty for the frontend's own.
        inputs: what a prompt holds besides text: ``images``, ``image_size``.
    """

    raw: bool = False
    alias: Mapping[str, str] = field(default_factory=dict)
    branch: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def given(self) -> dict[str, Any]:
        """The options that were given."""
        told = {"raw": self.raw, "alias": dict(self.alias), "branch": self.branch,
                INPUTS: dict(self.inputs)}  # fmt: skip
        return {name: value for name, value in told.items() if value}


AS_FOUND = Reading()
"""Nothing is said."""


def read_reading(values: Mapping[str, str]) -> Reading:
    """Read ``raw``, ``branch`` and ``alias.NAME`` from overrides.

    Raises:
        SpecError: raw is neither true nor false.
        UnknownNameError: another key.

    >>> read_reading({"raw": "true", "alias.seq_len": "S"})
    Reading(raw=True, alias={'seq_len': 'S'}, branch='', inputs={})
    """
    rest = {k: v for k, v in values.items() if not k.startswith(ALIAS)}
    aliases = {k.removeprefix(ALIAS): v for k, v in values.items() if k.startswith(ALIAS)}
    raw, branch = rest.pop("raw", "false").lower(), rest.pop("branch", "")
    if rest:
        raise unknown_name("graph override", next(iter(rest)), ("raw", "branch", f"{ALIAS}NAME"))
    if raw not in _YES:
        raise SpecError(f"graph.raw is {raw[:40]!r}", hint="write graph.raw=true")
    return Reading(_YES[raw], aliases, branch)


def as_settings(raw: bool, aliases: Mapping[str, str], branch: str) -> dict[str, str]:
    """Return options of the command line as the overrides they are."""
    said = {f"graph.{ALIAS}{name}": meaning for name, meaning in aliases.items()}
    said |= {"graph.raw": "true"} if raw else {}
    return said | ({"graph.branch": branch} if branch else {})
