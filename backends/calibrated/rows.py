"""From a row of the cost table to what a prediction needs of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mansard.backends.calibrated.exchange import SHARE
from mansard.backends.calibrated.facts import peak
from mansard.backends.calibrated.predict import Figures
from mansard.backends.hardware import Hardware

DECODE_LEN = 8.0  # new tokens a decode kernel still serves, as speculation verifies them
WIDE = ("bf16", "fp16", "fp32", "tf32", "bfloat16", "float16")


@dataclass(frozen=True)
class RowFigures:
    """The numbers of one row.

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
        dequantized: whether it decodes an operand itself.
    """

    kind: str
    dims: Mapping[str, float | str]
    flops: float = 0.0
    bytes: float = 0.0
    payload: Mapping[tuple[str, float], float] = field(default_factory=dict)
    weight: str = ""
    bound_s: float = 0.0
    name: str = ""
    cache_bytes: float = 0.0
    dequantized: bool = False


def figures(row: RowFigures, chip: Hardware, framework: str = "") -> Figures:
    """Return what predicting the row needs: the form that knows it, else a stream of its bytes."""
    if row.payload:
        return _exchange(row, framework)
    match row.kind:
        case "linear" | "matmul" | "convolution" if {"m", "n", "k"} <= row.dims.keys():
            return _product(row, chip, framework)
        case "grouped_linear" | "block_linear" if {"m", "n", "k", "groups"} <= row.dims.keys():
            return _experts(row, chip, framework)
        case "attention" if {"batch", "q_len", "kv_len"} <= row.dims.keys():
            return _attention(row, chip, framework)
    if "state" in row.dims:
        return _scan(row, chip, framework)
    return _stream(row, framework)


def _size(row: RowFigures, name: str, otherwise: float = 1.0) -> float:
    value = row.dims.get(name, otherwise)
    return otherwise if isinstance(value, str) else max(float(value), 1.0)


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


def _product(row: RowFigures, chip: Hardware, framework: str) -> Figures:
    """A product; activations that are stored narrow were quantised by a row of their own."""
    scheme, x, w, computes = _dtypes(row)
    sizes = {n: _size(row, n) for n in ("m", "n", "k")}
    sizes |= {"x_bytes": x, "w_bytes": w, "quantised": 0.0, "peak": peak(chip, computes)}
    return Figures("gemm", sizes, scheme, framework, floor_s=row.bound_s)


def _experts(row: RowFigures, chip: Hardware, framework: str) -> Figures:
    """One of a layer's grouped products, as its share of the fused kernel that was measured.

    What was measured launches, sorts and multiplies by three matrices at once; a product that is
    gate and up together is two of them. Experts hit follow from the bytes it reads.
    """
    scheme, _, w, computes = _dtypes(row)
    m, n, k, groups = (_size(row, name) for name in ("m", "n", "k", "groups"))
    active = min(max((row.bytes - 2 * m * (n + k)) / (n * k * w), 1.0), groups, m)
    tile = min(max(2.0 ** (int(m / groups) - 1).bit_length(), 16.0), 128.0)
    merged = 2.0 if "gate_up" in row.name else 1.0
    inter = n / merged
    sizes = {
        "tokens": m, "top_k": 1.0, "experts": groups, "rows": m, "active": active, "tile": tile,
        "tiles": max(m / tile, active), "hidden": k, "inter": inter, "model_inter": inter,
        "matrices": 3.0, "w_bytes": w, "peak": peak(chip, computes),
    }  # fmt: skip
    return Figures("moe", sizes, scheme, framework, floor_s=row.bound_s, share=merged / 3.0)


def _scan(row: RowFigures, chip: Hardware, framework: str) -> Figures:
    """A recurrence over a state, or the short convolution before one."""
    batch, q = _size(row, "batch"), _size(row, "q_len")
    width, state = _size(row, "width"), _size(row, "state")
    decodes = q <= DECODE_LEN
    phase = "generation" if decodes else "context"
    heads = max(width / 128, 1.0)
    if row.kind == "causal_conv":
        kernel = "gdn/causal_conv1d_update" if decodes else "gdn/causal_conv1d_fn"
        blocks = batch * q * width / 512
    else:
        rule = "fused_recurrent" if decodes else "chunk"
        kernel = f"gdn/{rule}_gated_delta_rule"
        blocks = batch * heads
    sizes = {
        "bytes": max(row.bytes, 1.0), "flops": row.flops, "blocks": blocks,
        "steps": 1.0 if decodes else max(q / 64, 1.0), "batch": batch,
        "tokens": batch * q, "width": width, "heads": heads, "state": state,
        "peak": peak(chip, "bf16"),
    }  # fmt: skip
    return Figures("scan", sizes, phase, framework, kernel, row.bound_s)


def _attention(row: RowFigures, chip: Hardware, framework: str) -> Figures:
    heads = _size(row, "heads")
    d, kv_heads = _size(row, "head_dim", 128.0), _size(row, "kv_heads", heads)
    latent = kv_heads == 1 and d > 512
    q, kv = _size(row, "q_len"), _size(row, "kv_len")
    kv_bytes, kv = _cached(row, d if latent else 2 * d, kv_heads, max(kv, q))
    narrow = kv_bytes < 1.5
    sizes = {
        "batch": _size(row, "batch"), "q_len": q, "kv_len": max(kv, q), "heads": heads,
        "kv_heads": kv_heads, "qk": d, "v": 512.0 if latent else d,
        "kept": d if latent else 2 * d, "kv_bytes": kv_bytes,
        "peak": peak(chip, "bf16"),
    }  # fmt: skip
    decodes = q <= DECODE_LEN and kv > q
    family = "mla" if latent else "attention"
    name = f"{family}_{'decode' if decodes else 'prefill'}"
    dtype = f"bfloat16/{'fp8' if narrow else 'bfloat16'}"
    return Figures(name, sizes, dtype, framework, floor_s=row.bound_s)


def _cached(row: RowFigures, kept: float, kv_heads: float, kv: float) -> tuple[float, float]:
    """Return (bytes of a cached element, keys that are read), from the bytes that are.

    A cache that is decoded inside the kernel is narrower than its dtype says; one that is not is
    read in part, as windows and budgets do.
    """
    written = str(row.dims.get("kv_dtype", "bf16")).lower()
    plain = 1.0 if written.startswith(("fp8", "int8", "e4m3")) else 2.0
    elements = _size(row, "batch") * kv_heads * kept * kv
    read = row.cache_bytes / elements
    if not 0.0 < read < plain * 0.999:
        return plain, kv
    if row.dequantized:
        return max(read, 0.25), kv
    return plain, max(kv * read / plain, _size(row, "q_len"))


def _exchange(row: RowFigures, framework: str) -> Figures:
    """A collective; measurements count the whole message, an all-gather's payload is one share."""
    (op, ranks), size = max(row.payload.items(), key=lambda item: item[1])
    name = {"all_to_all": "alltoall"}.get(op, op)
    share = SHARE.get(name, 1.0) * (ranks - 1) / ranks
    message = size * ranks if op == "all_gather" else size
    sizes = {"bytes": max(message, 1.0), "ranks": max(ranks, 2.0), "share": share, "peak": 1.0}
    return Figures("collective", sizes, name, framework or "nccl", floor_s=row.bound_s)


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


def _stream(row: RowFigures, framework: str) -> Figures:
    kernel = STREAMS.get(row.kind, "input_layernorm")
    dtype = "fp8" if kernel == "scale_matrix" else "fp16"
    moved = max(row.bytes, 1.0)
    cols = _size(row, "width", min(moved, 4096.0))
    sizes = {"rows": max(moved / (4 * cols), 1.0), "cols": cols, "bytes": moved}
    sizes |= {"flops": row.flops, "peak": 1e30}
    return Figures("stream", sizes, dtype, framework, kernel, row.bound_s)
