"""Config to architecture: read the card's settings, check them against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mansard.core.errors import SpecError, unknown_name
from mansard.core.notes import Note
from mansard.frontends.hf.architecture import (
    AltUp,
    Architecture,
    LayerSpec,
    NormKind,
    PerLayer,
    PositionKind,
    Positions,
    Topology,
)
from mansard.frontends.hf.blocks import ffns, mixers, shared_blocks
from mansard.frontends.hf.card_file import card_for
from mansard.frontends.hf.cards import Card
from mansard.frontends.hf.fields import Fields
from mansard.frontends.hf.keys import show
from mansard.frontends.hf.picks import choice
from mansard.frontends.hf.quantization import read_quantization
from mansard.frontends.hf.read import RawConfig, read_config
from mansard.frontends.hf.wrapped import towers, unwrapped

DTYPES = {
    "bfloat16": "bf16", "bf16": "bf16", "float16": "fp16", "fp16": "fp16", "half": "fp16",
    "float32": "fp32", "fp32": "fp32", "float": "fp32",
}  # fmt: skip


def read_architecture(source: str | Path | Mapping[str, Any]) -> Architecture:
    """Read a config - file, folder, cached Hub id or mapping - and say what it means."""
    return resolve(read_config(source))


def resolve(config: RawConfig, cards: Mapping[str, Card] | None = None) -> Architecture:
    """Return the architecture a config describes.

    Raises:
        SpecError: a field is missing, of the wrong type, out of range, or contradicts another.
        UnknownNameError: no card carries the config's ``model_type``.
    """
    outer = config
    config, wrapper = unwrapped(outer)
    card = card_for(config.values, config.where, cards)
    fields = Fields(config, card)
    _check_assumptions(fields, card)
    hidden = fields.whole("hidden_size")
    norm = choice(fields, "norm", card.norm, NormKind)
    layers = _layers(fields, card, hidden, norm)
    quantization, said = read_quantization(config.values.get("quantization_config"), config.where)
    arch = Architecture(
        family=wrapper.model_type if wrapper else card.model_type,
        hidden=hidden,
        layers=layers,
        vocab=fields.whole("vocab_size"),
        positions=_positions(fields, card),
        tied=fields.flag("tie_word_embeddings"),
        embedding_width=fields.whole(str(card.embedding.width), (hidden, "hidden_size")),
        names=fields.decide(card.names).renamed(wrapper.rename if wrapper else ()),
        embedding_norm=card.embedding.norm,
        embedding_scale=card.embedding.scale,
        per_layer=_per_layer(fields, card),
        altup=_altup(fields, card),
        norm=norm,
        final_norm=norm if fields.flag(card.final_norm) else None,
        lm_head_bias=fields.flag(card.head.bias),
        final_softcap=fields.setting(card.head.softcap),
        max_context=fields.value("max_position_embeddings"),
        dtype=_dtype(fields),
        quantization=quantization,
    )
    found = (*towers(wrapper, outer), *_concerns(fields, card, config))
    notes = (*fields.notes, *said, *found)
    return replace(arch, provenance=fields.records(), notes=notes)


def _layers(fields: Fields, card: Card, hidden: int, norm: NormKind) -> tuple[LayerSpec, ...]:
    count = fields.setting(card.layers)
    if count is None:
        count = fields.whole("num_hidden_layers")  # missing, so it says so
    topology = choice(fields, "topology", card.topology, Topology)
    chosen = mixers(fields, card, hidden, count)
    blocks = ffns(fields, card, hidden, count)
    shared = shared_blocks(fields, card, hidden, count)
    seen: dict[LayerSpec, LayerSpec] = {}
    made = (
        LayerSpec(topology, norm, mixer, *ffn, also=also, shared=block)
        for (mixer, also), ffn, block in zip(chosen, blocks, shared, strict=True)
    )
    return tuple(seen.setdefault(layer, layer) for layer in made)


def _per_layer(fields: Fields, card: Card) -> PerLayer | None:
    width = fields.setting(card.embedding.per_layer)
    return PerLayer(width, fields.setting(card.embedding.per_layer_rows)) if width else None


def _altup(fields: Fields, card: Card) -> AltUp | None:
    streams = fields.setting(card.embedding.streams)
    return AltUp(streams, fields.setting(card.embedding.rank)) if streams else None


def _positions(fields: Fields, card: Card) -> Positions:
    kind = choice(fields, "positions", card.positions.kind, PositionKind)
    if kind != "learned":
        return Positions(kind)
    return Positions(kind, fields.whole("max_position_embeddings") + card.positions.offset)


def _dtype(fields: Fields) -> str:
    stated = fields.value("dtype")
    if stated is None or stated == "auto":
        return "bf16"
    name = str(stated).removeprefix("torch.")
    if name not in DTYPES:
        raise unknown_name(f"weight dtype in {fields.where}", name, DTYPES)
    return DTYPES[name]


def _check_assumptions(fields: Fields, card: Card) -> None:
    for key, wanted in card.assumes.items():
        value = fields.value(key)
        allowed = wanted if isinstance(wanted, list) else [wanted]
        if value is not None and value not in allowed:
            raise SpecError(
                f"{fields.where}: {key} is {show(value)}, which the {card.model_type} card has no"
                " block for",
                hint=f"only {' or '.join(map(repr, allowed))} is supported",
            )


def _concerns(fields: Fields, card: Card, config: RawConfig) -> list[Note]:
    found: list[Note] = []
    classes = config.values.get("architectures")
    if isinstance(classes, list) and classes and classes[0] not in card.architectures:
        said = f"architectures names {show(classes[0])}; read as {card.architectures[0]}"
        found.append(Note("M006", said))
    if fields.value("dtype") in (None, "auto"):
        found.append(Note("M002", "the config states no dtype; bf16 is assumed"))
    if unread := fields.unread():
        said = f"not understood by the {card.model_type} card, and ignored: {', '.join(unread)}"
        found.append(Note("M001", said))
    return found
