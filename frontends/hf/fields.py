"""Resolve canonical keys: the config's value, else the class default, else a rule.

Every resolved field remembers where it came from, and every key of the config that was read is
known, so that those that were not can be named.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mansard.core.errors import SpecError, unknown_name
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.frontends.hf.cards import Card, Setting
from mansard.frontends.hf.defaults import class_defaults
from mansard.frontends.hf.keys import Key, canonical_keys, is_noise, show
from mansard.frontends.hf.paths import at, has, is_stated, root
from mansard.frontends.hf.read import RawConfig
from mansard.frontends.hf.schedule import mentioned, one_a_layer


@dataclass(frozen=True)
class Field:
    """A canonical key, its value, and where the value came from."""

    key: str
    value: Any
    source: str
    stated: bool = False  # the config has the key, perhaps as null


class Fields:
    """The fields of one config under one card."""

    def __init__(self, config: RawConfig, card: Card) -> None:
        self.where = config.where
        self.notes: list[Note] = []
        self._config = config.values
        self.card = card
        self.defaults = class_defaults(card)
        self._known = canonical_keys()
        self._read: set[str] = set()
        self._fields: dict[str, Field] = {}

    def get(self, key: str) -> Field:
        """Return the field; its value is ``None`` where config and class default have none."""
        if key not in self._fields:
            self._fields[key] = self._resolve(self._key(key))
        return self._fields[key]

    def touch(self, *keys: str) -> None:
        """Count keys as read without reading them: what another setting has switched off."""
        for key in keys:
            self._read.update(map(root, self.spellings(self._key(key))))

    def share(self, other: Fields) -> None:
        """Count as read what another stack of the same config has read."""
        self._read |= other._read

    def value(self, key: str) -> Any:
        """Return the field's value alone."""
        return self.get(key).value

    def per_layer(self, key: str, count: int, rule: tuple[int, str] | None = None) -> list[int]:
        """Return an integer field for each of ``count`` layers; a list must have as many.

        Raises:
            SpecError: it is a list of another length.
        """
        value = self.value(key)
        return self._each(key, value if isinstance(value, list) else self.whole(key, rule), count)

    def whole(self, key: str, rule: tuple[int, str] | None = None) -> int:
        """Return an integer field, or the rule's value where it is absent or null."""
        found = self.get(key)
        if found.value is None:
            if rule is None:
                state = "is null" if found.stated else "is missing"
                raise SpecError(f"{self.where}: {key} {state}", hint=f"add {key} to the config")
            found = Field(key, rule[0], f"rule: {rule[1]}", found.stated)
            self._fields[key] = found
        return int(found.value)

    def decide(self, setting: Setting) -> Any:
        """Evaluate a card's condition; anything else is returned as it is."""
        while isinstance(setting, Mapping) and "if" in setting:
            value = self.value(setting["if"])
            hit = value == setting["is"] if "is" in setting else bool(value)
            setting = setting["then"] if hit else setting["else"]
        return setting

    def setting(self, setting: Setting) -> Any:
        """Evaluate a card's setting: a literal, a config key, a condition or a sum of such."""
        chosen = self.decide(setting)
        if isinstance(chosen, Mapping):
            name, parts = next(iter(chosen.items()))
            return combine(name, [self.setting(part) for part in parts])
        return self.value(chosen) if isinstance(chosen, str) else chosen

    def setting_per_layer(self, setting: Setting, count: int) -> list[Any]:
        """Evaluate a setting that is a list of one value a layer, or one for all of them."""
        return self._each(next(mentioned(setting), "a list"), self.setting(setting), count)

    def _each(self, key: str, value: Any, count: int) -> list[Any]:
        if isinstance(value, list):
            one_a_layer(self.where, key, value, count, "or one number")
        return list(value) if isinstance(value, list) else [value] * count

    def flag(self, setting: Setting) -> bool:
        """Evaluate a yes-or-no setting; absent and null mean no."""
        return bool(self.setting(setting))

    def records(self) -> tuple[Field, ...]:
        """Return every field read so far that has a value, in the order of reading."""
        return tuple(f for f in self._fields.values() if f.value is not None or f.stated)

    def unread(self) -> tuple[str, ...]:
        """Return the config's keys that say something and that nothing read."""
        quiet: tuple[Any, ...] = (None, False, 0, "", [], {})
        return tuple(
            key
            for key, value in self._config.items()
            if key not in self._read
            and key not in self.card.ignores
            and not is_noise(key)
            and value not in quiet
        )

    def _key(self, name: str) -> Key:
        if name in self._known:
            return self._known[name]
        return Key(name, "flag")  # a card's own switch

    def spelling(self, key: str) -> str:
        """Return how the config spells a key; where it does not, how the card does."""
        names = self.spellings(self._key(key))
        return next((name for name in names if has(self._config, name)), names[0])

    def spellings(self, key: Key) -> tuple[str, ...]:
        """Return the spellings of a key, the card's own first."""
        mapped = self.defaults.attribute_map.get(key.name)
        own = (*self.card.keys.get(key.name, ()), *((mapped,) if mapped else ()))
        return tuple(dict.fromkeys((*own, key.name, *key.aliases)))

    def _resolve(self, key: Key) -> Field:
        names = self.spellings(key)
        present = [name for name in names if is_stated(self._config, name, self.where)]
        self._read.update(map(root, present))
        stated = {name: key.check(at(self._config, name), self.where, name) for name in present}
        given = {name: value for name, value in stated.items() if value is not None}
        if given:
            first, value = next(iter(given.items()))
            for name, other in given.items():
                if other != value:
                    said = f"{first} is {show(value)} but {name} is {show(other)}; {first} counts"
                    self.notes.append(Note("M005", said))
            return Field(key.name, value, f"{first} in {self.where}", stated=True)
        if stated:
            return Field(key.name, None, f"{present[0]} is null in {self.where}", stated=True)
        known, value = self.default(key.name)
        value = None if key.kind == "auto" and value == "auto" else value
        return Field(key.name, value, self.defaults.source if known else "absent")

    def default(self, key: str) -> tuple[bool, Any]:
        """Return whether the class has a default for a key, and the default."""
        known = [name for name in self.spellings(self._key(key)) if has(self.defaults.values, name)]
        values = (at(self.defaults.values, name) for name in known)
        return bool(known), next((v for v in values if v is not None), None)


