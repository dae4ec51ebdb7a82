"""Configs that hold a language model: its own config is taken out, the other parts are named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

from mansard.core.errors import SpecError
from mansard.core.notes import Note
from mansard.frontends.hf.architecture import Architecture
from mansard.frontends.hf.card_file import builtin_cards, builtin_wrappers
from mansard.frontends.hf.keys import canonical_keys, show
from mansard.frontends.hf.read import RawConfig
from mansard.frontends.hf.wrapper_card import TowerPart, Wrapper

NESTS = ("text_config", "llm_config", "language_config")
"""Keys under which published configs keep a language model."""


def unwrapped(config: RawConfig) -> tuple[RawConfig, Wrapper | None]:
    """Return the language model's config and what it was wrapped in; itself where in nothing.

    Raises:
        SpecError: the wrapper holds no language model.
    """
    wrapper = wrapper_of(config.values)
    if wrapper is None:
        return config, None
    inner = config.values.get(wrapper.text)
    if inner is None:
        rest = {k: v for k, v in config.values.items() if k not in wrapper.towers}
        kind = {"model_type": wrapper.absent} if wrapper.absent else _type(wrapper, {})
        return RawConfig(config.where, {**rest, **kind}), wrapper
    if not isinstance(inner, Mapping):
        raise SpecError(
            f"{config.where}: {wrapper.text} is {show(inner)}", hint="write an object of its keys"
        )
    top = {k: config.values[k] for k in wrapper.at_top if config.values.get(k) is not None}
    dtype = {k: config.values[k] for k in ("dtype", "torch_dtype") if k in config.values}
    if not {"dtype", "torch_dtype"} & set(inner):
        top |= dtype
    return RawConfig(config.where, {**inner, **_type(wrapper, inner), **top}), wrapper


def wrapper_of(values: Mapping[str, Any]) -> Wrapper | None:
    """Return the wrapper of a config's ``model_type``, or of its class.

    It is a plain one where the config nests its own kind.
    """
    kind = values.get("model_type")
    if not isinstance(kind, str):
        return None
    if kind in builtin_wrappers():
        return builtin_wrappers()[kind]
    nest = next((key for key in NESTS if isinstance(values.get(key), Mapping)), None)
    if nest is None or kind not in builtin_cards():
        return None
    classes = values.get("architectures")
    if (
        isinstance(classes, list)
        and classes
        and classes[0] not in builtin_cards()[kind].architectures
    ):
        for whole in builtin_wrappers().values():
            if classes[0] in whole.architectures and whole.text == nest:
                return whole
    return Wrapper(kind, builtin_cards()[kind].architectures, nest, kind)


def dropped(wrapper: Wrapper | None, config: RawConfig, read: Set[str]) -> Iterator[Note]:
    """Yield a note where what is ``read`` of a nested config is also said, otherwise, beside it."""
    if wrapper is None or wrapper.model_type in builtin_wrappers():
        return
    top, inner = config.values, config.values[wrapper.text]
    counted = {*wrapper.at_top, "dtype", "torch_dtype", "model_type"}
    keys = (canonical_keys()[name] for name in canonical_keys() if name in read)
    known = (name for key in keys for name in (key.name, *key.aliases) if name not in counted)
    stated = (name for name in known if top.get(name) is not None)
    lost = [k for k in dict.fromkeys(stated) if inner.get(k) != top[k]]
    kinds = (wrapper.model_type, inner.get("model_type") or wrapper.model_type)
    if lost or kinds[0] != kinds[1]:
        rest = f", and what stands beside it does not: {', '.join(lost)}" if lost else ""
        said = f"model_type is {kinds[0]}, but {wrapper.text} is a {show(kinds[1])} and counts"
        said = said if kinds[0] != kinds[1] else f"{wrapper.text} counts"
        yield Note("M005", said + rest)


def alone(wrapper: Wrapper | None, config: RawConfig, inner: Sequence[str]) -> bool:
    """Say whether the config of a whole model names the class of its language model alone."""
    classes = config.values.get("architectures")
    if wrapper is None or not isinstance(classes, list) or not classes:
        return False
    return classes[0] in inner and classes[0] not in wrapper.architectures


def towers(
    wrapper: Wrapper | None, config: RawConfig, lowered: Sequence[TowerPart] = ()
) -> Iterator[Note]:
    """Yield a note for each part of the model that is not lowered or not described."""
    seen = {key for part in lowered for key in (part.key, *part.beside)}
    for key in wrapper.towers if wrapper else ():
        if config.values.get(key) and key not in seen:
            yield Note("M007", f"{key}: only the language model is lowered")
    eyes = wrapper.towers[:1] if wrapper and wrapper.model_type in builtin_wrappers() else ()
    for key in eyes:
        if config.values.get(key) is None and key not in seen:
            yield Note("M007", f"{key} is not stated: only the language model is lowered")


def tower_config(
    part: TowerPart, config: RawConfig, arch: Architecture
) -> tuple[RawConfig, str] | None:
    """Return the config of the part that sees or hears, and the name of its card.

    It says the dtype where its own states none, and what it reads of the whole model.

    Raises:
        SpecError: it is no object.
    """
    inner, cards = config.values.get(part.key), part.cards
    if inner is None:
        if not part.default:
            return None
        inner = {}
        if part.absent:
            cards = {part.absent: part.absent}
    if not isinstance(inner, Mapping):
        raise SpecError(
            f"{config.where}: {part.key} is {show(inner)}", hint="write an object of its keys"
        )
    kind = _stated_type(inner, f"{config.where}: {part.key}") or next(iter(cards))
    if kind not in cards:
        return None
    known = {key: config.values[key] for key in part.reads if key in config.values}
    own = {"dtype": arch.dtype, **known, "language_hidden_size": arch.hidden}
    where = f"{config.where}: {part.key}"
    return RawConfig(where, {**own, **inner, "model_type": kind}), cards[kind]


def _stated_type(inner: Mapping[str, Any], where: str) -> str:
    """Return the ``model_type`` of a config inside another; empty where it states none."""
    kind = inner.get("model_type") or ""
    if not isinstance(kind, str):
        raise SpecError(f"{where}.model_type is {show(kind)}", hint="write a family's name")
    return kind


def _type(wrapper: Wrapper, inner: Mapping[str, Any]) -> dict[str, str]:
    kind = _stated_type(inner, wrapper.text)
    if kind in wrapper.texts:
        return {"model_type": wrapper.texts[kind]}
    stated = kind in builtin_cards()
    if not wrapper.inner or (stated and not wrapper.fixed):
        return {}
    return {"model_type": wrapper.inner}
