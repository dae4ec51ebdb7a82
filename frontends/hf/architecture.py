"""What a config means, with no config key left: everything a lowering needs, by value."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.frontends.hf.ends import AltUp, Hyper, PerLayer, Positions, Transform
from mansard.frontends.hf.feed_forward import ChannelMix, Dense, Moe
from mansard.frontends.hf.fields import Field
from mansard.frontends.hf.latent_mixers import Mixer
from mansard.frontends.hf.mixers import Cross
from mansard.frontends.hf.quantization import Quantization
from mansard.frontends.hf.tensor_names import Names
from mansard.frontends.hf.towers import Head, Stem

Topology = Literal[
    "pre", "post", "branch", "sandwich", "parallel", "parallel2", "altup", "conformer", "speech",
    "shortcut", "hyper",
]  # fmt: skip
NormKind = Literal["rms", "layer", "layer-nobias", "none", "rms-none"]
Gate = Literal["", "heads", "full"]
QkNorm = Literal["none", "head", "full"]
Scaled = Literal["", "vector", "gate"]


@dataclass(frozen=True)
class BlockIndex:
    """What picks the ``blocks`` of ``block`` keys that a query sees, for each of ``heads``.

    Args:
        dim: width of a head's query, and of the one key a token, which is cached.
    """

    heads: int
    dim: int
    block: int
    blocks: int


@dataclass(frozen=True)
class Attention:
    """Grouped-query attention; MHA has ``kv_heads == heads``, MQA ``kv_heads == 1``.

    Args:
        window: how many keys a query sees, itself included; ``None`` sees all.
        chunked: ``window`` is a block of positions, of which a query sees its own.
        rotary_dim: how many of ``head_dim`` rotate; 0 where this layer has no rotary positions.
        qk_norm: a norm on queries and keys, per head or over all heads.
        fused_qkv: the checkpoint stores one tensor for q, k and v.
        softcap: scores are squashed to ``(-softcap, softcap)``.
        qk_norm_kind: of that norm; the model's where ``None``.
        value_dim: width of a head's value where it is not ``head_dim``.
        gate: a linear of its own scales what attention returns, one number a head or an element,
            through ``gate_activation``; ``gate_bias`` is a number a head before that.
        sub_norm: a norm before the output projection.
        gated: queries come with a gate as wide, whose sigmoid scales what attention returns.
        value_is_key: no values are projected, keys serve as both; ``value_norm`` is their norm.
        keeps: a later layer reads this layer's cache, under this name.
        reuses: name of the cache of an earlier layer that is read; no keys or values of its own.
        causal: a query sees no later key; else keys on both sides, of which ``window`` are those
            nearest to it, or of its block where ``chunked``.
        cached: keys and values are kept for later steps; an encoder has one step.
        buckets: of distances, with a learned bias each and head; 0 has none.
        index: what picks the keys a query sees; ``None`` sees all.
    """

    heads: int
    kv_heads: int
    head_dim: int
    window: int | None = None
    rotary_dim: int = 0
    chunked: bool = False
    alibi: bool = False
    qk_norm: QkNorm = "none"
    q_bias: bool = False
    k_bias: bool = False
    v_bias: bool = False
    o_bias: bool = False
    fused_qkv: bool = False
    sinks: bool = False
    softcap: float | None = None
    qk_norm_kind: NormKind | None = None
    value_norm: NormKind | None = None
    gated: bool = False
    gate: Gate = ""
    gate_activation: str = "sigmoid"
    gate_bias: bool = False
    sub_norm: bool = False
    value_dim: int | None = None
    value_is_key: bool = False
    keeps: str = ""
    reuses: str = ""
    causal: bool = True
    cached: bool = True
    buckets: int = 0
    index: BlockIndex | None = None

    @property
    def q_width(self) -> int:
        """Width of all queries."""
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        """Width of all keys; the values' is the same unless ``value_dim`` says otherwise."""
        return self.kv_heads * self.head_dim

    @property
    def value_width(self) -> int:
        """Width of a head's value."""
        return self.value_dim or self.head_dim


@dataclass(frozen=True)
class SharedBlock:
    """A transformer block several layers use, before their own mixer (Zamba 2).

    It reads the hidden state beside the embedding, and a linear of the layer's own takes what it
    returns.

    Args:
        first: the layer that stores it.
        rank: of the low-rank projection each layer adds to the feed-forward block's first.
    """

    first: int
    attention: Attention
    ffn: Dense
    rank: int


