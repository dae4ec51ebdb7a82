"""Card files: TOML to cards with single inheritance; ``card_for(config)`` picks one."""

from __future__ import annotations

import dataclasses
import functools
from collections import ChainMap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, cast

from mansard.core.errors import SpecError, unknown_name
from mansard.frontends.hf.card_text import Lazy, own_text, read_toml, tables
from mansard.frontends.hf.cards import (
    AttentionCard,
    Card,
    EmbeddingCard,
    FfnCard,
    HeadCard,
    HyperCard,
    MixerCard,
    MoeCard,
    PositionsCard,
    SharedCard,
    StemCard,
)
from mansard.frontends.hf.schedule import RULES, Schedule
from mansard.frontends.hf.tensor_names import Names
from mansard.frontends.hf.wrapper_card import TowerPart, Wrapper

TABLES = ("card", "names", "wrapper")
"""What a card file may hold."""
TOP_ROLES = frozenset(
    {"embed", "positions", "embed_norm", "project_in", "project_out", "final_norm", "lm_head",
     "lm_bias", "lm_transform", "lm_norm", "per_layer_embed", "per_layer_projection",
     "per_layer_norm", "altup_in", "altup_out", "hyper_head"}
)  # fmt: skip

HEAD_ROLES = frozenset({"lm_head", "lm_bias", "lm_transform", "lm_norm"})
"""Those a head stores, beside the stack that lies ``within`` a module."""

NEW_FAMILY = (
    "`mansard models families` lists those known; one of its own needs a card, a few lines of TOML:"
    " docs/add-a-model.md"
)


def card_for(
    config: Mapping[str, Any], where: str = "config", cards: Mapping[str, Card] | None = None
) -> Card:
    """Return the card of the config's ``model_type``, else of its first architecture.

    Raises:
        UnknownNameError: no card carries the name; the nearest are the hint.
        SpecError: the config names neither.
    """
    known = builtin_cards() if cards is None else cards
    model_type, classes = config.get("model_type"), config.get("architectures")
    if model_type is not None:
        if not isinstance(model_type, str):
            raise SpecError(
                f"{where}: model_type is {model_type!r}", hint="write a model family's name"
            )
        if model_type not in known or known[model_type].class_of:
            whole = (n for n, card in known.items() if not (card.class_of or card.part_of))
            raise unknown_name("card for model_type", model_type, whole, see=NEW_FAMILY)
        return _of_class(known[model_type], classes, known)
    if isinstance(classes, list) and classes and isinstance(classes[0], str):
        others = {name: card for card in known.values() for name in card.architectures[1:]}
        by_class = others | {c.architectures[0]: c for c in known.values() if c.architectures}
        if classes[0] not in by_class:
            raise unknown_name("architecture with a card", classes[0], by_class, see=NEW_FAMILY)
        return by_class[classes[0]]
    raise SpecError(
        f"{where}: neither model_type nor architectures says which family this is",
        hint='add "model_type", for example "llama"',
    )


def _of_class(card: Card, classes: Any, known: Mapping[str, Card]) -> Card:
    """Return the card of another class of its model type, where the config names that class."""
    named = classes[0] if isinstance(classes, list) and classes else None
    if named is None or named in card.architectures:
        return card
    others = (other for other in known.values() if other.class_of == card.model_type)
    return next((other for other in others if named in other.architectures), card)


_ADDED: ContextVar[tuple[tuple[str, str], ...]] = ContextVar("added", default=())


@contextmanager
def adding(texts: Mapping[str, str]) -> Iterator[None]:
    """Let cards of plugins count beside mansard's own, while the context lasts.

    They may inherit from them, and must not have their names.
    """
    token = _ADDED.set(tuple(texts.items()))
    try:
        yield
    finally:
        _ADDED.reset(token)


def builtin_cards() -> Mapping[str, Card]:
    """Return mansard's own cards, and those added, by ``model_type``."""
    return _known(_ADDED.get())[0]


def builtin_wrappers() -> Mapping[str, Wrapper]:
    """Return mansard's own wrappers, and those added, by ``model_type``."""
    return _known(_ADDED.get())[1]


@functools.cache
def _known(added: tuple[tuple[str, str], ...]) -> tuple[Mapping[str, Card], Mapping[str, Wrapper]]:
    data: dict[str, Mapping[str, Any]] = dict(tables(own_text(), "cards"))
    for where, text in added:
        for kind, more in read_toml(text, where).items():
            if kind not in TABLES:
                raise unknown_name(f"kind of table in {where}", kind, TABLES)
            known = data.get(kind, {})
            for name in more:
                if name in known:
                    raise SpecError(
                        f"{where}: {kind}.{name} is mansard's own, or another plugin's",
                        hint="give it the model_type of a family that has no card yet",
                    )
            data[kind] = ChainMap(more, cast(Any, known))
    cards, names, wrappers = (data.get(kind, {}) for kind in TABLES)
    return (
        Lazy(cards, lambda name: _card_of(name, cards, names, "cards")),
        Lazy(wrappers, lambda name: _wrapper(name, wrappers[name], "cards")),
    )


def parse_cards(text: str, where: str) -> Mapping[str, Card]:
    """Read cards from TOML; the file's own ``names`` sets and bases are resolved in it."""
    data = read_toml(text, where)
    cards, names = data.get("card", {}), data.get("names", {})
    return MappingProxyType({name: _card_of(name, cards, names, where) for name in cards})


