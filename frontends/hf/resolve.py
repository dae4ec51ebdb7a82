"""Config to architecture: read the card's settings, check them against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mansard.core.errors import SpecError, unknown_name
from mansard.frontends.hf.agreement import check_agreement
from mansard.frontends.hf.architecture import (
    Architecture,
    LayerSpec,
    NormKind,
    Scaled,
    Topology,
)
from mansard.frontends.hf.blocks import ffns, mixers, shared_blocks
from mansard.frontends.hf.card_file import builtin_cards, card_for
from mansard.frontends.hf.cards import Card
from mansard.frontends.hf.concerns import assumed, concerns
from mansard.frontends.hf.ends import AltUp, Hyper, PerLayer, PositionKind, Positions
from mansard.frontends.hf.fields import Fields
from mansard.frontends.hf.keys import show
from mansard.frontends.hf.mixers import Cross
from mansard.frontends.hf.parts import cross_of, head_of, stem_of, transform_of
from mansard.frontends.hf.paths import LIST
from mansard.frontends.hf.picks import choice, picks
from mansard.frontends.hf.quantization_methods import read_quantization
from mansard.frontends.hf.read import RawConfig, read_config
from mansard.frontends.hf.tensor_names import moved
from mansard.frontends.hf.wrapped import alone, dropped, tower_config, towers, unwrapped
from mansard.frontends.hf.wrapper_card import TowerPart, Wrapper

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
    if card.part_of and wrapper is None:
        raise SpecError(
            f"{config.where}: {card.model_type} is a part of {card.part_of}, not a model",
            hint=f"give the whole config, the one of {card.part_of}",
        )
    if alone(wrapper, outer, card.architectures):
        wrapper = None
    fields = Fields(config, card)
    encoder, read = None, [fields]
    if card.encoder:
        beside = Fields(config, (cards or builtin_cards())[card.encoder])
        encoder = _stack(beside, config, wrapper)
        fields.share(beside)
        read.append(beside)
    arch = _stack(fields, config, wrapper)
    seen = _tower(wrapper.vision if wrapper else None, outer, arch, cards)
    heard = _tower(wrapper.audio if wrapper else None, outer, arch, cards)
    made = [part for part in (seen, heard) if part]
    keys = {field.key for field in fields.records()}
    said = (*dropped(wrapper, outer, keys), *towers(wrapper, outer, [part for _, part in made]))
    notes = (*arch.notes, *said, *(note for tower, _ in made for note in tower.notes))
    known = (*card.architectures, *(wrapper.architectures if wrapper else ()))
    notes = (*notes, *assumed(read), *concerns(fields, known, config))
    return replace(
        arch,
        encoder=encoder,
        vision=seen[0] if seen else None,
        audio=heard[0] if heard else None,
        notes=tuple(dict.fromkeys(notes)),
    )


def _stack(fields: Fields, config: RawConfig, wrapper: Wrapper | None) -> Architecture:
    """Return one stack of layers with what stands before and after it."""
    card = fields.card
    _check_assumptions(fields, card)
    check_agreement(Fields(config, card))  # apart: what is compared alone is no fact of the model
    hidden = fields.whole(str(card.hidden))
    norm = choice(fields, "norm", card.norm, NormKind)
    layers = _layers(fields, card, hidden, norm)
    quantization, said = read_quantization(_block(fields, config), config.where)
    stem = stem_of(fields)
    tokens = stem is None
    wide = fields.whole(str(card.embedding.width), (hidden, "hidden_size")) if tokens else hidden
    arch = Architecture(
        family=wrapper.model_type if wrapper else card.class_of or card.model_type,
        hidden=hidden,
        layers=layers,
        vocab=fields.whole("vocab_size") if tokens else 0,
        positions=_positions(fields, card) if tokens else Positions("none"),
        tied=fields.flag(card.head.tied),
        embedding_width=wide,
        names=fields.decide(card.names).renamed(wrapper.rename if wrapper else ()),
        embedding_norm=card.embedding.norm,
        embedding_scale=fields.flag(card.embedding.scale),
        per_layer=_per_layer(fields, card),
        altup=_altup(fields, card),
        hyper=_hyper(fields, card),
        norm=norm,
        final_norm=norm if fields.flag(card.final_norm) else None,
        lm_head_bias=fields.flag(card.head.bias),
        transform=transform_of(fields, wide),
        final_softcap=fields.setting(card.head.softcap),
        max_context=_max_context(fields, card) if tokens else None,
        dtype=_dtype(fields),
        mtp_layers=fields.value("num_nextn_predict_layers") or 0,
        quantization=quantization,
        stem=stem,
        types=fields.setting(card.embedding.types) or 0,
        spare=fields.setting(card.embedding.spare) or 0,
        project_last=card.embedding.project_last,
        codebooks=fields.setting(card.embedding.codebooks),
        head=head_of(fields),
        start=card.start,
        stored=tuple((n, tuple(map(fields.setting, s))) for n, s in card.stored.items()),
    )
    return replace(arch, provenance=fields.records(), notes=(*fields.notes, *said))


def _block(fields: Fields, config: RawConfig) -> Any:
    """Return what says how a checkpoint is stored; its experts' dtype may stand beside it."""
    block, experts = config.values.get("quantization_config"), fields.value("expert_dtype")
    return {"expert_dtype": experts, **block} if experts and isinstance(block, Mapping) else block