@dataclass(frozen=True)
class LayerSpec:
    """One block. Equal blocks are equal by value, so a lowering can compress periods and runs.

    Args:
        mixer: attention or what stands in its place; ``None`` where the layer has none.
        ffn: ``None`` where the layer has none.
        beside: a second feed-forward block that reads the same tokens, with norms of its own.
        also: a second mixer that reads the same tokens; their results are added.
        shared: a block of several layers that runs before the mixer.
        cross: attention over an encoder's memory, between the mixer and the feed-forward block.
        attn_norm: whether the mixer has a norm in front.
        scaled: what each block's result is multiplied by: a stored vector, or the tanh of a stored
            number.
    """

    topology: Topology
    norm: NormKind
    mixer: Attention | Mixer | None
    ffn: Dense | ChannelMix | Moe | None
    beside: Moe | None = None
    also: Mixer | None = None
    shared: SharedBlock | None = None
    cross: Cross | None = None
    attn_norm: bool = True
    scaled: Scaled = ""

    @property
    def attention(self) -> Attention:
        """The layer's attention.

        Raises:
            TypeError: the layer has another mixer, or none.
        """
        if not isinstance(self.mixer, Attention):
            raise TypeError(f"a layer with {self.mixer!r} has no attention")
        return self.mixer


@dataclass(frozen=True)
class Architecture:
    """A stack: what makes hidden states, layers, final norm, head - and the stacks beside it.

    Args:
        family: the ``model_type``.
        embedding_width: width of the embedding table; projections to and from ``hidden`` exist
            where it differs.
        tied: the head's matrix is the embedding's.
        final_norm: its kind; ``None`` where there is no final norm at all.
        max_context: longest context the config declares, in tokens; ``None`` where none is.
        dtype: storage of unquantized weights (``bf16``, ``fp16``, ``fp32``).
        provenance: every field read and where it came from.
        mtp_layers: extra layers that predict tokens further ahead; the checkpoint has them, a
            served model does not.
        per_layer, altup: what Gemma 3n and 4 add around their layers.
        hyper: the streams that layers of topology ``hyper`` mix.
        stem: what makes hidden states of images or sounds; ``None`` where tokens are looked up.
        types: rows of a second table, of the kinds a token may be.
        spare: rows of the embedding beyond the vocabulary.
        codebooks: tokens a step reads and makes, each with a table and a matrix of its own.
        project_last: positions, types and norm are as wide as the embedding, and only then is it
            projected.
        transform: of the last hidden states, before the matrix that makes logits of them.
        head: what is made of the last hidden states; ``None`` is the logits of a language model.
        encoder: the stack whose memory this one's cross-attention reads.
        vision: the stack that makes of images what this one reads as tokens.
        audio: the stack that makes of sounds what this one reads as tokens.
        start: tokens an encoder-decoder's decoder begins with.
        stored: tensors that a checkpoint holds and no step of generation reads.
        notes: what a reader of the numbers should know; nothing unknown is silently ignored.
    """

    family: str
    hidden: int
    layers: tuple[LayerSpec, ...]
    vocab: int
    positions: Positions
    tied: bool
    embedding_width: int
    names: Names = field(repr=False, hash=False)
    embedding_norm: bool = False
    embedding_scale: bool = False
    norm: NormKind = "rms"
    final_norm: NormKind | None = "rms"
    lm_head_bias: bool = False
    transform: Transform | None = None
    final_softcap: float | None = None
    max_context: int | None = None
    dtype: str = "bf16"
    quantization: Quantization | None = None
    mtp_layers: int = 0
    per_layer: PerLayer | None = None
    altup: AltUp | None = None
    hyper: Hyper | None = None
    stem: Stem | None = None
    types: int = 0
    spare: int = 0
    project_last: bool = False
    codebooks: int = 1
    head: Head | None = None
    encoder: Architecture | None = None
    vision: Architecture | None = None
    audio: Architecture | None = None
    start: int = 1
    stored: tuple[tuple[str, tuple[int, ...]], ...] = ()
    provenance: tuple[Field, ...] = field(default=(), repr=False, compare=False)
    notes: tuple[Note, ...] = field(default=(), compare=False)
