"""Card files as text: a table is read when it is asked for, so a question reads a few of 360."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from mansard.core.errors import SpecError

V = TypeVar("V")
_HEAD = re.compile(r"^\[(\w+)\.([\w-]+)", re.MULTILINE)


class Lazy(Mapping[str, V]):
    """Values by name, each made when it is first asked for.

    Args:
        names: of all of them, in order.
        make: a value from its name.
    """

    def __init__(self, names: Mapping[str, Any], make: Callable[[str], V]) -> None:
        self._names, self._make = names, make
        self._made: dict[str, V] = {}

    def __getitem__(self, name: str) -> V:
        if name not in self._made:
            if name not in self._names:
                raise KeyError(name)
            self._made[name] = self._make(name)
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def own_text() -> str:
    """Return every card file as one text, so that a card may inherit from one of another file."""
    folder = Path(__file__).parent / "cards"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return "\n".join(f.read_text(encoding="utf-8") for f in files)


def tables(text: str, where: str) -> dict[str, Mapping[str, Any]]:
    """Return kind → name → table of a text whose tables are all called ``[kind.name…]``."""
    pieces: dict[str, dict[str, str]] = {}
    heads = list(_HEAD.finditer(text))
    for head, after in zip(heads, [*heads[1:], None], strict=True):
        kind, name = head.groups()
        piece = text[head.start() : len(text) if after is None else after.start()]
        of_kind = pieces.setdefault(kind, {})
        of_kind[name] = of_kind.get(name, "") + piece
    return {kind: _read_later(kind, texts, where) for kind, texts in pieces.items()}


def _read_later(kind: str, texts: Mapping[str, str], where: str) -> Lazy[Any]:
    return Lazy(texts, lambda name: read_toml(texts[name], where)[kind][name])


def read_toml(text: str, where: str) -> dict[str, Any]:
    """Read a card file, or a piece of one.

    Raises:
        SpecError: it is no TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{where}: not valid TOML: {error}", hint="see cards/llama.toml") from error
