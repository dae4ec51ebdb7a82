"""What kind of model a config describes, in the words people search by."""

from __future__ import annotations

from mansard.core.errors import MansardError
from mansard.frontends.hf.card_file import card_for
from mansard.frontends.hf.cards import Card
from mansard.frontends.hf.diffusion.config import is_diffusion
from mansard.frontends.hf.read import RawConfig
from mansard.frontends.hf.schedule import Schedule
from mansard.frontends.hf.wrapped import unwrapped

_STATES = frozenset(
    {"mamba1", "mamba2", "gated_delta", "lightning", "short_conv", "rg_lru", "rwkv"}
)


def kind_words(config: RawConfig) -> tuple[str, ...]:
    """Return words such as ``moe``, ``mla``, ``hybrid``; no graph is made and no sympy imported."""
    if is_diffusion(config.values):
        return ("diffusion",)
    try:
        inner, wrapper = unwrapped(config)
        card = card_for(inner.values, inner.where)
    except MansardError:
        return ()
    found = card_words(card)
    if wrapper is not None and any(config.values.get(key) for key in wrapper.towers):
        found = (*found, "multimodal")
    return found or ("dense",)


def card_words(card: Card) -> tuple[str, ...]:
    """Return the words of what a family's layers have besides attention and a dense block."""
    found: list[str] = []
    stateful = [kind for kind in card.mixers if kind in _STATES]
    if card.moe is not None and card.moe.layers != Schedule():
        found.append("moe")
    if "mla" in card.mixers:
        found.append("mla")
    if stateful:
        mixed = "mla" in card.mixers or card.attention.layers != Schedule()
        found += ["hybrid" if mixed else "ssm", *stateful]
    return tuple(found)