def _tower(
    part: TowerPart | None, outer: RawConfig, arch: Architecture, cards: Mapping[str, Card] | None
) -> tuple[Architecture, TowerPart] | None:
    """Return the part that sees, or hears; ``None`` where there is none, or none is described."""
    found = None if part is None else tower_config(part, outer, arch)
    if found is None or part is None:
        return None
    config, name = found
    known = cards or builtin_cards()
    fields = Fields(config, known[name])
    below = None
    if fields.card.encoder:
        inner = Fields(config, known[fields.card.encoder])
        below = renamed(_stack(inner, config, None), part.rename)
        fields.share(inner)
    made = renamed(_stack(fields, config, None), part.rename)
    notes = (*made.notes, *assumed([fields]), *concerns(fields, fields.card.architectures, config))
    return replace(made, encoder=below, notes=notes), part


def renamed(arch: Architecture, rules: tuple[tuple[str, str], ...]) -> Architecture:
    """Return a stack as its tensors are named inside another model."""
    stored = tuple((moved(name, rules), shape) for name, shape in arch.stored)
    return replace(arch, names=arch.names.renamed(rules), stored=stored)


def _layers(fields: Fields, card: Card, hidden: int, norm: NormKind) -> tuple[LayerSpec, ...]:
    count = fields.setting(card.layers)
    if count is None:
        count = fields.whole("num_hidden_layers")  # missing, so it says so
    topology = choice(fields, "topology", card.topology, Topology)
    scaled = choice(fields, "scaled", card.scaled, Scaled)
    cross = cross_of(fields)
    bare = picks(card.unnormed, fields, count)
    branched = picks(card.branched, fields, count)
    chosen = mixers(fields, card, hidden, count)
    blocks = ffns(fields, card, hidden, count)
    shared = shared_blocks(fields, card, hidden, count)
    seen: dict[LayerSpec, LayerSpec] = {}
    made = (
        LayerSpec(
            "branch" if after else topology, norm, mixer, *ffn, also=also, shared=block,
            cross=cross, attn_norm=not plain,
            scaled="gate" if isinstance(mixer, Cross) and mixer.gated else scaled,
        )
        for (mixer, also), ffn, block, plain, after in zip(
            chosen, blocks, shared, bare, branched, strict=True
        )
    )  # fmt: skip
    return tuple(seen.setdefault(layer, layer) for layer in made)


def _per_layer(fields: Fields, card: Card) -> PerLayer | None:
    width = fields.setting(card.embedding.per_layer)
    return PerLayer(width, fields.setting(card.embedding.per_layer_rows)) if width else None


def _altup(fields: Fields, card: Card) -> AltUp | None:
    streams = fields.setting(card.embedding.streams)
    return AltUp(streams, fields.setting(card.embedding.rank)) if streams else None


def _hyper(fields: Fields, card: Card) -> Hyper | None:
    if card.hyper is None:
        return None
    return Hyper(fields.setting(card.hyper.streams), fields.setting(card.hyper.iterations) or 0)


def _positions(fields: Fields, card: Card) -> Positions:
    kind = choice(fields, "positions", card.positions.kind, PositionKind)
    if kind != "learned":
        return Positions(kind)
    return Positions(kind, fields.whole(str(card.positions.rows)) + card.positions.offset)


def _max_context(fields: Fields, card: Card) -> int | None:
    stated = fields.value(str(card.positions.rows))
    return None if stated is None else stated - card.positions.reserved


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
        stated = value if key.partition(".")[0].endswith(LIST) else [value]
        for other in (v for v in stated or () if v is not None and v not in allowed):
            raise SpecError(
                f"{fields.where}: {key} is {show(other)}, which the {card.model_type} card has no"
                " block for",
                hint=f"only {' or '.join(map(repr, allowed))} is supported",
            )
