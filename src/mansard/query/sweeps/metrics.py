"""Metrics of a sweep: the engine's figures, and what follows from them, as the JSON has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mansard.backends.hardware import Hardware
from mansard.backends.spending import HOUR_S, MILLION
from mansard.core.errors import unknown_name
from mansard.query.beside import FIGURES_BESIDE
from mansard.query.calibration import CALIBRATED
from mansard.query.metrics import HIGHER, METRICS, NEITHER

FIGURES = (
    "ttft", "tpot", "latency", "throughput", "tokens_per_s_per_user", "memory", "capacity",
    "period",
)  # fmt: skip
"""What the engine is asked for of every row."""
SHOWN = (
    "ttft", "tpot", "latency", "throughput", "tokens_per_s_per_user", "memory", "capacity",
    "energy", "cost", "cost_per_mtok",
)  # fmt: skip
FIELDS = tuple(METRICS[name].field for name in SHOWN)
"""Columns of a result that are metrics, in order; ``fits`` follows from two of them."""
FITS = "fits"
MAKES = "makes"
"""What the throughput of a row counts."""
KNOWN = tuple(name for name, m in METRICS.items() if m.better != NEITHER)
"""What a sweep may be reduced by."""


def figures_of(kind: str) -> tuple[str, ...]:
    """Return what the engine is asked for of every row of an estimate."""
    return (*FIGURES, *FIGURES_BESIDE) if kind == CALIBRATED else FIGURES


_FROM = {"energy": "period", "cost": "period", "cost_per_mtok": "throughput"}


def read_metric(name: str) -> str:
    """Return the metric a name or a field of the JSON stands for.

    Raises:
        UnknownNameError: there is none.
    """
    by_field = {m.field: n for n, m in METRICS.items()}
    found = by_field.get(name, name)
    if found not in KNOWN:
        raise unknown_name("metric", name, KNOWN)
    return found


def sign(metric: str) -> float:
    """Return what a metric is multiplied by so that less is better."""
    return -1.0 if METRICS[metric].better == HIGHER else 1.0


def figure_of(metric: str) -> str:
    """Return the engine's figure a metric is, or follows from."""
    return _FROM.get(metric, metric)


def valued(
    metric: str, figures: Mapping[str, Any], chip: Hardware, devices: int, price: float | None
) -> Any:
    """Return a metric from the engine's figures; NaN where it is unknown.

    Args:
        metric: by name.
        figures: ``figure_of`` it, at least.
        chip: for its power.
        devices: of it.
        price: of a device and hour.
    """
    value = figures[figure_of(metric)]
    nan = float("nan")
    match metric:
        case "energy":
            return value * (nan if chip.tdp_w is None else float(chip.tdp_w) * devices)
        case "cost":
            return value * (nan if price is None else price * devices / HOUR_S)
        case "cost_per_mtok":
            return (nan if price is None else price * devices / HOUR_S * MILLION) / value
    return value
