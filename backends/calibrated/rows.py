"""From a row of the cost table to what a prediction needs of it.

The same code reads one row in plain floats and a sweep's rows in arrays, with ``xp`` their
functions. What chooses a kernel (prefill or decode, a narrow cache) is read off the first point:
``regime`` says which points choose alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mansard.backends.calibrated.exchange import SHARE
from mansard.backends.calibrated.facts import facts, peak
from mansard.backends.calibrated.form import PLAIN, Number
from mansard.backends.calibrated.lookup import family_of
from mansard.backends.calibrated.predict import Figures
from mansard.backends.hardware import Hardware

DECODE_LEN = 8.0  # new tokens a decode kernel still serves, as speculation verifies them
DEEPEP = ("", "sglang")  # engines whose exchange of experts' rows was measured; nccl's of others
SWITCHED = ("hopper", "blackwell")  # families whose chips it was measured on
LOW_LATENCY = 128.0  # tokens of a rank that its low-latency kernels take at most [SGLang's default]
UNITS = 24.0  # units the others run on, as measured
WIDE_BYTES = 2.0  # an element of queries and results
STATE = 128.0 * 128.0  # elements of a head's state [Yang 2024 GDN, §4]
COLD = 1e18  # bytes no level holds
NARROW_BYTES = 1.5  # an element of a cache that takes less is an fp8 one's
STRETCH = 512.0  # keys of a block [vllm/attention/ops/paged_attn.py, _PARTITION_SIZE]
FULL = 3.0  # blocks of 128 threads that keep a unit's lanes busy: 12 warps, three a scheduler
WIDE = ("bf16", "fp16", "fp32", "tf32", "bfloat16", "float16")


@dataclass(frozen=True)
class RowFigures:
    """The numbers of one row; sizes and amounts are floats, or arrays of one length.

    Args:
        kind: of its main op.
        dims: its named sizes and stored dtypes.
        flops: all of them.
        bytes: moved in memory.
        payload: (collective, ranks) → bytes handed to the link.
        weight: the encoding of the largest weight it reads, as text.
        bound_s: the roofline's time.
        name: of the row.
        cache_bytes: of the traffic, what is read of a cache.
        cache: the dtype it is stored in.
        dequantized: whether it decodes an operand itself.
        routing: of an exchange of experts' rows, ``rows top_k experts width``.
    """

    kind: str
    dims: Mapping[str, Number | str]
    flops: Number = 0.0
    bytes: Number = 0.0
    payload: Mapping[tuple[str, float], Number] = field(default_factory=dict)
    weight: str = ""
    bound_s: Number = 0.0
    name: str = ""
    cache_bytes: Number = 0.0
    cache: str = ""
    dequantized: bool = False
    routing: Mapping[str, Number] = field(default_factory=dict)


def figures(row: RowFigures, chip: Hardware, framework: str = "", xp: Any = PLAIN) -> Figures:
    """Return what predicting the row needs: the form that knows it, else a stream of its bytes."""
    if row.routing and framework in DEEPEP and family_of(chip) in SWITCHED:
        return _routed(row, framework, xp)
    if row.payload:
        return _exchange(row, framework, xp)
    match row.kind:
        case "linear" | "matmul" | "convolution" if {"m", "n", "k"} <= row.dims.keys():
            return _product(row, chip, framework, xp)
        case "grouped_linear" | "block_linear" if {"m", "n", "k", "groups"} <= row.dims.keys():
            return _experts(row, chip, framework, xp)
        case "attention" if {"batch", "q_len", "kv_len"} <= row.dims.keys():
            return _attention(row, chip, framework, xp)
    if "state" in row.dims:
        return _scan(row, chip, framework, xp)
    return _stream(row, framework, xp)


def regime(row: RowFigures, xp: Any = PLAIN) -> Number:
    """Return a number that is equal where the same kernel serves a row."""
    if row.routing:
        return xp.where(_tokens(row) <= LOW_LATENCY, 1.0, 0.0)
    if row.payload:
        return _largest(row, xp)
    if row.kind == "attention" and {"batch", "q_len", "kv_len"} <= row.dims.keys():
        z = _attended(row, xp)
        decodes, narrow = _decodes(z), z["kv_bytes"] < NARROW_BYTES
        return xp.where(decodes, 2.0, 0.0) + xp.where(narrow, 1.0, 0.0)
    if "state" in row.dims:
        return xp.where(_size(row, "q_len", xp) <= DECODE_LEN, 1.0, 0.0)
    return 0.0


def _size(row: RowFigures, name: str, xp: Any, otherwise: Number = 1.0) -> Number:
    value = row.dims.get(name, otherwise)
    return otherwise if isinstance(value, str) else xp.maximum(value, 1.0)


def _first(value: Any) -> Any:
    """Return the value at the first point: callers see to it that it chooses as all do."""
    return value.flat[0] if hasattr(value, "flat") else value


def _here(condition: Any) -> bool:
    return bool(_first(condition))


def scheme_of(x_dtype: str, w_dtype: str) -> tuple[str, float, float, str]:
    """Return (scheme, bytes of an activation, bytes of a weight, compute dtype) of stored dtypes.

    >>> scheme_of("bf16", "int4")
    ('int4_wo', 2.0, 0.516, 'bf16')
    """
    x, w = x_dtype.lower(), w_dtype.lower()
    computes = "fp16" if x == "fp16" else "bf16"
    if "fp4" in w or "e2m1" in w:
        if x in WIDE:
            return "w4a16_mxfp4", 2.0, 0.531, computes
        if "fp4" in x or "e2m1" in x:
            return "nvfp4", 0.5625, 0.5625, "fp4"
        return "w4a8_mxfp4_mxfp8", 1.031, 0.531, "fp8"
    if w.startswith(("fp8", "e4m3", "e5m2")):
        return ("fp8", 2.0, 1.0, computes) if x in WIDE else ("fp8", 1.0, 1.0, "fp8")
    if w.startswith(("int4", "uint4", "int3", "int2")):
        return "int4_wo", 2.0, 0.516, computes
    if w.startswith(("int8", "uint8")):
        return ("int8_wo", 2.0, 1.0, computes) if x in WIDE else ("sq", 1.0, 1.0, "int8")
    if w in ("fp32", "tf32"):
        return "float32", 4.0, 4.0, w
    return "bfloat16", 2.0, 2.0, computes  # fp16 runs the same kernels at the same rate


def _dtypes(row: RowFigures) -> tuple[str, float, float, str]:
    """Weights count as they lie: a product whose dequantize is fused reads the narrow ones."""
    stored = row.weight.lstrip("mxnv") or str(row.dims.get("w_dtype", "bf16"))
    return scheme_of(str(row.dims.get("x_dtype", "bf16")), stored)


def _product(row: RowFigures, chip: Hardware, framework: str, xp: Any) -> Figures:
    """A product; activations that are stored narrow were quantised by a row of their own."""
    scheme, x, w, computes = _dtypes(row)
    sizes = {n: _size(row, n, xp) for n in ("m", "n", "k")}
    sizes |= {"x_bytes": x, "w_bytes": w, "quantised": 0.0, "peak": peak(chip, computes)}
    return Figures("gemm", sizes, scheme, framework, floor_s=row.bound_s)


def _experts(row: RowFigures, chip: Hardware, framework: str, xp: Any) -> Figures:
    """One of a layer's grouped products, as its share of the fused kernel that was measured.

    What was measured launches, sorts and multiplies by three matrices at once; a product that is
    gate and up together is two of them. Experts hit follow from the bytes it reads.
    """
    scheme, _, w, computes = _dtypes(row)
    m, n, k, groups = (_size(row, name, xp) for name in ("m", "n", "k", "groups"))
    read = (row.bytes - 2 * m * (n + k)) / (n * k * w)
    active = xp.minimum(xp.minimum(xp.maximum(read, 1.0), groups), m)
    tile = _tile(m / groups, xp)
    merged = 2.0 if "gate_up" in row.name else 1.0
    inter = n / merged
    sizes = {
        "tokens": m, "top_k": 1.0, "experts": groups, "rows": m, "active": active, "tile": tile,
        "tiles": xp.maximum(m / tile, active), "hidden": k, "inter": inter, "model_inter": inter,
        "matrices": 3.0, "w_bytes": w, "peak": peak(chip, computes),
    }  # fmt: skip
    return Figures("moe", sizes, scheme, framework, floor_s=row.bound_s, share=merged / 3.0)


def _tile(mean: Number, xp: Any) -> Number:
    """Return the rows of a tile: the power of two, from 16 to 128, that holds a mean load."""
    wide = xp.where(mean < 65.0, 64.0, 128.0)
    return xp.where(mean < 17.0, 16.0, xp.where(mean < 33.0, 32.0, wide))


def _scan(row: RowFigures, chip: Hardware, framework: str, xp: Any) -> Figures:
    """A recurrence over a state, or the short convolution before one.

    Between two steps of decode all other layers' bytes pass, so no state waits on chip.
    """
    batch, q = _size(row, "batch", xp), _size(row, "q_len", xp)
    width, state = _size(row, "width", xp), _size(row, "state", xp)
    decodes = _here(q <= DECODE_LEN)
    phase = "generation" if decodes else "context"
    heads = xp.maximum(state / STATE, 1.0)
    if row.kind == "causal_conv":
        kernel = "gdn/causal_conv1d_update" if decodes else "gdn/causal_conv1d_fn"
        blocks = batch * width
    else:
        rule = "fused_recurrent" if decodes else "chunk"
        kernel = f"gdn/{rule}_gated_delta_rule"
        blocks = batch * heads
    sizes = {
        "bytes": xp.maximum(row.bytes, 1.0), "flops": row.flops, "blocks": blocks,
        "steps": 1.0 if decodes else xp.maximum(q / 64, 1.0), "batch": batch,
        "tokens": batch * q, "width": width, "heads": heads, "state": state,
        "held": COLD if decodes else xp.maximum(row.bytes, 1.0), "peak": peak(chip, "bf16"),
    }  # fmt: skip
    return Figures("scan", sizes, phase, framework, kernel, row.bound_s)


def _attention(row: RowFigures, chip: Hardware, framework: str, xp: Any) -> Figures:
    sizes = _attended(row, xp) | {"peak": peak(chip, "bf16")}
    family = "mla" if _latent(row) else "attention"
    name = f"{family}_{'decode' if _here(_decodes(sizes)) else 'prefill'}"
    narrow = _here(sizes["kv_bytes"] < NARROW_BYTES)
    dtype = f"bfloat16/{'fp8' if narrow else 'bfloat16'}"
    return Figures(name, sizes, dtype, framework, floor_s=row.bound_s)


def _attended(row: RowFigures, xp: Any) -> dict[str, Number]:
    """Return the sizes of an attention but for the chip's peak."""
    heads = _size(row, "heads", xp)
    d, kv_heads = _size(row, "head_dim", xp, 128.0), _size(row, "kv_heads", xp, heads)
    latent = _latent(row)
    q, kv = _size(row, "q_len", xp), _size(row, "kv_len", xp)
    kept, v = (d, 512.0) if latent else (2 * d, d)
    queries = WIDE_BYTES * _size(row, "batch", xp) * q * heads * (d + v)
    kv_bytes, kv = _cached(row, kept, kv_heads, xp.maximum(kv, q), queries, xp)
    return {
        "batch": _size(row, "batch", xp), "q_len": q, "kv_len": xp.maximum(kv, q), "heads": heads,
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
        not isinstance(shared, str) and not isinstance(d, str) and _here((shared == 1) & (d > 512))
    )


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
    read = row.cache_bytes / (_size(row, "batch", xp) * kv_heads * kept * kv)
    own = row.bytes - row.cache_bytes - queries <= row.cache_bytes
    part = (read > 0.0) & (read < plain * 0.999) & own
    if row.dequantized:
        return xp.where(part, xp.maximum(read, 0.25), plain), kv
    seen = xp.maximum(kv * read / plain, _size(row, "q_len", xp))
    return plain, xp.where(part, seen, kv)


