"""From a row of the cost table to what a prediction needs of it.

The same code reads one row in plain floats and a sweep's rows in arrays, with ``xp`` their
functions. What chooses a kernel (prefill or decode, a narrow cache) is read off the first point:
``regime`` says which points choose alike.
"""

from __future__ import annotations

from typing import Any

from mansard.backends.calibrated.attention_rows import attention_figures, attention_regime
from mansard.backends.calibrated.exchange_rows import (
    exchange_figures,
    largest,
    routed_figures,
    routed_regime,
)
from mansard.backends.calibrated.facts import peak
from mansard.backends.calibrated.form import PLAIN, Number
from mansard.backends.calibrated.lookup import family_of
from mansard.backends.calibrated.predict import Figures
from mansard.backends.calibrated.row_figures import DECODE_LEN, RowFigures, here, size_of
from mansard.backends.hardware import Hardware

DEEPEP = ("", "sglang")  # engines whose exchange of experts' rows was measured; nccl's of others
SWITCHED = ("hopper", "blackwell")  # families whose chips it was measured on
STATE = 128.0 * 128.0  # elements of a head's state [Yang 2024 GDN, §4]
COLD = 1e18  # bytes no level holds
BLOCK = "_block"  # ends the name of a scheme whose weights have a scale for each block
WIDE = ("bf16", "fp16", "fp32", "tf32", "bfloat16", "float16")


def figures(row: RowFigures, chip: Hardware, framework: str = "", xp: Any = PLAIN) -> Figures:
    """Return what predicting the row needs: the form that knows it, else a stream of its bytes."""
    if row.routing and framework in DEEPEP and family_of(chip) in SWITCHED:
        return routed_figures(row, framework, xp)
    if row.payload:
        return exchange_figures(row, framework, xp)
    match row.kind:
        case "linear" | "matmul" | "convolution" if {"m", "n", "k"} <= row.dims.keys():
            return _product(row, chip, framework, xp)
        case "grouped_linear" if {"m", "n", "k", "groups"} <= row.dims.keys():
            return _experts(row, chip, framework, xp)
        case "block_linear" if {"m", "n", "k", "groups"} <= row.dims.keys():
            groups, m, n, k = (size_of(row, name, xp) for name in ("groups", "m", "n", "k"))
            return _batched(row, chip, framework, (groups, m, n, k), here(n >= k))
        case "attention" if {"batch", "q_len", "kv_len"} <= row.dims.keys():
            return attention_figures(row, chip, framework, xp)
        case "scores" | "values" | "partial_values" if "kv_len" in row.dims:
            return _unfused(row, chip, framework, xp)
    if "state" in row.dims:
        return _scan(row, chip, framework, xp)
    return _stream(row, framework, xp)


def regime(row: RowFigures, xp: Any = PLAIN) -> Number:
    """Return a number that is equal where the same kernel serves a row."""
    if row.routing:
        return routed_regime(row, xp)
    if row.payload:
        return largest(row, xp)
    if row.kind == "attention" and {"batch", "q_len", "kv_len"} <= row.dims.keys():
        return attention_regime(row, xp)
    if "state" in row.dims:
        return xp.where(size_of(row, "q_len", xp) <= DECODE_LEN, 1.0, 0.0)
    return 0.0


def scheme_of(x_dtype: str, w_dtype: str) -> tuple[str, float, float, str]:
    """Return (scheme, bytes of an activation, bytes of a weight, compute dtype) of stored dtypes.

    >>> scheme_of("bf16", "int4")
    ('int4_wo', 2.0, 0.516, 'bf16')
    """
    x, w = x_dtype.lower(), w_dtype.lower()
    computes = "fp16" if x == "fp16" else "bf16"
    if "fp4" in w or "e2m1" in w:
        return _four_bits(x, w, computes)
    if w.startswith(("fp8", "e4m3", "e5m2")):
        return ("fp8", 2.0, 1.0, computes) if x in WIDE else ("fp8", 1.0, 1.0, "fp8")
    if w.startswith(("int4", "uint4", "int3", "int2")):
        return "int4_wo", 2.0, 0.516, computes
    if w.startswith(("int8", "uint8")):
        return ("int8_wo", 2.0, 1.0, computes) if x in WIDE else ("sq", 1.0, 1.0, "int8")
    if w in ("fp32", "tf32"):
        return "float32", 4.0, 4.0, w
    return "bfloat16", 2.0, 2.0, computes  # fp16 runs the same kernels at the same rate


