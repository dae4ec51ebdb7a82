"""Wrappers: a ``model_type`` that holds a language model beside other parts, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from mansard.core.records import dataclass


@dataclass(frozen=True)
class TowerPart:
    """The part of a model that sees, or hears; see ``Wrapper``."""

    cards: Mapping[str, str]
    key: str = "vision_config"
    reads: tuple[str, ...] = ()
    default: bool = False
    absent: str = ""
    beside: tuple[str, ...] = ()
    rename: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Wrapper:
    """A ``model_type`` around a language model: which key holds it and how its tensors are named.

    Args:
        text: the config's key; where it is absent the language model's keys stand at the top.
        inner: the language model's ``model_type`` where its own config states none, or whatever
            it states where ``fixed``.
        texts: the card of a language model's ``model_type`` where it is another in here.
        absent: the language model's ``model_type`` where its config is left out, and the class
            makes another than ``inner``.
        rename: (how a tensor's path begins, how it does in the whole model), first match counts.
        towers: keys of the other parts, which are not lowered unless ``vision`` or ``audio``
            names them.
        vision: of the part that sees: the key of its config, the card of each model_type that may
            stand there (the first is what it is unless it says so), the keys of the whole model it
            reads, and how its tensors are named; if ``default`` its class makes one where the
            config states none, of card ``absent`` where that is another; keys ``beside`` it say
            what it does anyway.
        audio: the same of the part that hears.
        at_top: keys that count at the top before those of the language model.
    """

    model_type: str
    architectures: tuple[str, ...]
    text: str = "text_config"
    inner: str = ""
    fixed: bool = False
    texts: Mapping[str, str] = field(default_factory=dict)
    absent: str = ""
    rename: tuple[tuple[str, str], ...] = ()
    towers: tuple[str, ...] = ("vision_config", "audio_config")
    vision: TowerPart | None = None
    audio: TowerPart | None = None
    at_top: tuple[str, ...] = ("tie_word_embeddings", "quantization_config")
