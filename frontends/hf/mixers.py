"""What stands in attention's place: latent attention, state spaces, linear attention, convolutions.

A card names a kind and says where each field is read; each kind's lowering is a module of its own.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from mansard.core.errors import SpecError, unknown_name
from mansard.core.records import dataclass
from mansard.frontends.hf.latent_mixers import Compressed, Mixer, Mla


@dataclass(frozen=True)
class Mamba1(Mixer):
    """A selective state space: ``state`` numbers for each of ``inner`` channels.

    Args:
        taps: of the short convolution.
        rank: of the projection that makes the time step.
        norms: the time step, B and C are normalized (Jamba).
        heads: blocks of channels, each with a time step, B and C made of its own (Zamba).
    """

    kind = "mamba1"
    inner: int
    state: int
    taps: int
    rank: int
    conv_bias: bool = True
    bias: bool = False
    norms: bool = False
    heads: int = 1

    @property
    def conv_width(self) -> int:
        """Channels of the convolution."""
        return self.inner


@dataclass(frozen=True)
class Mamba2(Mixer):
    """A state space with one decay a head: ``head_dim · state`` numbers for each of ``heads``."""

    kind = "mamba2"
    heads: int
    head_dim: int
    state: int
    groups: int
    taps: int
    conv_bias: bool = True
    bias: bool = False
    norm: bool = True
    chunk: int = 256

    @property
    def inner(self) -> int:
        """Channels of all heads."""
        return self.heads * self.head_dim

    @property
    def conv_width(self) -> int:
        """Channels of the convolution: x, B and C."""
        return self.inner + 2 * self.groups * self.state


@dataclass(frozen=True)
class GatedDelta(Mixer):
    """A gated delta net: a ``key_dim · value_dim`` matrix for each of ``value_heads``.

    Args:
        fused: q, k, v and the gate z are one projection, the two scalars a head another.
        gate_rank: width through which decay and output gate are projected; 0 is one scalar a head
            for the decay, and z (Kimi Delta Attention has a decay a channel).
        split: q, k and v are projections of their own.
        channels: the decay is one a channel, projected directly.
    """

    kind = "gated_delta"
    key_heads: int
    value_heads: int
    key_dim: int
    value_dim: int
    taps: int
    fused: bool = True
    gate_rank: int = 0
    split: bool = False
    channels: bool = False

    @property
    def per_channel(self) -> bool:
        """Whether every channel has a decay of its own."""
        return self.channels or self.gate_rank > 0

    @property
    def keys(self) -> int:
        """Width of all queries, and of all keys."""
        return self.key_heads * self.key_dim

    @property
    def values(self) -> int:
        """Width of all values."""
        return self.value_heads * self.value_dim

    @property
    def conv_width(self) -> int:
        """Channels of the convolution: q, k and v."""
        return 2 * self.keys + self.values


@dataclass(frozen=True)
class Mlstm(Mixer):
    """xLSTM's matrix memory: ``value_dim · key_dim`` numbers a head, with exponential gates."""

    kind = "mlstm"
    heads: int
    key_dim: int
    value_dim: int
    bias: bool = False
    chunk: int = 64


@dataclass(frozen=True)
class Lightning(Mixer):
    """Linear attention with a fixed decay a head, a norm and an output gate."""

    kind = "lightning"
    heads: int
    head_dim: int
    chunk: int = 256


@dataclass(frozen=True)
class ShortConv(Mixer):
    """A gated convolution of a few taps: ``C · conv(B · x)``."""

    kind = "short_conv"
    taps: int
    bias: bool = False


@dataclass(frozen=True)
class RgLru(Mixer):
    """A gated linear recurrence of ``width`` channels, its gates block-diagonal over ``heads``."""

    kind = "rg_lru"
    width: int
    heads: int
    taps: int


@dataclass(frozen=True)
class Rwkv(Mixer):
    """RWKV-4's time mixing: a decaying weighted mean of values."""

    kind = "rwkv"
    width: int


@dataclass(frozen=True)
class Cross(Mixer):
    """Attention over a memory, whose keys and values were cached when the memory was made.

    Args:
        norms: queries and keys have a norm a head.
        gated: the layer scales each block by the tanh of a stored number.
        memory: width of what is attended to; 0 is the model's.
    """

    kind = "cross"
    heads: int
    kv_heads: int
    head_dim: int
    q_bias: bool = False
    k_bias: bool = False
    v_bias: bool = False
    o_bias: bool = False
    norms: bool = False
    gated: bool = False
    memory: int = 0


@dataclass(frozen=True)
class Conformer(Mixer):
    """Attention of blocks of ``chunk`` tokens to those around them, and a short convolution.

    Args:
        left: tokens a query sees, itself included; ``right`` come after it.
        taps: of the convolution.
    """

    kind = "conformer"
    heads: int
    chunk: int
    left: int
    right: int
    taps: int

    @property
    def before(self) -> int:
        """Tokens before a query that it sees."""
        return max(0, self.left - 1)


@dataclass(frozen=True)
class SpeechConformer(Mixer):
    """Attention of all tokens with a learned bias a distance, and a separable convolution.

    Args:
        buckets: of distances.
        taps: of the convolution.
    """

    kind = "speech_conformer"
    heads: int
    buckets: int
    taps: int


@dataclass(frozen=True)
class Differential(Mixer):
    """Attention that subtracts one softmax from another, over pairs of heads."""

    kind = "differential"
    heads: int
    kv_heads: int
    head_dim: int
    bias: bool = False


@dataclass(frozen=True)
class RoutedAttention(Mixer):
    """Attention whose queries and outputs are projected by ``top_k`` of ``experts``.

    Args:
        heads: of keys and values, and of each expert's queries.
    """

    kind = "routed_attention"
    heads: int
    head_dim: int
    experts: int
    top_k: int


MIXERS: dict[str, type[Mixer]] = {
    cls.kind: cls
    for cls in (
        Mla,
        Compressed,
        Mamba1,
        Mamba2,
        GatedDelta,
        Lightning,
        Mlstm,
        ShortConv,
        RgLru,
        Rwkv,
        Cross,
        Differential,
        RoutedAttention,
        Conformer,
        SpeechConformer,
    )
}
"""Every kind by the name a card gives it."""


def make_mixer(kind: str, values: dict[str, Any], where: str) -> Mixer:
    """Return a mixer from its fields; those that are ``None`` keep their default.

    Raises:
        UnknownNameError: no such kind, or no such field of it.
        SpecError: a field without a default has no value, or is no whole number of at least 1.
    """
    if kind not in MIXERS:
        raise unknown_name("mixer of a card", kind, MIXERS)
    cls = MIXERS[kind]
    types = {f.name: f.type for f in fields(cls)}
    for name in values:
        if name not in types:
            raise unknown_name(f"field of the mixer {kind}", name, types)
    given = {name: value for name, value in values.items() if value is not None}
    for name, value in given.items():
        good = isinstance(value, bool) if types[name] == "bool" else type(value) is int
        if not good or (types[name] == "int" and value < 0):
            raise SpecError(
                f"{where}: {name} of {kind} is {value!r}",
                hint="write true or false" if types[name] == "bool" else "write a whole number",
            )
    try:
        return cls(**given)
    except TypeError as error:
        missing = [f.name for f in fields(cls) if f.name not in given]
        raise SpecError(
            f"{where}: {kind} lacks {', '.join(missing)}", hint="add the keys it is read from"
        ) from error
