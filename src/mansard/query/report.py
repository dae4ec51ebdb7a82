"""An estimate as the JSON document ``mansard.result/1``."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

from mansard.backends.estimate import Memory, Phase, Row
from mansard.query.missing import missing

if TYPE_CHECKING:
    from mansard.query.estimate import Estimate

SCHEMA = "mansard.result/1"

OP_FIELDS = (
    "name", "kind", "count", "flops", "bytes", "weight_bytes", "activation_bytes", "kv_bytes",
    "link_bytes", "intensity", "bound", "attainable_flops_per_s", "time_s", "share",
    "compute_dtype", "weight_encoding", "unit", "graph", "device", "dims", "flops_by_unit",
    "bytes_by_place",
)  # fmt: skip
"""What an op's row holds, in the contract's order; CSV has the same columns."""

CALIBRATED_FIELDS = ("ideal_s", "low_s", "high_s", "basis")
"""What a row of a calibrated estimate holds beside."""

PHASE_FIELDS = (
    "time_s", "flops", "bytes", "weight_bytes", "activation_bytes", "kv_bytes", "link_bytes",
    "bound", "time_by_resource_s", "overlapped_s",
)  # fmt: skip
METRICS = (
    "ttft_s", "tpot_s", "latency_s", "throughput_tok_s", "tokens_per_s_per_user", "energy_j",
    "cost", "cost_per_mtok",
)  # fmt: skip
MODEL_FIELDS = (
    "name", "source", "family", "params", "active_params", "kv_bytes_per_token", "state_bytes",
)  # fmt: skip


def result(estimate: Estimate) -> dict[str, Any]:
    """Return the whole document."""
    document = {
        "schema": SCHEMA,
        "mansard": _version(),
        "model": model_record(estimate),
        "hardware": {"name": estimate.chip.id, "devices": estimate.devices},
        "scenario": estimate.asked,
        "techniques": [
            {
                "name": t.name,
                "options": dict(t.options),
                "changed": t.changed,
                "notes": [f"{n.code}: {n.message}" for n in t.notes],
            }
            for t in estimate.techniques
        ],
        "estimate": estimate.kind,
        "phases": {name: phase_record(phase) for name, phase in estimate.phases.items()},
        "memory": memory_record(estimate.memory),
        "metrics": {name: getattr(estimate.metrics, name) for name in METRICS},
        "makes": estimate.makes,
        "unknown": missing(estimate),
        "warnings": [{"code": n.code, "message": n.message} for n in estimate.notes],
    }
    if estimate.calibrated is not None:
        document |= estimate.calibrated.to_dict()
    if estimate.backend:
        document |= {"backend": estimate.backend, "figures": dict(estimate.figures),
                     "assumes": list(estimate.assumes)}  # fmt: skip
    plain: dict[str, Any] = finite(document)
    return plain


@cache
def _version() -> str:
    from mansard.plugins.installed import version

    return version("mansard")


def model_record(estimate: Estimate) -> dict[str, Any]:
    """Return what is true of the model; of a file's graph, how it was understood too."""
    record = {name: getattr(estimate.model, name) for name in MODEL_FIELDS}
    resolution = estimate.program.origin.resolution
    return record if resolution is None else {**record, "resolution": resolution.to_dict()}


def phase_record(phase: Phase) -> dict[str, Any]:
    """Return a phase; decode says its first and last step too."""
    record = {name: getattr(phase, name) for name in PHASE_FIELDS}
    if phase.name == "decode":
        record |= {"first_step_s": phase.first_step_s, "last_step_s": phase.last_step_s}
    return record | {"ops": [op_record(row) for row in phase.ops]}


def op_record(row: Row) -> dict[str, Any]:
    """Return one op's row."""
    record = {name: getattr(row, name) for name in OP_FIELDS}
    if row.ideal_s is not None:
        record |= {name: getattr(row, name) for name in CALIBRATED_FIELDS}
    return record


def memory_record(memory: Memory) -> dict[str, Any]:
    """Return memory by what occupies it; of each pool where the schedule names several."""
    names = ("weights", "kv_cache", "activations", "overhead", "total", "capacity", "fits")
    record: dict[str, Any] = {name: getattr(memory, name) for name in names}
    if memory.pools:
        record["pools"] = {name: memory_record(pool) for name, pool in memory.pools.items()}
    return record


def finite(value: Any) -> Any:
    """Return a JSON value: mappings and sequences plain, NaN and infinity null."""
    kind = type(value)
    if kind is float:
        return value if math.isfinite(value) else None
    if kind is str or kind is int:
        return value
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
