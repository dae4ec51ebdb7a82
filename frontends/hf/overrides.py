"""``--set model.KEY=VALUE``: change a config before it is read, by its own keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from mansard.core.errors import SpecError, unknown_name
from mansard.frontends.hf.card_file import card_for
from mansard.frontends.hf.cards import Card
from mansard.frontends.hf.defaults import class_defaults
from mansard.frontends.hf.keys import Key, canonical_keys, show
from mansard.frontends.hf.read import RawConfig
from mansard.frontends.hf.schedule import Schedule
from mansard.frontends.hf.spans import expand_spans
from mansard.frontends.hf.wrapped import unwrapped, wrapper_of
from mansard.frontends.hf.wrapper_card import Wrapper

_ALWAYS = (
    "hidden_size", "num_hidden_layers", "num_attention_heads", "head_dim", "vocab_size",
    "max_position_embeddings", "tie_word_embeddings", "hidden_act", "dtype",
)  # fmt: skip
_TOKENS = {"k": 1024, "m": 1024**2}


def known_keys(card: Card) -> tuple[str, ...]:
    """Return the canonical keys a card reads, sorted."""
    read = {*_ALWAYS, *card.assumes, *_mentioned(card)}
    return tuple(sorted(read & set(canonical_keys())))


def apply_overrides(
    config: Mapping[str, Any], values: Mapping[str, str], where: str = "--set"
) -> dict[str, Any]:
    """Return the config with keys changed; the result is validated when it is read.

    Per-layer lists are repeated or cut to a new number of layers. A new ``dtype`` undoes the
    checkpoint's quantization.

    Args:
        config: the raw config.
        values: canonical keys, or any spelling of them, to the text the user wrote.
        where: what messages call the place the values came from.

    Raises:
        UnknownNameError: the card reads no such key.
        SpecError: the text is no value of the key's kind.
    """
    wrapper = wrapper_of(config)
    if wrapper is not None:
        return _inside(wrapper, config, values, where)
    card = card_for(config)
    changed = dict(config)
    for name, text in values.items():
        key = _find(card, name)
        for spelled in _spellings(card, key):
            changed.pop(spelled, None)
        changed[key.name] = key.check(_typed(key, text), where, name)
        if key.name == "dtype":
            changed.pop("quantization_config", None)
        if key.name == "num_hidden_layers" and changed[key.name]:
            changed.update(_fitted(card, changed, changed[key.name]))
    return changed


def _inside(
    wrapper: Wrapper, config: Mapping[str, Any], values: Mapping[str, str], where: str
) -> dict[str, Any]:
    """Return the config with keys of the language model it holds changed."""
    inner = unwrapped(RawConfig(where, config))[0].values
    changed = apply_overrides(inner, values, where)
    outer = {k: v for k, v in config.items() if k not in wrapper.at_top}
    kept = {k: changed.pop(k) for k in wrapper.at_top if k in changed}
    return {**outer, **kept, wrapper.text: changed}


def _mentioned(node: Any) -> Iterator[str]:
    match node:
        case str():
            yield node
        case Mapping():
            for value in node.values():
                yield from _mentioned(value)
        case _ if is_dataclass(node):
            for field in fields(node):
                if field.name not in ("names", "keys", "defaults", "defaults_from", "ignores"):
                    yield from _mentioned(getattr(node, field.name))


def _find(card: Card, name: str) -> Key:
    known = known_keys(card)
    spelled = {s: key for key in known for s in _spellings(card, canonical_keys()[key])}
    canonical = name if name in known else spelled.get(name)
    if canonical is None:
        raise unknown_name(f"key of a {card.model_type} config", name, known)
    return canonical_keys()[canonical]


def _spellings(card: Card, key: Key) -> tuple[str, ...]:
    mapped = class_defaults(card).attribute_map.get(key.name)
    return (*card.keys.get(key.name, ()), *((mapped,) if mapped else ()), key.name, *key.aliases)


def _typed(key: Key, text: str) -> Any:
    low = text.strip().lower()
    if low in ("null", "none"):
        return None
    try:
        match key.kind:
            case "size" | "count":
                scale = _TOKENS.get(low[-1:], 1)
                return int(low.rstrip("km") if scale > 1 else low) * scale
            case "number":
                return float(low)
            case "flag":
                return {"true": True, "false": False}.get(low, text)
            case "list":
                return [int(part) for part in low.strip("[]").replace(",", " ").split()]
        return text.strip()
    except ValueError as error:
        raise SpecError(
            f"{key.name}={show(text)} is no {key.kind}", hint="write a value"
        ) from error


def _fitted(card: Card, config: Mapping[str, Any], layers: int) -> dict[str, Any]:
    """Return the per-layer lists, stated or written as spans, repeated or cut to a new length."""
    fitted: dict[str, Any] = {}
    for schedule in _schedules(card):
        entries = config.get(schedule.list) if schedule.list else None
        if schedule.list and entries is None and schedule.spans:
            spans = config.get(schedule.spans) or class_defaults(card).values[schedule.spans]
            entries = expand_spans("config", schedule.spans, spans)
        if schedule.list and isinstance(entries, (list, tuple)) and entries:
            fitted[schedule.list] = [entries[i % len(entries)] for i in range(layers)]
    return fitted


def _schedules(card: Card) -> Iterator[Schedule]:
    yield from (card.attention.local, card.attention.layers, card.positions.rope, card.ffn.layers)
    yield from (part.layers for part in card.mixers.values())
    if card.moe is not None:
        yield card.moe.layers
