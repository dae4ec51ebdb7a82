"""The blocks of each layer, from a card's settings and a config's fields."""

from __future__ import annotations

from typing import Any

from mansard.core.errors import SpecError
from mansard.frontends.hf.activations import read_activation
from mansard.frontends.hf.architecture import Attention, SharedBlock
from mansard.frontends.hf.attentions import attentions
from mansard.frontends.hf.cards import Card
from mansard.frontends.hf.feed_forward import ChannelMix, Dense, Moe
from mansard.frontends.hf.fields import Fields
from mansard.frontends.hf.latent_mixers import Mixer
from mansard.frontends.hf.mixers import make_mixer
from mansard.frontends.hf.picks import picks
from mansard.frontends.hf.schedule import mentioned

Ffn = Dense | ChannelMix | Moe | None
Mixed = tuple[Attention | Mixer | None, Mixer | None]


def mixers(fields: Fields, card: Card, hidden: int, count: int) -> list[Mixed]:
    """Return each layer's mixer - a card's own, else attention - and the one beside it."""
    chosen: list[Attention | Mixer | None] = [None] * count
    also: list[Mixer | None] = [None] * count
    wanted = picks(card.attention.layers, fields, count)
    for kind, part in card.mixers.items():
        taken = picks(part.layers, fields, count)
        if any(taken):
            values = {name: fields.setting(setting) for name, setting in part.fields.items()}
            mixer = make_mixer(kind.partition(":")[0], values, fields.where)
            places: list[Any] = also if part.beside else chosen
            places[:] = [mixer if t else c for t, c in zip(taken, places, strict=True)]
    left = [w and c is None for w, c in zip(wanted, chosen, strict=True)]
    if any(left):
        own = attentions(fields, card, hidden, count)
        chosen = [a if free else c for a, c, free in zip(own, chosen, left, strict=True)]
    return list(zip(chosen, also, strict=True))


def shared_blocks(fields: Fields, card: Card, hidden: int, count: int) -> list[SharedBlock | None]:
    """Return the block each layer shares with others, the copies taken in turn."""
    if card.shared is None:
        return [None] * count
    users = [at for at, uses in enumerate(picks(card.shared.layers, fields, count)) if uses]
    blocks = int(fields.setting(card.shared.blocks))
    if not users:
        return [None] * count
    attention = attentions(fields, card, hidden, count)[0]
    activation = read_activation(fields, card)
    dense = _dense(fields, card, hidden, activation, count)[0]
    rank = fields.setting(card.shared.rank) or 0
    found: list[SharedBlock | None] = [None] * count
    for turn, at in enumerate(users):
        if isinstance(dense, Dense):
            found[at] = SharedBlock(users[turn % blocks], attention, dense, rank)
    return found


def ffns(fields: Fields, card: Card, hidden: int, count: int) -> list[tuple[Ffn, Moe | None]]:
    """Return each layer's feed-forward block, and the mixture of experts beside it."""
    dense_layers = picks(card.ffn.layers, fields, count)
    if card.moe is None and not any(dense_layers):
        return [(None, None)] * count
    activation = read_activation(fields, card) if card.ffn.kind == "mlp" else ""
    moes = _moes(fields, card, activation, count)
    if card.moe is not None:
        fields.touch("intermediate_size", *mentioned(card.ffn.width), *card.moe.layers.keys())
    beside = card.moe is not None and card.moe.beside
    needs = any(d and (m is None or beside) for d, m in zip(dense_layers, moes, strict=True))
    blocks: list[Any] = [None] * count
    if needs:
        blocks = list(_dense(fields, card, hidden, activation, count))
    made: list[tuple[Ffn, Moe | None]] = []
    for dense, moe, is_dense in zip(blocks, moes, dense_layers, strict=True):
        plain = dense if is_dense else None
        made.append((plain, moe) if beside else (moe or plain, None))
    return made


def _dense(
    fields: Fields, card: Card, hidden: int, activation: str, count: int
) -> list[Dense | ChannelMix]:
    spec, ratio = card.ffn, card.ffn.ratio
    rule = (ratio * hidden, f"{ratio} * hidden_size") if ratio else None
    chosen = fields.decide(spec.width)
    if not chosen:
        widths = [(ratio or 4) * hidden] * count
    elif isinstance(chosen, str):
        widths = fields.per_layer(chosen, count, rule)
    else:
        widths = [int(width or 0) for width in fields.setting_per_layer(chosen, count)]
    if spec.kind == "channel-mix":
        return [ChannelMix(w) for w in widths]
    up_bias, down_bias = fields.flag(spec.up_bias), fields.flag(spec.down_bias)
    rest = (fields.flag(spec.gated), activation, up_bias, down_bias, spec.fused, spec.sub_norm)
    return [Dense(w, *rest) for w in widths]


def _moes(fields: Fields, card: Card, activation: str, count: int) -> list[Moe | None]:
    """Return the mixture of each layer that has one."""
    if card.moe is None:
        return [None] * count
    spec, where = card.moe, fields.where
    sparse = picks(spec.layers, fields, count)
    if not any(sparse):
        fields.touch(spec.experts, spec.top_k, spec.width)
        return [None] * count
    experts = fields.per_layer(spec.experts, count, (0, "no experts: dense"))
    if not any(experts):
        return [None] * count
    top_k = fields.per_layer(spec.top_k, count)
    width = fields.per_layer(spec.width, count)
    shared = fields.setting(spec.shared_width) or 0
    found: list[Moe | None] = []
    for n, k, w, is_sparse in zip(experts, top_k, width, sparse, strict=True):
        if k > n and is_sparse and n:
            raise SpecError(
                f"{where}: {spec.top_k} is {k}, more than the {n} experts",
                hint=f"{spec.top_k} is at most {spec.experts}",
            )
        moe = Moe(
            n, k, w, activation, shared, spec.shared_gate and shared > 0, spec.gated, spec.fused,
            fields.flag(spec.router_bias), fields.flag(spec.expert_bias),
            fields.flag(spec.shared_bias), spec.shared_fused, spec.correction, spec.norm,
            spec.out_bias, spec.scales, fields.setting(spec.latent) or 0,
            fields.setting(spec.zero) or 0,
        )  # fmt: skip
        found.append(moe if is_sparse and n else None)
    return found
