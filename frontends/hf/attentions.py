"""The attention of each layer, from a card's settings and a config's fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mansard.core.errors import SpecError
from mansard.frontends.hf.architecture import Attention, BlockIndex, Gate, QkNorm
from mansard.frontends.hf.cards import AttentionCard, Card, Setting
from mansard.frontends.hf.ends import PositionKind
from mansard.frontends.hf.fields import Fields
from mansard.frontends.hf.picks import choice, picks
from mansard.frontends.hf.schedule import Schedule, mentioned


def attentions(fields: Fields, card: Card, hidden: int, count: int) -> list[Attention]:
    """Return each layer's attention.

    Raises:
        SpecError: heads that do not divide.
    """
    spec = card.attention
    heads = _whole(fields, spec.heads)
    kind = choice(fields, "positions", card.positions.kind, PositionKind)
    rotates = picks(card.positions.rope, fields, count)
    window, local = _windows(fields, spec, count)
    qk_kind = None if spec.qk_norm_kind is None else fields.decide(spec.qk_norm_kind)
    shared: dict[str, Any] = {
        "alibi": kind == "alibi",
        "qk_norm": choice(fields, "qk_norm", spec.qk_norm, QkNorm),
        "qk_norm_kind": qk_kind,
        "value_norm": spec.value_norm,
        "q_bias": fields.flag(spec.q_bias),
        "k_bias": fields.flag(spec.k_bias),
        "v_bias": fields.flag(spec.v_bias),
        "o_bias": fields.flag(spec.o_bias),
        "gated": fields.flag(spec.gated),
        "gate": choice(fields, "gate", spec.gate, Gate),
        "gate_activation": spec.gate_activation,
        "gate_bias": spec.gate_bias,
        "sub_norm": spec.sub_norm,
        "value_dim": fields.setting(spec.value_dim),
        "fused_qkv": spec.fused_qkv,
        "softcap": fields.setting(spec.softcap),
        "causal": fields.flag(spec.causal),
        "cached": fields.flag(spec.cached),
        "buckets": fields.setting(spec.buckets) or 0,
    }
    one = fields.flag(spec.far_value_is_key)
    sinks = spec.sinks if spec.sinks == "local" else fields.flag(spec.sinks)
    indexes = _indexes(fields, spec, count)
    made = []
    shapes = _shapes(fields, spec, hidden, heads, local)
    for is_near, turns, index, shape in zip(local, rotates, indexes, shapes, strict=True):
        kv_heads, head_dim = shape
        rotary = _rotary_dim(fields, card, head_dim) if kind == "rope" and turns else 0
        made.append(
            Attention(
                heads,
                kv_heads,
                head_dim,
                window if is_near else None,
                rotary,
                chunked=spec.chunked and is_near,
                sinks=is_near if sinks == "local" else bool(sinks),
                value_is_key=one and not is_near,
                index=index,
                **shared,
            )
        )
    return _sharing(fields, made, fields.setting(spec.shared_layers) or 0)


def _indexes(fields: Fields, spec: AttentionCard, count: int) -> list[BlockIndex | None]:
    """Return what picks keys in each layer; ``None`` where a query sees all."""
    wanted = picks(spec.indexed, fields, count) if spec.index else (False,) * count
    if not any(wanted):
        return [None] * count
    index = BlockIndex(**{name: _whole(fields, setting) for name, setting in spec.index.items()})
    return [index if one else None for one in wanted]


def _whole(fields: Fields, setting: Setting) -> int:
    chosen = fields.decide(setting)
    return fields.whole(chosen) if isinstance(chosen, str) else int(fields.setting(chosen))


def _shapes(
    fields: Fields, spec: AttentionCard, hidden: int, heads: int, near: tuple[bool, ...]
) -> list[tuple[int, int]]:
    """Return (key-value heads, head width) of each layer."""
    setting = fields.decide(spec.kv_heads)
    if isinstance(setting, Mapping) and isinstance(fields.setting(setting), list):
        rows = fields.setting_per_layer(setting, len(near))
        return [_shape(fields, hidden, heads, kv or heads, spec.head_dim) for kv in rows]
    own = far = _shape(fields, hidden, heads, spec.kv_heads, spec.head_dim)
    if spec.far_head_dim is not None or spec.far_kv_heads is not None:
        far_kv = spec.kv_heads if spec.far_kv_heads is None else spec.far_kv_heads
        far = _shape(fields, hidden, heads, far_kv, spec.far_head_dim or spec.head_dim)
    return [own if is_near else far for is_near in near]


def _shape(
    fields: Fields, hidden: int, heads: int, kv_setting: Setting, dim_setting: Setting
) -> tuple[int, int]:
    """Return (key-value heads, head width) of one kind of layer."""
    where, kv_key = fields.where, fields.decide(kv_setting)
    rule = (heads, "num_attention_heads")
    kv_heads = fields.whole(kv_key, rule) if isinstance(kv_key, str) else fields.setting(kv_key)
    if kv_heads > heads or heads % kv_heads:
        raise SpecError(
            f"{where}: {heads} attention heads cannot share {kv_heads} key-value heads",
            hint=f"{kv_key} must divide num_attention_heads",
        )
    dim_key = fields.decide(dim_setting)
    stated = fields.setting(dim_key)
    if stated is not None:
        return kv_heads, int(stated)
    if hidden % heads:
        raise SpecError(
            f"{where}: hidden_size {hidden} does not divide into {heads} heads",
            hint="change num_attention_heads, or state head_dim",
        )
    if not isinstance(dim_key, str):
        return kv_heads, hidden // heads
    rule = (hidden // heads, "hidden_size // num_attention_heads")
    return kv_heads, fields.whole(dim_key, rule)


def _sharing(fields: Fields, made: list[Attention], shared: int) -> list[Attention]:
    """Let the last ``shared`` layers read the cache of the last earlier layer of their kind."""
    if not shared:
        return made
    own = made[: len(made) - shared]
    kinds = ["full" if a.window is None else "sliding" for a in made]
    last = {kind: at for at, kind in enumerate(kinds[: len(own)])}
    for kind in kinds[len(own) :]:
        if kind not in last:
            raise SpecError(
                f"{fields.where}: the last {shared} layers reuse caches, but no layer before them"
                f" has {kind} attention",
                hint="make num_kv_shared_layers smaller",
            )
    used = {last[kind]: kind for kind in kinds[len(own) :]}
    kept = [replace(a, keeps=used.get(at, "")) for at, a in enumerate(own)]
    return [
        *kept,
        *(replace(a, reuses=k) for a, k in zip(made[len(own) :], kinds[len(own) :], strict=True)),
    ]


def _windows(
    fields: Fields, spec: AttentionCard, count: int
) -> tuple[int | None, tuple[bool, ...]]:
    fields.touch(*mentioned(spec.window), *spec.local.keys())
    if spec.local == Schedule() or not fields.flag(spec.windowed):
        return None, (False,) * count
    window = fields.setting(spec.window)
    return window, (False,) * count if window is None else picks(spec.local, fields, count)


def _rotary_dim(fields: Fields, card: Card, head_dim: int) -> int:
    if card.positions.dim is not None:
        stated = fields.setting(card.positions.dim)
        rotary = head_dim if stated is None else int(stated)
    else:
        factor = fields.setting(card.positions.factor)
        rotary = int(head_dim * (1.0 if factor is None else factor))
    if not 0 <= rotary <= head_dim:
        raise SpecError(
            f"{fields.where}: {rotary} of {head_dim} head dimensions cannot rotate",
            hint="the rotary share is between 0 and 1",
        )
    return rotary