def combine(name: str, values: Sequence[Any]) -> Any:
    """Combine the values of a card's expression; anything with an absent part is absent.

    A list, one value a layer, is combined layer by layer.

    >>> combine("times", [2, 3]), combine("ceil", [33, 16]), combine("first", [None, 4])
    (6, 3, 4)
    >>> combine("times", [2, [3, None, 5]])
    [6, None, 10]
    """
    if name == "first":
        return next((v for v in values if v is not None), None)
    if name not in COMBINATIONS:
        raise unknown_name("combination of a card", name, ("first", *COMBINATIONS))
    if any(v is None for v in values):
        return None
    lists = [v for v in values if isinstance(v, list)]
    if lists and name != "length":
        rows = ([v[k] if isinstance(v, list) else v for v in values] for k in range(len(lists[0])))
        return [combine(name, row) for row in rows]
    if name in ("over", "ceil") and not values[1]:
        raise SpecError(f"{values[0]} is divided by 0", hint="make the divisor more than 0")
    return COMBINATIONS[name](values)


COMBINATIONS: dict[str, Callable[[Sequence[Any]], Any]] = {
    "times": math.prod,
    "plus": sum,
    "over": lambda v: int(v[0] // v[1]),
    "ceil": lambda v: int(-(-v[0] // v[1])),
    "length": lambda v: len(v[0]),
}
"""What a card may do: product, sum, quotient rounded down or up, the length of a list."""
