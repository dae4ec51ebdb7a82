"""Cards: what the blocks of one ``model_type`` are made of, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from mansard.core.records import dataclass
from mansard.frontends.hf.schedule import Schedule

Setting = Any  # a literal, a config key, a condition or a sum: see the head of cards/llama.toml


@dataclass(frozen=True)
class PositionsCard:
    """How positions enter: rotary share or width, rows of a learned table.

    ``reserved`` of the rows no token may take.
    """

    kind: Setting = "rope"
    factor: Setting = 1.0
    dim: Setting = None
    offset: int = 0
    rows: Setting = "max_position_embeddings"
    reserved: int = 0
    rope: Schedule = field(default_factory=lambda: Schedule(rule="always"))


@dataclass(frozen=True)
class AttentionCard:
    """What the attention of a family has: biases, norms, fused projections, windows.

    ``far_…`` are those of layers without a window where they differ; the last ``shared_layers``
    read the cache of the last earlier layer of their kind. ``causal`` and ``cached`` are false in
    encoders; ``buckets`` counts the learned biases of distances. ``index`` holds the fields of
    what picks blocks of keys, in the layers of ``indexed``.
    """

    heads: Setting = "num_attention_heads"
    kv_heads: Setting = "num_key_value_heads"
    q_bias: Setting = False
    k_bias: Setting = False
    v_bias: Setting = False
    o_bias: Setting = False
    qk_norm: Setting = "none"
    fused_qkv: bool = False
    sinks: Setting = False
    softcap: Setting = None
    window: Setting = "sliding_window"
    windowed: Setting = True
    chunked: bool = False
    local: Schedule = field(default_factory=Schedule)
    layers: Schedule = field(default_factory=lambda: Schedule(rule="always"))
    head_dim: Setting = "head_dim"
    qk_norm_kind: Setting = None
    value_norm: Setting = None
    gated: Setting = False
    gate: Setting = ""
    gate_activation: str = "sigmoid"
    gate_bias: bool = False
    sub_norm: bool = False
    value_dim: Setting = None
    far_head_dim: Setting = None
    far_kv_heads: Setting = None
    far_value_is_key: Setting = False
    shared_layers: Setting = 0
    causal: Setting = True
    cached: Setting = True
    buckets: Setting = 0
    index: Mapping[str, Setting] = field(default_factory=dict)
    indexed: Schedule = field(default_factory=Schedule)


@dataclass(frozen=True)
class FfnCard:
    """The dense feed-forward block; ``width`` false means always ``ratio * hidden_size``.

    ``kind`` is ``mlp`` or ``channel-mix`` (RWKV). ``activation`` is a config key, or the function
    itself where a family has no key for it.
    """

    kind: str = "mlp"
    gated: Setting = True
    activation: Setting = "hidden_act"
    width: Setting = "intermediate_size"
    ratio: int | None = None
    up_bias: Setting = False
    down_bias: Setting = False
    fused: bool = False
    sub_norm: bool = False
    layers: Schedule = field(default_factory=lambda: Schedule(rule="always"))


@dataclass(frozen=True)
class MoeCard:
    """The mixture of experts, where a family has one."""

    experts: str = "num_experts"
    top_k: str = "num_experts_per_tok"
    width: str = "moe_intermediate_size"
    shared_width: Setting = 0
    shared_gate: bool = False
    gated: bool = True
    fused: bool = True
    router_bias: Setting = False
    expert_bias: Setting = False
    shared_bias: Setting = False
    shared_fused: bool = False
    correction: int = 0
    norm: bool = False
    out_bias: bool = False
    scales: bool = False
    latent: Setting = 0
    zero: Setting = 0
    beside: bool = False
    layers: Schedule = field(default_factory=Schedule)


@dataclass(frozen=True)
class MixerCard:
    """A mixer in attention's place: its kind's fields as settings, and the layers that have it.

    ``beside`` puts it next to attention, which reads the same tokens.
    """

    fields: Mapping[str, Setting]
    layers: Schedule
    beside: bool = False


@dataclass(frozen=True)
class SharedCard:
    """A block that ``blocks`` copies serve in turn: layers that use one, and its adapters' rank."""

    layers: Schedule
    blocks: Setting = 1
    rank: Setting = 0


