"""Messages of a row, as measured collectives and exchanges of experts' rows know them."""

from __future__ import annotations

from typing import Any

from mansard.backends.calibrated.exchange import SHARE
from mansard.backends.calibrated.form import Number
from mansard.backends.calibrated.predict import Figures
from mansard.backends.calibrated.row_figures import RowFigures, first, here

LOW_LATENCY = 128.0  # tokens of a rank that its low-latency kernels take at most [SGLang's default]
UNITS = 24.0  # units the others run on, as measured


def largest(row: RowFigures, xp: Any) -> Number:
    """Return which of the payloads is the largest."""
    most, *others = row.payload.values()
    code: Number = 0.0
    for k, size in enumerate(others, 1):
        code, most = xp.where(size > most, 1.0 * k, code), xp.maximum(size, most)
    return code


def exchange_figures(row: RowFigures, framework: str, xp: Any) -> Figures:
    """A collective; measurements count the whole message, an all-gather's payload is one share."""
    (op, ranks), size = list(row.payload.items())[int(first(largest(row, xp)))]
    name = {"all_to_all": "alltoall"}.get(op, op)
    share = SHARE.get(name, 1.0) * (ranks - 1) / ranks
    message = size * ranks if op == "all_gather" else size
    sizes = {
        "bytes": xp.maximum(message, 1.0), "ranks": max(ranks, 2.0), "share": share, "peak": 1.0
    }  # fmt: skip
    return Figures("collective", sizes, name, framework or "nccl", floor_s=row.bound_s)


def _tokens(row: RowFigures) -> Number:
    return row.routing["rows"] / row.routing["top_k"]


def routed_regime(row: RowFigures, xp: Any) -> Number:
    """Return 1 where low-latency kernels send the rows, else 0."""
    return xp.where(_tokens(row) <= LOW_LATENCY, 1.0, 0.0)


def routed_figures(row: RowFigures, framework: str, xp: Any) -> Figures:
    """Rows on their way to the ranks that hold their experts, or back, as DeepEP sends them.

    Decode's few tokens go by its low-latency kernels, a prefill's by the others.
    """
    (_, ranks), size = next(iter(row.payload.items()))
    kernel = "ll" if here(routed_regime(row, xp) > 0) else "normal"
    rows, width = row.routing["rows"], row.routing["width"]
    sizes = {
        "tokens": xp.maximum(_tokens(row), 1.0), "hidden": width, "top_k": row.routing["top_k"],
        "experts": row.routing["experts"], "ranks": ranks, "nodes": 1.0, "units": UNITS,
        "x_bytes": size / (rows * width), "peak": 1.0,
    }  # fmt: skip
    way = "combine" if "combine" in row.name else "dispatch"
    return Figures("dispatch", sizes, way, framework, kernel, row.bound_s)
