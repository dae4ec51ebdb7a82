"""Multi-head latent attention as a module: projections around attention on a latent.

The projections of DeepSeek-V3 [DeepSeek-AI 2024 V3, §2.1.1] at ``heads`` local heads.
Decode attends to the latent itself (absorbed); prefill expands it to heads.
"""

from __future__ import annotations

from typing import Any

from mansard.backends.calibrated.form import (
    ChipFacts,
    Form,
    Number,
    Parameter,
    Sizes,
    cached,
    smooth_max,
)

HIDDEN, Q_RANK, KV_RANK, ROPE, NOPE, VALUE = 7168, 1536, 512, 64, 128, 128
DOWN = HIDDEN * (Q_RANK + KV_RANK + ROPE)
PER_HEAD = Q_RANK * (NOPE + ROPE) + KV_RANK * (NOPE + VALUE) + VALUE * HIDDEN


def _projections(z: Sizes) -> tuple[Number, Number]:
    """Return (FLOP, bytes) of the projections of one step."""
    tokens, heads = z["batch"] * z["q_len"], z["heads"]
    weights = DOWN + heads * PER_HEAD
    moved = tokens * 2 * (2 * HIDDEN + 2 * Q_RANK + heads * (2 * (NOPE + ROPE) + 2 * VALUE))
    return 2 * tokens * weights, weights * z["w_bytes"] + moved


def _attention(z: Sizes, xp: Any) -> tuple[Number, Number]:
    b, q, kv, heads = z["batch"], z["q_len"], z["kv_len"], z["heads"]
    pairs = q * (kv - q) + q * (q + 1) / 2
    absorbed = z["absorbed"]
    width = xp.where(absorbed > 0, 2.0 * KV_RANK + ROPE, 1.0 * NOPE + ROPE + VALUE)
    expanded = xp.where(absorbed > 0, 0.0, 2.0 * b * kv * heads * (NOPE + ROPE + VALUE))
    latent = b * kv * (KV_RANK + ROPE) * z["kv_bytes"]
    return 2 * b * heads * pairs * width, latent + expanded + 2 * b * q * heads * width


def _work(z: Sizes, chip: ChipFacts, xp: Any) -> tuple[Number, Number]:
    flops, moved = _attention(z, xp)
    dense, weights = _projections(z)
    dense = dense * z["peak"] / z["w_peak"]
    return flops + dense, moved + weights


def _seconds(p: Any, z: Sizes, chip: ChipFacts, xp: Any) -> Number:
    t0, e_compute, e_memory, e_attention, rows, idle, sharp, token, key_s, resident = p
    dense, weights = _projections(z)
    tokens = z["batch"] * z["q_len"]
    padded = xp.ceil(tokens / 64.0) * 64.0 / tokens
    projections = smooth_max(
        dense * padded / (e_compute * z["w_peak"]),
        weights / (e_memory * chip.bytes_per_s),
        sharp,
        xp,
    )
    flops, moved = _attention(z, xp)
    heads = z["heads"]
    wide = xp.where(z["absorbed"] > 0, xp.maximum(heads, rows) / heads, 1.0)
    tall = xp.where(z["absorbed"] > 0, 1.0, xp.ceil(z["q_len"] / 128.0) * 128.0 / z["q_len"])
    blocks = xp.where(z["absorbed"] > 0, z["batch"], z["batch"] * heads * xp.ceil(z["q_len"] / 128))
    split = xp.maximum(xp.minimum(chip.sms / blocks, z["kv_len"] / 256.0), 1.0)
    busy = xp.minimum(1.0, blocks * split / chip.sms)
    memory = cached(moved / (e_memory * chip.bytes_per_s), moved, resident, chip)
    attention = smooth_max(flops * wide * tall / (e_attention * z["peak"]), memory, sharp, xp)
    fixed = t0 + token * tokens + key_s * z["kv_len"] / split
    return fixed + projections + attention * xp.power(busy, -idle)


MLA_MODULE = Form(
    name="mla_module",
    sizes=(
        "batch",
        "q_len",
        "kv_len",
        "heads",
        "w_bytes",
        "kv_bytes",
        "absorbed",
        "peak",
        "w_peak",
    ),
    parameters=(
        Parameter("t0", 4e-5, 4e-6, 4e-4, 4.5, "launches of the module [s]"),
        Parameter("e_compute", 0.6, 0.05, 1.2, 1.2, "share of the peak, projections"),
        Parameter("e_memory", 0.7, 0.1, 1.3, 1.2, "share of the bandwidth"),
        Parameter("e_attention", 0.5, 0.02, 1.2, 2.0, "share of the peak, attention"),
        Parameter("rows", 64.0, 1.0, 128.0, 2.0, "rows heads are padded to"),
        Parameter("idle", 0.3, 1e-3, 1.5, 3.0, "loss when units are idle"),
        Parameter("sharp", 3.0, 1.0, 10.0, 2.1, "of the knee"),
        Parameter("token", 1e-9, 1e-12, 1e-6, 4.5, "norms, rope, cache write, per token [s]"),
        Parameter("key_s", 1e-9, 1e-13, 1e-7, 6.0, "per key of a split [s]"),
        Parameter("resident", 1.5, 1.0, 6.0, 1.5, "speed of the last level over memory"),
    ),
    seconds=_seconds,
    work=_work,
    shape=("heads",),
    family=lambda z: "decode" if z["absorbed"] else "prefill",
)