def _card_of(name: str, cards: Mapping[str, Any], names: Mapping[str, Any], where: str) -> Card:
    return _card(name, _inherit(cards, name, where), names, where)


def _wrapper(name: str, table: Mapping[str, Any], where: str) -> Wrapper:
    here = f"{where}: wrapper.{name}"
    values = {"model_type": name, **table, **_lists(table)}
    for key in ("vision", "audio"):
        if tower := table.get(key):
            part = {"key": f"{key}_config", **tower, **_lists(tower)}
            values[key] = _build(TowerPart, part, f"{here}.{key}")
    made: Wrapper = _build(Wrapper, values, here)
    return made


def _lists(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(map(_tuple, v)) for key, v in table.items() if isinstance(v, list)}


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _inherit(tables: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    chain: list[str] = []
    current: str | None = name
    while current is not None:
        if current not in tables:
            raise unknown_name(f"base in {where}", current, tables)
        if current in chain:
            raise SpecError(
                f"{where}: {name!r} inherits from itself", hint="break the cycle of bases"
            )
        chain.append(current)
        current = tables[current].get("base")
    merged: dict[str, Any] = {}
    for step in reversed(chain):
        merged = _merge(merged, tables[step])
    merged.pop("base", None)
    return merged


def _merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Override key by key; a condition or a schedule's rule replaces the whole old value."""
    result = dict(old)
    for key, value in new.items():
        before = result.get(key)
        whole = isinstance(value, dict) and ("if" in value or "rule" in value)
        both = isinstance(before, dict) and isinstance(value, dict) and "if" not in before
        result[key] = _merge(before, value) if both and not whole and before is not None else value
    return result


def _card(name: str, table: dict[str, Any], names: Mapping[str, Any], where: str) -> Card:
    here = f"{where}: card.{name}"
    chosen = table.pop("names", name)
    parts: dict[str, Any] = {
        "positions": PositionsCard,
        "attention": AttentionCard,
        "ffn": FfnCard,
        "moe": MoeCard,
        "shared": SharedCard,
        "embedding": EmbeddingCard,
        "head": HeadCard,
        "hyper": HyperCard,
    }
    built = {
        key: _part(cls, table.pop(key), f"{here}.{key}")
        for key, cls in parts.items()
        if key in table
    }
    for key in ("architectures", "ignores"):
        table[key] = tuple(table.get(key, ()))
    table["kinds"] = {key: tuple(words) for key, words in table.get("kinds", {}).items()}
    table["mixers"] = {
        kind: _mixer(part, f"{here}.mixers.{kind}")
        for kind, part in table.get("mixers", {}).items()
        if part
    }
    table["checks"] = {key: check for key, check in table.get("checks", {}).items() if check}
    if cross := table.pop("cross", None):
        table["cross"] = _mixer(cross, f"{here}.cross")
    if stem := table.pop("stem", None):
        rest = {key: value for key, value in stem.items() if key != "kind"}
        table["stem"] = StemCard(stem.get("kind", ""), MappingProxyType(rest))
    for key in ("unnormed", "branched"):
        if key in table:
            table[key] = _schedule(table[key], f"{here}.{key}")
    table["keys"] = {key: tuple(spelled) for key, spelled in table.get("keys", {}).items()}
    named = _named(chosen, names, where)
    card: Card = _build(Card, {"model_type": name, "names": named, **table, **built}, here)
    return card


def _named(chosen: Any, names: Mapping[str, Any], where: str) -> Any:
    """Return the set of names that is called so; of a condition, the same with its branches."""
    if isinstance(chosen, Mapping):
        branches = {key: _named(chosen[key], names, where) for key in ("then", "else")}
        return {**chosen, **branches}
    return _names(_inherit(names, chosen, where))


def _mixer(table: Mapping[str, Any], here: str) -> MixerCard:
    settings = {key: value for key, value in table.items() if key not in ("layers", "beside")}
    layers = _schedule(table.get("layers", {"rule": "always"}), f"{here}.layers")
    return MixerCard(MappingProxyType(settings), layers, table.get("beside", False))


def _schedule(table: Mapping[str, Any], here: str) -> Schedule:
    if table.get("rule", "never") not in RULES:
        raise unknown_name(f"rule in {here}", table["rule"], RULES)
    made: Schedule = _build(Schedule, {**table, "values": tuple(table.get("values", ()))}, here)
    return made


def _part(cls: type, table: dict[str, Any], here: str) -> Any:
    for key in ("rope", "local", "layers", "indexed"):
        if key in table:
            table = {**table, key: _schedule(table[key], f"{here}.{key}")}
    return _build(cls, table, here)


def _build(cls: type, values: Mapping[str, Any], here: str) -> Any:
    known = {f.name for f in dataclasses.fields(cls)}
    for key in values:
        if key not in known:
            raise unknown_name(f"field of {here}", key, known)
    try:
        return cls(**values)
    except TypeError as error:
        raise SpecError(f"{here}: {error}", hint="see the head of cards/llama.toml") from error


def _names(table: dict[str, Any]) -> Names:
    input_major, blocks = (frozenset(table.pop(key, ())) for key in ("input_major", "blocks"))
    layer, top, within = table.pop("layer"), table.pop("top", {}), table.pop("within", "")
    paths = {role: path if role in TOP_ROLES else f"{layer}.{path}" for role, path in table.items()}
    paths |= top
    paths = {role: path if role in HEAD_ROLES else within + path for role, path in paths.items()}
    return Names(MappingProxyType(paths), input_major, blocks)
