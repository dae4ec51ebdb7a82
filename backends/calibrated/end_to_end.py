"""Read end-to-end benchmarks of models whose sizes ``networks.toml`` states."""

from __future__ import annotations

import csv
import math
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from mansard.backends.calibrated.collected import Record
from mansard.backends.calibrated.facts import peak
from mansard.backends.calibrated.measured import CHIPS, Measurement
from mansard.backends.calibrated.network import NETWORK
from mansard.backends.calibrated.parameters import Key
from mansard.backends.chips import load as load_chip
from mansard.backends.hardware import Hardware

GPUS = {
    "Nvidia A100": "a100-sxm-40gb",
    "Nvidia H100": "h100-sxm",
    "AMD MI250": "mi250",
    "A100": "a100-sxm-80gb",
    "H100": "h100-sxm",
    "H200": "h200-sxm",
}
"""Name in the tables → id of ours."""

STATIC = ("llm_inference_bench", "trtllm_perf_overview")
SERVED = ("inferencex_silicon",)
QUANTIZED = ("lib_quant",)
"""Tables whose precision says how weights and cache are stored: not one of ``network``'s sets."""
STORED = {
    "Weight = fp16, KV Cache = fp16": "fp16",
    "Weight = fp16, KV Cache = fp8": "fp8 cache",
    "Weight = fp8, KV Cache = fp8": "fp8",
}
"""What they say → what their rows' dtype is called."""
FIRST = ("lib_ttft", "trtllm_perf_overview")
"""Tables with the time to the first token of static batches, measured as batches of one token."""
RESERVED = 0.9
"""Share of the memory an engine fills."""


@cache
def networks() -> Mapping[str, tuple[str, Mapping[str, float]]]:
    """Return name in the tables → (id, sizes) of every model we know."""
    path = files("mansard.backends.calibrated").joinpath("networks.toml")
    table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))["model"]
    plain = {"expert_parameters": 0.0, "experts": 0.0, "top_k": 0.0}
    found: dict[str, tuple[str, Mapping[str, float]]] = {}
    for name, entry in table.items():
        sizes = plain | {k: float(v) for k, v in entry.items() if k != "names"}
        found |= dict.fromkeys(entry["names"], (name, sizes))
    return found


def read(folder: Path) -> Iterator[tuple[str, Measurement]]:
    """Yield (model, measurement) of the end-to-end tables of a folder that can be judged."""
    for name in (*STATIC, *SERVED):
        for record in _records(folder, name):
            if record["osl"] not in ("", "1"):
                yield from _row(record, name in SERVED, f"{name}.csv")


def read_quantized(folder: Path) -> Iterator[tuple[str, Measurement]]:
    """Yield (model, measurement) of static batches whose weights or cache are stored narrow."""
    for name in QUANTIZED:
        for record in _records(folder, name):
            if record["precision"] in STORED:
                one = {**record, "precision": STORED[record["precision"]]}
                yield from _row(one, False, f"{name}.csv")


def read_first(folder: Path) -> Iterator[tuple[str, Measurement]]:
    """Yield (model, measurement) of first tokens: static batches of one token, in one prefill."""
    for name in FIRST:
        for record in _records(folder, name):
            if record["ttft_ms"]:
                one = {**record, "osl": "1", "e2e_ms": record["ttft_ms"]}
                yield from _row(one, False, f"{name}.csv")


def _records(folder: Path, name: str) -> Iterator[Record]:
    path = folder / "e2e" / f"{name}.csv"
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as lines:
            yield from csv.DictReader(lines)


def _row(record: Record, served: bool, file: str) -> Iterator[tuple[str, Measurement]]:
    known = networks().get(record["model"])
    gpu = GPUS.get(record["gpu"]) or CHIPS.get(record["gpu"])
    usable = record["mode"] == ("agg" if served else "static-batch") and record["batch"]
    if known is None or gpu is None or not usable:
        return
    name, sizes = known
    isl, osl = float(record["isl"]), float(record["osl"])
    tp, dp = _layout(record)
    clients = record["concurrency"] if served else ""
    batch = float(clients) / dp if clients else float(record["batch"])
    seconds = _seconds(record, served, batch, osl)
    if seconds is None:
        return
    chip = load_chip(gpu)
    precision = record["precision"].partition("|")[0]
    weight, computes = {"fp4": (0.5625, "fp4"), "fp8": (1.0, "fp8")}.get(precision, (2.0, "bf16"))
    # TensorRT-LLM's fp8 engines keep the cache in fp8: 120 sequences of 128 + 2048 tokens of
    # LLaMA 7B on H200 are measured faster than a 16-bit cache can be read.
    kv_bytes = 1.0 if (served and precision) or precision in ("fp8", "fp8 cache") else 2.0
    scenario = {"batch": batch, "isl": isl, "osl": osl, "served": float(served)}
    scenario |= {"tp": tp, "dp": dp, "w_bytes": weight, "kv_bytes": kv_bytes}
    full = {**sizes, **scenario, "peak": peak(chip, computes)}
    if served:
        full["batch"] = min(batch, _room(full, chip, isl + osl / 2))
    elif batch > _room(full, chip, isl + osl):
        return  # it runs in waves: no static batch of what the table says
    framework = record["framework"].partition("-")[0].lower() if served else record["framework"]
    key = Key("network", framework, precision, NETWORK.family(full))
    shape = tuple(full[n] for n in NETWORK.shape)
    yield name, Measurement(key, chip.id, full, shape, seconds, ",".join(record.values()), file)


def _room(z: Mapping[str, float], chip: Hardware, tokens: float) -> float:
    """Return how many sequences so long fit beside the weights of a group of ranks; others queue.

    Engines take 0.9 of the memory (vLLM's default ``gpu_memory_utilization``).
    """
    capacity = RESERVED * float(chip.capacity_bytes)
    ranks = z["tp"] * z["dp"]
    weights = (z["parameters"] / z["tp"] + z["expert_parameters"] / ranks) * z["w_bytes"]
    each = tokens * z["layers"] * z["cache"] * z["kv_bytes"] / min(z["tp"], z["kv_heads"])
    return max((capacity - weights) / each, 1.0)


def _layout(record: Record) -> tuple[float, float]:
    """Return (ranks that share a layer, groups of them that share the experts).

    ``moe_tp`` times ``ep`` ranks hold the experts; where the table says no ``dp``, the rest of
    them attend to sequences of their own. Some rows say the square: ``tp`` times ``dp`` is 16 or
    64 on 4 or 8 chips, as the names of their sources and equal rows written right show.
    """
    tp, ep, dp = (float(record.get(n) or "nan") for n in ("tp", "ep", "dp"))
    tp = 1.0 if math.isnan(tp) else tp
    note = record.get("note", "")
    moe_tp = float(note.removeprefix("moe_tp=")) if note.startswith("moe_tp=") else 1.0
    ranks = moe_tp * (1.0 if math.isnan(ep) else ep)
    if math.isnan(dp):
        return tp, max(ranks / tp, 1.0)
    if ep == moe_tp > 1 and tp * dp == ep * ep:
        return (1.0, ep) if dp > 1 else (ep, 1.0)
    if tp == dp > 1 and ep == tp * dp:
        return 1.0, dp
    return tp, dp


def _seconds(record: Record, served: bool, batch: float, osl: float) -> float | None:
    if served:
        return float(record["tpot_ms"]) * 1e-3 if record["tpot_ms"] else None
    if record["e2e_ms"]:
        return float(record["e2e_ms"]) * 1e-3
    return batch * osl / float(record["out_tok_s"]) if record["out_tok_s"] else None
