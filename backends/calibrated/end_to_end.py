"""Read end-to-end benchmarks of models whose sizes ``networks.toml`` states."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from mansard.backends.calibrated.facts import peak
from mansard.backends.calibrated.measured import CHIPS, Measurement, Record
from mansard.backends.calibrated.network import NETWORK
from mansard.backends.calibrated.parameters import Key
from mansard.backends.chips import load as load_chip

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
        path = folder / "e2e" / f"{name}.csv"
        if not path.is_file():
            continue
        with path.open(encoding="utf-8", newline="") as lines:
            for record in csv.DictReader(lines):
                found = _row(record, name in SERVED, path.name)
                if found is not None:
                    yield found


def _row(record: Record, served: bool, file: str) -> tuple[str, Measurement] | None:
    known = networks().get(record["model"])
    gpu = GPUS.get(record["gpu"]) or CHIPS.get(record["gpu"])
    usable = record["mode"] == ("agg" if served else "static-batch") and record["batch"]
    if known is None or gpu is None or not usable or record["osl"] in ("", "1"):
        return None
    name, sizes = known
    batch, isl, osl = (float(record[n]) for n in ("batch", "isl", "osl"))
    seconds = _seconds(record, served, batch, osl)
    if seconds is None:
        return None
    chip = load_chip(gpu)
    precision = record["precision"].partition("|")[0]
    weight, computes = {"fp4": (0.5625, "fp4"), "fp8": (1.0, "fp8")}.get(precision, (2.0, "bf16"))
    kv_bytes = 1.0 if served and precision else 2.0
    scenario = {"batch": batch, "isl": isl, "osl": osl, "served": float(served)}
    scenario |= {"tp": float(record["tp"] or 1), "w_bytes": weight, "kv_bytes": kv_bytes}
    full = {**sizes, **scenario, "peak": peak(chip, computes)}
    framework = record["framework"].partition("-")[0].lower() if served else record["framework"]
    key = Key("network", framework, precision, NETWORK.family(full))
    shape = tuple(full[n] for n in NETWORK.shape)
    return name, Measurement(key, chip.id, full, shape, seconds, ",".join(record.values()), file)


def _seconds(record: Record, served: bool, batch: float, osl: float) -> float | None:
    if served:
        return float(record["tpot_ms"]) * 1e-3 if record["tpot_ms"] else None
    if record["e2e_ms"]:
        return float(record["e2e_ms"]) * 1e-3
    return batch * osl / float(record["out_tok_s"]) if record["out_tok_s"] else None
