"""Whole static batches put together from kernels, beside what was measured of them.

Engines are fitted on these rows: the sum of the kernels is what ``--estimate calibrated`` says,
and what an engine adds is left over. This stands above backends and frontends, for it needs both.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from mansard.backends.calibrated import end_to_end
from mansard.backends.calibrated.engine import ENGINE
from mansard.backends.calibrated.estimate import compose, estimate
from mansard.backends.calibrated.first_tokens import Figure, StaticBatch
from mansard.backends.calibrated.measured import Measurement
from mansard.backends.calibrated.parameters import Key
from mansard.backends.chips import load
from mansard.backends.cluster import Cluster, cluster
from mansard.backends.roofline import estimate as roofline
from mansard.ir.program import Program
from mansard.query.source import load_with
from mansard.query.techniques import apply_techniques

FRAMEWORKS = {
    "vLLM": "vllm",
    "TensorRT-LLM": "trtllm",
    "Deepspeed-MII": "deepspeed-mii",
    "llama.cpp": "llama.cpp",
}
"""Engines as the tables name them, versions left out → as calibrations do."""

CHECKPOINTS = {
    "llama-2-7b": "llama-2-7b",
    "mistral-7b": "mistral-7b-v0.1",
    "llama-3-8b": "llama-3.1-8b",
    "gpt-j-6b": "gpt-j-6b",
    "llama-2-70b": "llama-2-70b",
    "llama-3-70b": "llama-3.1-70b",
    "opt-6.7b": "opt-6.7b",
    "bloom-7b1": "bloom-7b1",
    "decilm-7b": "mistral-7b-v0.1",
}
"""Models of ``networks.toml`` → bundled ones of the same sizes."""

NARROW = {
    "fp8": ("quantize{weights=fp8 activations=fp8 kv=fp8}",),
    "fp8 cache": ("quantize{kv=fp8}",),
}
"""Precision of rows that are stored narrow → the techniques that make it so."""

SETTINGS = {"decilm-7b": {"num_key_value_heads": "4"}}
"""What differs from the bundled one: vLLM gives every layer of DeciLM the most heads of any, four
[vllm/model_executor/models/decilm.py]."""


def engine_of(framework: str) -> str:
    """Return what calibrations call an engine: ``TensorRT-LLM-0.9.0`` is ``trtllm``.

    >>> engine_of("TensorRT-LLM-0.9.0"), engine_of("vLLM")
    ('trtllm', 'vllm')
    """
    for name, known in FRAMEWORKS.items():
        if framework.lower().startswith(name.lower()):
            return known
    return framework.lower()


def composed(folder: Path) -> Iterator[Measurement]:
    """Yield the static batches of a folder, whole and to the first token, their kernels summed."""
    tables = (end_to_end.read, end_to_end.read_quantized, end_to_end.read_first)
    for model, row in (found for table in tables for found in table(folder)):
        if row.key.family == "static" and model in CHECKPOINTS:
            yield _composed(model, row)


def _composed(model: str, row: Measurement) -> Measurement:
    z = row.sizes
    engine = engine_of(row.key.framework)
    program, on = _spread(model, row.chip, int(z["tp"]), row.key.dtype)
    scenario = {"batch": int(z["batch"]), "prompt": int(z["isl"]), "output": int(z["osl"])}
    parts = compose(program, on, scenario, engine)
    sizes = {n: z[n] for n in ("layers", "hidden", "parameters", "tp", "batch")}
    sizes |= {"steps": z["osl"], "peak": 1.0, "bound_s": parts.bound_s}
    sizes |= {"prefill_s": parts.prefill_s, "decode_s": parts.decode_s}
    sizes |= {"attention_s": parts.attention_s, "grouped_s": parts.grouped_s}
    kernels_s = parts.prefill_s + parts.decode_s + parts.attention_s + parts.grouped_s
    sizes["widen_s"] = parts.widen_s
    sizes |= {"prompt": z["isl"], "kernels_low": parts.low_s / kernels_s}
    sizes |= {"kernels_high": parts.high_s / kernels_s}
    shape = tuple(sizes[name] for name in ENGINE.shape)
    key = Key("engine", engine)
    return Measurement(key, row.chip, sizes, shape, row.seconds, row.text, row.file)


def static_batches(folder: Path) -> Iterator[StaticBatch]:
    """Yield the static batches whose first token was measured too, as the sets that ship say."""
    path = folder / "e2e" / "lib_ttft.csv"
    if not path.is_file():
        return
    with path.open(encoding="utf-8", newline="") as lines:
        for record in csv.DictReader(lines):
            model, _ = end_to_end.networks()[record["model"]]
            yield _static(model, record)


def _static(model: str, record: Mapping[str, str]) -> StaticBatch:
    chip, engine = end_to_end.GPUS[record["gpu"]], engine_of(record["framework"])
    program, on = _spread(model, chip, int(record["tp"]), "")
    names = {"batch": "batch", "prompt": "isl", "output": "osl"}
    scenario = {symbol: int(record[name]) for symbol, name in names.items()}
    found = estimate(program, on, scenario, framework=engine)
    bound = roofline(program, on, scenario, ()).metrics
    m = found.metrics
    assert m.ttft_s is not None
    assert m.latency_s is not None
    assert bound.ttft_s is not None
    assert bound.latency_s is not None
    first, whole = (float(record[name]) * 1e-3 for name in ("ttft_ms", "e2e_ms"))
    return StaticBatch(
        chip, engine, model,
        Figure(first, bound.ttft_s, m.ttft_s, found.bands["ttft_s"]),
        Figure(whole, bound.latency_s, m.latency_s, found.bands["latency_s"]),
    )  # fmt: skip


@cache
def _spread(model: str, chip: str, tp: int, dtype: str) -> tuple[Program, Cluster]:
    """Return a model after its passes, and the devices it is spread over."""
    techniques = [*NARROW.get(dtype, ())]
    techniques += [f"parallel{{tp={tp}}}"] * (tp > 1)
    loaded = load_with(CHECKPOINTS[model], SETTINGS.get(model, {}))
    program, _ = apply_techniques(loaded, techniques, "O1")
    return program, cluster(load(chip), 1, tp, None, dict(program.mesh))