def _largest(row: RowFigures, xp: Any) -> Number:
    """Return which of the payloads is the largest."""
    first, *others = row.payload.values()
    code: Number = 0.0
    for k, size in enumerate(others, 1):
        code, first = xp.where(size > first, 1.0 * k, code), xp.maximum(size, first)
    return code


def _exchange(row: RowFigures, framework: str, xp: Any) -> Figures:
    """A collective; measurements count the whole message, an all-gather's payload is one share."""
    (op, ranks), size = list(row.payload.items())[int(_first(_largest(row, xp)))]
    name = {"all_to_all": "alltoall"}.get(op, op)
    share = SHARE.get(name, 1.0) * (ranks - 1) / ranks
    message = size * ranks if op == "all_gather" else size
    sizes = {
        "bytes": xp.maximum(message, 1.0), "ranks": max(ranks, 2.0), "share": share, "peak": 1.0
    }  # fmt: skip
    return Figures("collective", sizes, name, framework or "nccl", floor_s=row.bound_s)


def _tokens(row: RowFigures) -> Number:
    return row.routing["rows"] / row.routing["top_k"]


def _routed(row: RowFigures, framework: str, xp: Any) -> Figures:
    """Rows on their way to the ranks that hold their experts, or back, as DeepEP sends them.

    Decode's few tokens go by its low-latency kernels, a prefill's by the others.
    """
    (_, ranks), size = next(iter(row.payload.items()))
    kernel = "ll" if _here(regime(row, xp) > 0) else "normal"
    rows, width = row.routing["rows"], row.routing["width"]
    sizes = {
        "tokens": xp.maximum(_tokens(row), 1.0), "hidden": width, "top_k": row.routing["top_k"],
        "experts": row.routing["experts"], "ranks": ranks, "nodes": 1.0, "units": UNITS,
        "x_bytes": size / (rows * width), "peak": 1.0,
    }  # fmt: skip
    way = "combine" if "combine" in row.name else "dispatch"
    return Figures("dispatch", sizes, way, framework, kernel, row.bound_s)


STREAMS = {
    "rms_norm": "input_layernorm",
    "layer_norm": "layernorm",
    "add": "add",
    "gated": "mlp_act",
    "softmax": "softmax",
    "gelu": "gelu",
    "rope": "attn_rope",
    "embedding": "emb",
    "quantize": "scale_matrix",
}
"""Kind of a row → the measured kernel that does the same; the norm's for all others."""


def _stream(row: RowFigures, framework: str, xp: Any) -> Figures:
    kernel = STREAMS.get(row.kind, "input_layernorm")
    dtype = "fp8" if kernel == "scale_matrix" else "fp16"
    moved = xp.maximum(row.bytes, 1.0)
    cols = _size(row, "width", xp, xp.minimum(moved, 4096.0))
    sizes = {"rows": xp.maximum(moved / (4 * cols), 1.0), "cols": cols, "bytes": moved}
    sizes |= {"flops": row.flops, "peak": 1e30}
    return Figures("stream", sizes, dtype, framework, kernel, row.bound_s)