@dataclass(frozen=True)
class EmbeddingCard:
    """The token embedding: its width, a norm after it, a scale on it.

    ``per_layer`` and ``per_layer_rows`` size a second table that feeds each layer; ``streams`` and
    ``rank`` the copies of the hidden state (Gemma 3n). ``types`` is the rows of a table of token
    types; with ``project_last`` all tables are as wide as the first, and their sum is projected.
    ``spare`` rows follow those of the vocabulary. ``codebooks`` tokens are read and made at once.
    """

    width: Setting = "hidden_size"
    norm: bool = False
    scale: Setting = False
    per_layer: Setting = 0
    per_layer_rows: Setting = 0
    streams: Setting = 0
    rank: Setting = 0
    types: Setting = 0
    project_last: bool = False
    spare: Setting = 0
    codebooks: Setting = 1


@dataclass(frozen=True)
class HyperCard:
    """The copies of the hidden state that layers mix, and the steps that make the mixing."""

    streams: Setting
    iterations: Setting = 0


@dataclass(frozen=True)
class StemCard:
    """What makes hidden states of images or sounds, and the fields of its kind.

    Kinds are ``patches``, ``frames``, ``spectrogram`` and ``convnet``, whose only field is a name.
    """

    kind: str
    fields: Mapping[str, Setting]


@dataclass(frozen=True)
class HeadCard:
    """What is made of the last hidden states: logits (a bias, a soft cap), or another ``kind``.

    ``transform`` puts a linear to ``width`` (the embedding's where 0), its ``activation`` and a
    norm before the logits; ``tied`` says whether their matrix is the embedding's. The other kinds
    and their fields are those of ``towers.Head``.
    """

    kind: Setting = "lm"
    bias: Setting = False
    softcap: Setting = None
    width: Setting = 0
    picks_first: bool = False
    depth: Setting = None
    merge: Setting = 1
    tokens: Setting = 0
    taps: Setting = None
    activation: Setting = "gelu"
    offset: bool = False
    widths: tuple[Setting, ...] = ()
    separators: bool = False
    mean: bool = False
    pools: Setting = False
    rows: Setting = 0
    scaled: bool = False
    inner: Setting = 0
    norm: Setting = ""
    squares: bool = False
    narrows: bool = False
    transform: bool = False
    transform_bias: Setting = True
    tied: Setting = "tie_word_embeddings"


@dataclass(frozen=True)
class Card:
    """What the blocks of one ``model_type`` are made of.

    ``names`` is a set of them, or a condition whose branches are; ``kinds`` are the words a
    per-layer list of the config may hold; ``defaults_of`` is another ``model_type`` whose class
    defaults count. ``encoder`` names the card that reads the encoder off the same config, and
    ``cross`` is the attention over its memory. A card that is ``part_of`` a model reads no config
    of its own; one that is a ``class_of`` a model_type reads those that name its architectures.
    ``checks`` are what its sizes must be to each other, see ``agreement``.
    ``stored`` are tensors, by name, that its steps do not read; ``expects`` are values the class
    is made for; another is a note.
    """

    model_type: str
    architectures: tuple[str, ...]
    norm: Setting
    topology: Setting
    names: Setting
    positions: PositionsCard = field(default_factory=PositionsCard)
    attention: AttentionCard = field(default_factory=AttentionCard)
    ffn: FfnCard = field(default_factory=FfnCard)
    moe: MoeCard | None = None
    mixers: Mapping[str, MixerCard] = field(default_factory=dict)
    shared: SharedCard | None = None
    embedding: EmbeddingCard = field(default_factory=EmbeddingCard)
    head: HeadCard = field(default_factory=HeadCard)
    hyper: HyperCard | None = None
    stem: StemCard | None = None
    cross: MixerCard | None = None
    encoder: str = ""
    part_of: str = ""
    class_of: str = ""
    start: int = 1
    stored: Mapping[str, tuple[Setting, ...]] = field(default_factory=dict)
    unnormed: Schedule = field(default_factory=Schedule)
    branched: Schedule = field(default_factory=Schedule)
    scaled: Setting = ""
    hidden: Setting = "hidden_size"
    final_norm: Setting = True
    layers: Setting = "num_hidden_layers"
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    assumes: Mapping[str, Any] = field(default_factory=dict)
    expects: Mapping[str, Any] = field(default_factory=dict)
    checks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ignores: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    defaults_from: str = ""
    defaults_of: str = ""
    kinds: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
