"""Attention that keeps less than keys and values of every token: latents, summaries."""

from __future__ import annotations

from typing import ClassVar

from mansard.core.records import dataclass


@dataclass(frozen=True)
class Mixer:
    """Base of the kinds; ``kind`` is what a card calls it."""

    kind: ClassVar[str]


@dataclass(frozen=True)
class Mla(Mixer):
    """Multi-head latent attention: keys and values are expanded from a cached latent.

    Args:
        rank: width of the latent.
        nope, rope: width of a head's query without and with rotary positions.
        value: width of a head's value.
        q_rank: width of the queries' own latent; 0 projects them directly.
        index_heads, index_dim, index_keys: of the indexer that picks keys; 0 heads is none, and
            keys that are picked all the same are those of an earlier layer's indexer, whose
            indices (4 bytes each) are not counted again.
        window: how many keys a query sees, itself included; 0 sees all.
        gate: a linear makes a number a head, whose sigmoid scales what attention returns;
            ``gate_full`` makes one an element.
        sinks: a learned logit a head joins each row's sum.
        rope_norm: the rotary part of keys has a norm.
    """

    kind = "mla"
    heads: int
    rank: int
    nope: int
    rope: int
    value: int
    q_rank: int = 0
    bias: bool = False
    index_heads: int = 0
    index_dim: int = 0
    index_keys: int = 0
    window: int = 0
    gate: bool = False
    gate_full: bool = False
    sinks: bool = False
    rope_norm: bool = False

    @property
    def query(self) -> int:
        """Width of a head's query."""
        return self.nope + self.rope


@dataclass(frozen=True)
class Compressed(Mixer):
    """One key head that is the value too: a window of tokens, and summaries of those before.

    Args:
        head_dim: of every head, of which ``rope`` rotate.
        q_rank: width of the queries' latent.
        groups: of heads, each projected to ``rank`` before the output's projection.
        window: how many tokens a query sees, itself included.
        stride: tokens a summary stands for; 0 has none.
        overlap: a summary is of its own tokens and of those of the one before.
        index_heads, index_dim, index_keys: of the indexer that picks summaries; 0 heads is none.
    """

    kind = "compressed"
    heads: int
    head_dim: int
    rope: int
    q_rank: int
    groups: int
    rank: int
    window: int
    stride: int = 0
    overlap: bool = False
    index_heads: int = 0
    index_dim: int = 0
    index_keys: int = 0
