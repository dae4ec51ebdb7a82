"""Read folders of published measurements into kernels a form can be fitted on.

One reader per table; ``data/measured/README.md``, beside the data, says what columns mean.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mansard.backends.calibrated.collected import Parsed, Record, experts, kept_of, recurrence
from mansard.backends.calibrated.exchange import SHARE
from mansard.backends.calibrated.facts import peak
from mansard.backends.calibrated.parameters import Key
from mansard.backends.calibrated.registry import form, scheme
from mansard.backends.chips import load as load_chip
from mansard.backends.hardware import Hardware
from mansard.core.errors import SpecError

CHIPS = {
    "a100_sxm": "a100-sxm-80gb",
    "a100": "a100-sxm-80gb",
    "h100_sxm": "h100-sxm",
    "h100": "h100-sxm",
    "h200_sxm": "h200-sxm",
    "b200_sxm": "b200-sxm",
    "b300_sxm": "b300-sxm",
    "gb200": "gb200",
    "gb200_sxm": "gb200",
    "gb300": "gb300",
    "gb300_sxm": "gb300",
    "rtx_pro_6000": "rtx-pro-6000-server",
    "rtx4090": "rtx-4090",
    "a6000": "rtx-a6000",
    "h20": "h20",
    "l40s": "l40s",
    "b60": "arc-pro-b60",
}
"""Name of a chip in the tables → id of ours; names that are ids need no entry."""


@dataclass(frozen=True)
class Measurement:
    """One kernel with its time.

    Args:
        key: the set that would predict it.
        chip: id.
        sizes: of its form.
        shape: what is held back together.
        seconds: measured.
        text: the row as it stands in the file, for the digest.
        file: it stands in.
    """

    key: Key
    chip: str
    sizes: Mapping[str, float]
    shape: tuple[float, ...]
    seconds: float
    text: str
    file: str


def read(path: Path) -> Iterator[Measurement]:
    """Yield the measurements of one table; tables of other kinds yield none.

    Raises:
        SpecError: a column is missing or a number is not one.
    """
    reader = READERS.get(path.name.partition("__")[0])
    if reader is None:
        return
    with path.open(encoding="utf-8", newline="") as lines:
        for number, record in enumerate(csv.DictReader(lines), start=2):
            try:
                chip = load_chip(CHIPS.get(record["gpu"], record["gpu"]))
                kind, dtype, kernel, sizes = reader(record, chip)
                seconds = float(record["us"]) * 1e-6
            except (KeyError, ValueError) as error:
                raise SpecError(f"{path.name}, line {number}: {error!r}") from error
            law = form(kind)
            framework = record["src"].partition("-")[0]
            key = Key(kind, framework, dtype, law.family(sizes), kernel)
            shape = tuple(sizes[name] for name in law.shape)
            text = ",".join(record.values())
            yield Measurement(key, chip.id, sizes, shape, seconds, text, path.name)


def _number(record: Record, *names: str) -> list[float]:
    return [float(record[name] or 0) for name in names]


def _gemm(record: Record, chip: Hardware) -> Parsed:
    dtype = record["dtype"]
    x, w, computes = scheme(dtype)
    m, n, k = _number(record, "m", "n", "k")
    kernel = record["kernel"].partition(":")[0] if record["src"] != "vidur" else "torch"
    sizes = {"m": m, "n": n, "k": k, "x_bytes": x, "w_bytes": w, "quantised": float(x < 2)}
    return "gemm", dtype, kernel, sizes | {"peak": peak(chip, computes)}


def _attention(record: Record, chip: Hardware) -> Parsed:
    decode = record["phase"] == "decode"
    names = ("batch", "q_len", "kv_len", "heads", "kv_heads", "head_dim")
    batch, q, kv, heads, kv_heads, d = _number(record, *names)
    sizes = {"batch": batch, "q_len": q, "kv_len": kv, "heads": heads, "kv_heads": kv_heads}
    sizes |= {
        "qk": d,
        "v": d,
        "kept": kept_of(record, 2 * d),
        "kv_bytes": scheme(record["kv_dtype"])[0],
    }
    if record.get("kind") == "mla":
        sizes |= {"v": 512.0, "kept": 576.0}
    sizes["peak"] = peak(chip, "fp8" if record["dtype"] == "fp8" else "bf16")
    kind = "attention_decode" if decode else "attention_prefill"
    return kind, f"{record['dtype']}/{record['kv_dtype']}", record.get("kernel", ""), sizes


def _mla(record: Record, chip: Hardware) -> Parsed:
    decode = record["phase"] == "decode"
    batch, q, kv, heads = _number(record, "batch", "q_len", "kv_len", "heads_local")
    kv_bytes = scheme(record["kv_dtype"])[0]
    own = peak(chip, "fp8" if record["dtype"] == "fp8" else "bf16")
    sizes = {"batch": batch, "q_len": q, "kv_len": kv, "heads": heads, "kv_bytes": kv_bytes}
    sizes["peak"] = own
    dtype, kernel = f"{record['dtype']}/{record['kv_dtype']}", record["kernel"]
    if record["kind"] == "mla_module":
        _, weight, computes = scheme(record["gemm_dtype"])
        sizes |= {"w_bytes": weight, "w_peak": peak(chip, computes), "absorbed": float(decode)}
        return "mla_module", f"{dtype}/{record['gemm_dtype']}", kernel, sizes
    if decode:
        sizes |= {"kv_heads": 1.0, "qk": 576.0, "v": 512.0, "kept": 576.0}
        return "mla_decode", dtype, kernel, sizes
    sizes |= {"kv_heads": heads, "qk": 192.0, "v": 128.0, "kept": 320.0, "kv_bytes": 2.0}
    return "mla_prefill", dtype, kernel, sizes


def _comm(record: Record, chip: Hardware) -> Parsed:
    size, ranks = _number(record, "bytes", "gpus")
    share = SHARE[record["op"]] * (ranks - 1) / ranks
    sizes = {"bytes": size, "ranks": ranks, "share": share, "peak": 1.0}
    return "collective", record["op"], record["lib"], sizes


def _deepep(record: Record, chip: Hardware) -> Parsed:
    nodes, hidden, tokens, top_k, experts = _number(
        record, "nodes", "hidden", "tokens", "topk", "experts"
    )
    wide = 1.0 if record["op"] == "dispatch" else 2.0
    sizes = {
        "tokens": tokens, "hidden": hidden, "top_k": top_k, "experts": experts,
        "ranks": 8 * nodes, "nodes": nodes, "units": float(record["sms"] or 24),
        "x_bytes": wide, "peak": 1.0,
    }  # fmt: skip
    return "dispatch", record["op"], record["mode"], sizes


def _quantize(record: Record, chip: Hardware) -> Parsed:
    rows, cols = _number(record, "rows", "cols")
    moved = rows * cols * (3 if record["op"] == "scale_matrix" else 2)
    sizes = {"rows": rows, "cols": cols, "bytes": moved, "flops": 2 * rows * cols, "peak": 1e30}
    return "stream", record["dtype"], record["op"], sizes


def _elementwise(record: Record, chip: Hardware) -> Parsed:
    rows, cols = _number(record, "rows", "cols")
    moved = {"mlp_act": 3, "add": 3, "softmax": 2, "gelu": 2}.get(record["op"], 2)
    sizes = {"rows": rows, "cols": cols, "bytes": 2 * moved * rows * cols, "flops": 0.0}
    return "stream", record["dtype"], record["op"], sizes | {"peak": 1e30}


def _mla_bmm(record: Record, chip: Hardware) -> Parsed:
    tokens, heads = _number(record, "tokens", "heads")
    x, w, computes = scheme(record["dtype"])
    n, k = (512.0, 128.0) if record["op"].endswith("pre") else (128.0, 512.0)
    sizes = {"groups": heads, "rows": tokens, "n": n, "k": k, "x_bytes": x, "w_bytes": w}
    return "batched_gemm", record["dtype"], record["op"], sizes | {"peak": peak(chip, computes)}


READERS: dict[str, Callable[[Record, Hardware], Parsed]] = {
    "gemm": _gemm,
    "vidur_gemm": _gemm,
    "infersim_gemm": _gemm,
    "llmcompass_gemm": _gemm,
    "attn_prefill": _attention,
    "attn_decode": _attention,
    "infersim_attn": _attention,
    "mla": _mla,
    "moe": experts,
    "comm": _comm,
    "deepep": _deepep,
    "quantize": _quantize,
    "vidur_elementwise": _elementwise,
    "llmcompass_elementwise": _elementwise,
    "linear_attn": recurrence,
    "mla_bmm": _mla_bmm,
}
