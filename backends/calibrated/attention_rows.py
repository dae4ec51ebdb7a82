"""Attention of a row, as the forms of attention know it: what a kernel reads of which cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mansard.backends.calibrated.facts import facts, peak
from mansard.backends.calibrated.form import Number
from mansard.backends.calibrated.predict import Figures
from mansard.backends.calibrated.row_figures import DECODE_LEN, RowFigures, here, size_of
from mansard.backends.hardware import Hardware

WIDE_BYTES = 2.0  # an element of queries and results
NARROW_BYTES = 1.5  # an element of a cache that takes less is an fp8 one's
STRETCH = 512.0  # keys of a block [vllm/attention/ops/paged_attn.py, _PARTITION_SIZE]
FULL = 3.0  # blocks of 128 threads that keep a unit's lanes busy: 12 warps, three a scheduler


def attention_figures(row: RowFigures, chip: Hardware, framework: str, xp: Any) -> Figures:
    """Return the sizes of an attention, a latent one or not, in prefill or decode."""
    sizes = _attended(row, xp) | {"peak": peak(chip, "bf16")}
    decodes = here(_decodes(sizes))
    family = "mla" if _latent(row) or (not decodes and _expanded(row)) else "attention"
    name = f"{family}_{'decode' if decodes else 'prefill'}"
    narrow = here(sizes["kv_bytes"] < NARROW_BYTES)
    if name == "mla_prefill":  # of a narrow cache, too, keys are attended to in full
        sizes["kv_bytes"] = WIDE_BYTES
    dtype = f"bfloat16/{'fp8' if narrow else 'bfloat16'}"
    return Figures(name, sizes, dtype, framework, floor_s=row.bound_s)


def attention_regime(row: RowFigures, xp: Any) -> Number:
    """Return which kernel serves an attention: of decode or prefill, of a narrow cache or not."""
    z = _attended(row, xp)
    decodes, narrow = _decodes(z), z["kv_bytes"] < NARROW_BYTES
    return xp.where(decodes, 2.0, 0.0) + xp.where(narrow, 1.0, 0.0)


def _attended(row: RowFigures, xp: Any) -> dict[str, Number]:
    """Return the sizes of an attention but for the chip's peak."""
    heads = size_of(row, "heads", xp)
    d, kv_heads = size_of(row, "head_dim", xp, 128.0), size_of(row, "kv_heads", xp, heads)
    latent = _latent(row)
    q, kv = size_of(row, "q_len", xp), size_of(row, "kv_len", xp)
    v = size_of(row, "value_dim", xp, 512.0 if latent else d)
    kept = d if latent else d + v
    queries = WIDE_BYTES * size_of(row, "batch", xp) * q * heads * (d + v)
    kv_bytes, kv = _cached(row, kept, kv_heads, xp.maximum(kv, q), queries, xp)
    return {
        "batch": size_of(row, "batch", xp), "q_len": q, "kv_len": xp.maximum(kv, q), "heads": heads,
        "kv_heads": kv_heads, "qk": d, "v": v, "kept": kept,
        "kv_bytes": kv_bytes,
    }  # fmt: skip


def widen_s(row: RowFigures, z: Mapping[str, Number], chip: Hardware, xp: Any) -> Number:
    """Return the time of one operation on each element a query head reads of a cache in fp8 [s].

    Nothing where the chip has fp8: it widens such elements by an instruction of its own. A lane of
    the vector unit does an operation where it would do two FLOP. A block serves a head of a
    sequence, or a stretch of its keys; a few of them fill no chip.
    """
    lanes = chip.peak("vector", "fp32").flops_per_s
    if not row.cache.startswith("fp8") or "fp8" not in chip.unsupported or lanes is None:
        return 0.0
    heads = z["batch"] * z["heads"]
    blocks = heads * xp.maximum(z["kv_len"] / STRETCH, 1.0)
    busy = xp.minimum(blocks / (FULL * facts(chip).sms), 1.0)
    return heads * z["kv_len"] * z["kept"] / (float(lanes) / 2) / busy


def _latent(row: RowFigures) -> bool:
    """Say whether all heads share one wide key: a latent cache."""
    shared, d = row.dims.get("kv_heads", 0), row.dims.get("head_dim", 0)
    return (
        not isinstance(shared, str) and not isinstance(d, str) and here((shared == 1) & (d > 512))
    )


def _expanded(row: RowFigures) -> bool:
    """Say whether every head has a key of its own, wider than its value: made from a latent."""
    named = ("heads", "kv_heads", "head_dim", "value_dim")
    heads, kv_heads, d, v = (row.dims.get(name, "") for name in named)
    if any(isinstance(size, str) for size in (heads, kv_heads, d, v)):
        return False
    return here((kv_heads == heads) & (d > v))


def _decodes(z: Mapping[str, Number]) -> Any:
    return (z["q_len"] <= DECODE_LEN) & (z["kv_len"] > z["q_len"])


def _cached(
    row: RowFigures, kept: Number, kv_heads: Number, kv: Number, queries: Number, xp: Any
) -> tuple[Number, Number]:
    """Return (bytes of a cached element, keys that are read), from the bytes that are.

    A cache that is decoded inside the kernel is narrower than its dtype says; one that is not is
    read in part, as windows and budgets do. Keys that were expanded from a latent before the
    kernel come as activations, beside the bytes of queries and results: the cache says nothing of
    them then.
    """
    written = str(row.dims.get("kv_dtype", "bf16")).lower()
    plain = 1.0 if written.startswith(("fp8", "int8", "e4m3")) else 2.0
    read = row.cache_bytes / (size_of(row, "batch", xp) * kv_heads * kept * kv)
    own = row.bytes - row.cache_bytes - queries <= row.cache_bytes
    part = (read > 0.0) & (read < plain * 0.999) & own
    if row.dequantized:
        return xp.where(part, xp.maximum(read, 0.25), plain), kv
    seen = xp.maximum(kv * read / plain, size_of(row, "q_len", xp))
    return plain, xp.where(part, seen, kv)
