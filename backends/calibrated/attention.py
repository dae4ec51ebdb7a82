"""Fused attention: many queries (prefill) against one (decode), latent caches included.

Sizes: ``batch q_len kv_len heads kv_heads``; ``qk`` and ``v`` the widths of a head; ``kept`` the
elements a token leaves in the cache per KV head (``qk + v``, or the latent's width where K and V
are the same bytes); ``kv_bytes`` of one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
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
from mansard.backends.rates import COMPUTE, MEMORY_BOUND

TILE = 128.0  # query rows of a block [Dao 2023, §3.3]
NARROW = 16.0  # rows of the smallest matrix instruction
KEYS = 32.0  # keys of the smallest block


def _work(z: Sizes, chip: ChipFacts, xp: Any) -> tuple[Number, Number]:
    b, q, kv, heads = z["batch"], z["q_len"], z["kv_len"], z["heads"]
    pairs = q * (kv - q) + q * (q + 1) / 2
    flops = 2 * b * heads * pairs * (z["qk"] + z["v"])
    cache = b * z["kv_heads"] * kv * z["kept"] * z["kv_bytes"]
    return flops, cache + b * q * heads * (z["qk"] + z["v"]) * 2


def _tiles(p: Any, z: Sizes, xp: Any) -> tuple[Number, Number]:
    """Return (blocks, those of one head); short queries pack the heads of a group into one."""
    packed = p[8]
    b, q, heads = z["batch"], z["q_len"], z["heads"]
    group = heads / z["kv_heads"]
    plain = xp.ceil(q / TILE)
    dense = xp.where(q < TILE, xp.ceil(q * group / TILE) / group, plain)
    return b * heads * xp.power(plain, 1 - packed) * xp.power(dense, packed), plain


def _prefill_sides(p: Any, z: Sizes, chip: ChipFacts, xp: Any) -> dict[str, Number]:
    return _tiled(p, z, chip, xp, *_tiles(p, z, xp))


def _tiled(
    p: Any, z: Sizes, chip: ChipFacts, xp: Any, tiles: Number, plain: Number
) -> dict[str, Number]:
    """Whole blocks in waves, against the cache and what is read and written."""
    _, _, e_compute, e_memory, wave, _, _, resident, packed, _ = p
    b, q, kv, heads = z["batch"], z["q_len"], z["kv_len"], z["heads"]
    group = heads / z["kv_heads"]
    short = q < TILE
    plain_pairs = plain * TILE * (kv - q + (plain + 1.0) * TILE / 2)
    thin = xp.ceil(q * group / NARROW) * NARROW / group * xp.ceil(kv / KEYS) * KEYS
    dense_pairs = xp.where(short, thin, plain_pairs)
    pairs = xp.power(plain_pairs, 1 - packed) * xp.power(dense_pairs, packed)
    waves = tiles / chip.sms
    rounded = xp.ceil(waves) / waves
    flops = 2.0 * b * heads * pairs * (z["qk"] + z["v"])
    compute = flops * xp.power(rounded, wave) / (e_compute * z["peak"])
    _, moved = _work(z, chip, xp)
    memory = cached(moved / (e_memory * chip.bytes_per_s), moved, resident, chip)
    return {COMPUTE: compute, MEMORY_BOUND: memory}


def _prefill(p: Any, z: Sizes, chip: ChipFacts, xp: Any) -> Number:
    """Blocks of query rows in waves."""
    t0, serial, _, _, _, sharp, tile_s, _, _, token = p
    tiles, plain = _tiles(p, z, xp)
    compute, memory = _tiled(p, z, chip, xp, tiles, plain).values()
    fixed = t0 + serial * z["kv_len"] + tile_s * tiles + token * z["batch"] * z["q_len"]
    return fixed + smooth_max(compute, memory, sharp, xp)


def _decode_sides(p: Any, z: Sizes, chip: ChipFacts, xp: Any) -> dict[str, Number]:
    """Products of padded groups, against the cache and what is read and written."""
    _, e_compute, e_memory, _, _, _, _, rows, _, resident, _ = p
    group = z["heads"] / z["kv_heads"]
    flops, moved = _work(z, chip, xp)
    compute = flops / group * xp.maximum(group, rows) / (e_compute * z["peak"])
    memory = cached(moved / (e_memory * chip.bytes_per_s), moved, resident, chip)
    return {COMPUTE: compute, MEMORY_BOUND: memory}


def _decode(p: Any, z: Sizes, chip: ChipFacts, xp: Any) -> Number:
    """One block per sequence and KV head, the keys split over idle units."""
    t0, _, _, idle, sharp, block_s, key_s, _, chunk, _, head_s = p
    b, kv = z["batch"], z["kv_len"]
    blocks = b * z["kv_heads"]
    split = xp.maximum(xp.minimum(chip.sms / blocks, kv / chunk), 1.0)
    busy = xp.minimum(1.0, blocks * split / chip.sms)
    compute, memory = _decode_sides(p, z, chip, xp).values()
    work = smooth_max(compute, memory, sharp, xp) * xp.power(busy, -idle)
    serial = key_s * kv / split + block_s * blocks + head_s * b * z["heads"]
    return t0 + serial + work


def _decode_family(z: Mapping[str, float]) -> str:
    """Engines use one kernel for plain heads, one for groups, and a slow one for wide groups."""
    group = z["heads"] / z["kv_heads"]
    kind = "mha" if group <= 1 else "gqa" if group <= 32 else "wide"
    return f"{kind}-{'d512' if z['qk'] > 256 else 'd128'}"


def _prefill_family(z: Mapping[str, float]) -> str:
    return "d512" if z["qk"] > 256 else "d128"


_SIZES = (
    "batch", "q_len", "kv_len", "heads", "kv_heads", "qk", "v", "kept", "kv_bytes", "peak",
)  # fmt: skip
_SHAPE = ("heads", "kv_heads", "qk")

PREFILL = Form(
    name="attention_prefill",
    sizes=_SIZES,
    parameters=(
        Parameter("t0", 1.3e-5, 1e-6, 1e-3, 4.5, "launch [s]"),
        Parameter("serial", 3e-9, 1e-11, 2e-7, 4.5, "per key of the longest block [s]"),
        Parameter("e_compute", 0.6, 0.05, 1.2, 1.5, "share of the matrix peak"),
        Parameter("e_memory", 0.8, 0.1, 1.3, 1.5, "share of the bandwidth"),
        Parameter("wave", 0.3, 1e-3, 1.5, 4.5, "how much of a partial wave is lost"),
        Parameter("sharp", 3.0, 1.0, 10.0, 2.1, "of the knee"),
        Parameter("tile_s", 3e-10, 1e-12, 1e-7, 6.0, "per block [s]"),
        Parameter("resident", 1.5, 1.0, 6.0, 1.5, "speed of the last level over memory"),
        Parameter("packed", 0.5, 0.005, 1.0, 3.0, "how far short queries share a block"),
        Parameter("token", 1e-10, 1e-12, 1e-7, 6.0, "cache write and rope, per token [s]"),
    ),
    seconds=_prefill,
    work=_work,
    shape=_SHAPE,
    family=_prefill_family,
    sides=_prefill_sides,
)

DECODE = Form(
    name="attention_decode",
    sizes=_SIZES,
    parameters=(
        Parameter("t0", 8e-6, 1e-6, 1e-3, 4.5, "launch [s]"),
        Parameter("e_compute", 0.3, 0.005, 1.2, 4.5, "share of the matrix peak"),
        Parameter("e_memory", 0.85, 0.1, 1.3, 1.2, "share of the bandwidth"),
        Parameter("idle", 0.5, 1e-3, 1.5, 3.0, "loss when units are idle"),
        Parameter("sharp", 3.0, 1.0, 10.0, 2.1, "of the knee"),
        Parameter("block_s", 5e-10, 1e-12, 1e-7, 6.0, "per sequence and KV head [s]"),
        Parameter("key_s", 1e-9, 1e-13, 1e-7, 6.0, "per key of a split [s]"),
        Parameter("rows", 16.0, 1.0, 128.0, 3.0, "rows a group is padded to"),
        Parameter("chunk", 256.0, 32.0, 1e6, 4.5, "keys of a split"),
        Parameter("resident", 1.5, 1.0, 6.0, 1.5, "speed of the last level over memory"),
        Parameter("head_s", 5e-10, 1e-12, 2e-7, 6.0, "per sequence and query head [s]"),
    ),
    seconds=_decode,
    work=_work,
    shape=_SHAPE,
    family=_decode_family,
    sides=_decode_sides,
)

MLA_PREFILL = replace(PREFILL, name="mla_prefill", shape=("heads",), family=lambda sizes: "")
MLA_DECODE = replace(DECODE, name="mla_decode", shape=("heads",), family=lambda sizes: "")
