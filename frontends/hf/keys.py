"""Canonical config keys: their spellings, kinds and ceilings, from ``keys.toml``."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from reprlib import Repr
from typing import Any, Literal

from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.frontends.hf.card_text import Lazy

Kind = Literal["size", "count", "number", "flag", "text", "list", "pattern", "auto", "word", "side"]
_WANTED = {
    "size": "a whole number of at least 1",
    "count": "a whole number of at least 0",
    "number": "a number",
    "flag": "true or false",
    "text": "a string",
    "list": "a list",
    "pattern": "a list with one entry a layer, or a string with one letter a layer",
    "word": "a string, true or false",
    "side": "a whole number of at least 1, or two that are equal",
    "auto": 'a whole number of at least 1, or "auto"',
}
_TYPES: dict[str, Any] = {
    "flag": bool, "text": str, "word": (str, bool), "list": list, "pattern": (list, str)
}  # fmt: skip
_LINE = re.compile(r'^"?([\w.\[\]]+)"? = \{.*\}$', re.MULTILINE)
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 60


@dataclass(frozen=True)
class Key:
    """One canonical key: what it holds and how files spell it.

    Args:
        most: the sane ceiling.
        per_layer: a list with a value a layer is allowed.
        quiet: no note names it where the class fills it in: it sizes no tensor, or nearly every
            config leaves it out.
    """

    name: str
    kind: Kind
    aliases: tuple[str, ...] = ()
    most: int = 2**31
    per_layer: bool = False
    quiet: bool = False

    def check(self, value: Any, where: str, spelled: str) -> Any:
        """Return ``value`` in the key's type; ``None`` passes, since null is a statement.

        Raises:
            SpecError: wrong type or out of range; names file, key, value and what is wanted.
        """
        if value is None or (self.kind == "auto" and value == "auto"):
            return None
        if self.per_layer and isinstance(value, list) and None not in value:
            return [self.check(each, where, spelled) for each in value]
        wanted, bad = _WANTED[self.kind], False
        if self.kind == "side" and isinstance(value, list) and len(set(map(str, value))) == 1:
            value = value[0]  # a square, written as its height and its width
        match self.kind:
            case "size" | "count" | "auto" | "side":
                if isinstance(value, float) and value.is_integer():
                    value = int(value)
                bad = type(value) is not int or value < (0 if self.kind == "count" else 1)
                if not bad and value > self.most:
                    bad, wanted = True, f"at most {self.most}"
            case "number":
                bad = isinstance(value, bool) or not isinstance(value, (int, float))
                bad = bad or not abs(value) < 1e30
            case _:
                bad = not isinstance(value, _TYPES[self.kind])
        if bad:
            raise SpecError(
                f"{where}: {spelled} is {show(value)}", hint=f"{spelled} must be {wanted}"
            )
        return value


def show(value: Any) -> str:
    """Return ``repr`` cut to a length that fits a message."""
    return (
        _SHORT.repr(value) if not isinstance(value, int) or abs(value) < 10**30 else "a huge number"
    )


@functools.cache
def _texts() -> tuple[str, str]:
    """Return the two tables of the file, ``keys`` and ``ignore``, unread."""
    text = (Path(__file__).parent / "keys.toml").read_text(encoding="utf-8")
    keys, head, ignored = text.partition("[ignore]")
    return keys, head + ignored


@functools.cache
def canonical_keys() -> Mapping[str, Key]:
    """Return every canonical key by name; a line is read when its key is asked for."""
    lines = {line[1]: line[0] for line in _LINE.finditer(_texts()[0])}

    def read(name: str) -> Key:
        row = tomllib.loads(lines[name])[name]
        return Key(name, **{**row, "aliases": tuple(row.get("aliases", ()))})

    return Lazy(lines, read)


@functools.cache
def _ignored() -> tuple[str, ...]:
    return tuple(tomllib.loads(_texts()[1])["ignore"]["keys"])


@functools.cache
def is_noise(key: str) -> bool:
    """Say whether a config key changes no tensor, shape or traffic."""
    return any(fnmatchcase(key, pattern) for pattern in _ignored())