def _four_bits(x: str, w: str, computes: str) -> tuple[str, float, float, str]:
    """Return the scheme of weights in fp4: nvfp4 has 16 to a scale, mxfp4 32."""
    by_16 = "g16s" in w
    bits, name = (0.5625, "nvfp4") if by_16 else (0.531, "mxfp4")
    if x in WIDE:
        return f"w4a16_{name}", 2.0, bits, computes
    if "fp4" in x or "e2m1" in x:
        return ("mxfp4", bits, bits, "fp4") if "g32s" in w else ("nvfp4", 0.5625, 0.5625, "fp4")
    return (
        ("w4a8_nvfp4_fp8", 1.0, bits, "fp8") if by_16 else ("w4a8_mxfp4_mxfp8", 1.031, bits, "fp8")
    )


def _dtypes(row: RowFigures) -> tuple[str, float, float, str]:
    """Weights count as they lie: a product whose dequantize is fused reads the narrow ones."""
    stored = row.weight.lstrip("mxnv") or str(row.dims.get("w_dtype", "bf16"))
    scheme, x, w, computes = scheme_of(str(row.dims.get("x_dtype", "bf16")), stored)
    return f"{scheme}{BLOCK}" if row.blocks else scheme, x, w, computes


def _product(row: RowFigures, chip: Hardware, framework: str, xp: Any) -> Figures:
    """A product; activations that are stored narrow were quantised by a row of their own."""
    scheme, x, w, computes = _dtypes(row)
    sizes = {n: size_of(row, n, xp) for n in ("m", "n", "k")}
    sizes |= {"x_bytes": x, "w_bytes": w, "quantised": 0.0, "peak": peak(chip, computes)}
    return Figures("gemm", sizes, scheme, framework, floor_s=row.bound_s)


def _experts(row: RowFigures, chip: Hardware, framework: str, xp: Any) -> Figures:
    """One of a layer's grouped products, as its share of the fused kernel that was measured.

    What was measured launches, sorts and multiplies by three matrices at once; a product that is
    gate and up together is two of them. Experts hit follow from the bytes it reads.
    """
    scheme, _, w, computes = _dtypes(row)
    m, n, k, groups = (size_of(row, name, xp) for name in ("m", "n", "k", "groups"))
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


def _batched(
    row: RowFigures, chip: Hardware, framework: str,
    sizes: tuple[Number, Number, Number, Number], widens: bool,
) -> Figures:  # fmt: skip
    """A product for each of ``(groups, rows, n, k)``, of which those around a latent were measured.

    One widens (into the latent), the other narrows. In fp8 they were measured with the kernel that
    quantises, which is a row of its own here: narrow ones are wide ones of fewer bytes.
    """
    groups, rows, n, k = sizes
    _, x, w, computes = _dtypes(row)
    kernel = "mla_gen_pre" if widens else "mla_gen_post"
    asked = {"groups": groups, "rows": rows, "n": n, "k": k, "x_bytes": x, "w_bytes": w}
    asked["peak"] = peak(chip, computes)
    return Figures("batched_gemm", asked, "bfloat16", framework, kernel, row.bound_s)


def _unfused(row: RowFigures, chip: Hardware, framework: str, xp: Any) -> Figures:
    """Half an attention whose scores lie in memory: a product for each head of the cache."""
    names = ("batch", "heads", "kv_heads", "q_len", "kv_len", "head_dim")
    batch, heads, kv_heads, q, kv, d = (size_of(row, name, xp) for name in names)
    scores = row.kind == "scores"
    sizes = batch * kv_heads, q * heads / kv_heads, *((kv, d) if scores else (d, kv))
    return _batched(row, chip, framework, sizes, scores)


def _tile(mean: Number, xp: Any) -> Number:
    """Return the rows of a tile: the power of two, from 16 to 128, that holds a mean load."""
    wide = xp.where(mean < 65.0, 64.0, 128.0)
    return xp.where(mean < 17.0, 16.0, xp.where(mean < 33.0, 32.0, wide))


def _scan(row: RowFigures, chip: Hardware, framework: str, xp: Any) -> Figures:
    """A recurrence over a state, or the short convolution before one.

    Between two steps of decode all other layers' bytes pass, so no state waits on chip.
    """
    batch, q = size_of(row, "batch", xp), size_of(row, "q_len", xp)
    width, state = size_of(row, "width", xp), size_of(row, "state", xp)
    decodes = here(q <= DECODE_LEN)
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
    cols = size_of(row, "width", xp, xp.minimum(moved, 4096.0))
    sizes = {"rows": xp.maximum(moved / (4 * cols), 1.0), "cols": cols, "bytes": moved}
    sizes |= {"flops": row.flops, "peak": 1e30}
    return Figures("stream", sizes, dtype, framework, kernel, row.bound_s)
