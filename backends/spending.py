"""What an answer costs in money and energy, from its throughput; nothing where a figure is unknown.

Both count the time the devices are taken, batch after batch: a batch's tokens over the throughput.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from mansard.backends.estimate import Metrics
from mansard.backends.hardware import Hardware

T = TypeVar("T")
HOUR_S = 3600
MILLION = 1_000_000


def spent(
    metrics: Metrics, chip: Hardware, devices: int, batch: int, tokens: float | None,
    price: float | None,
) -> Metrics:  # fmt: skip
    """Return the metrics with energy and money of one batch.

    Energy takes every device at its thermal design power throughout: above what a memory-bound
    device draws, and for that long only; hosts, cooling and idle time are not counted.

    A backend that counted the energy itself is believed.

    Args:
        metrics: of the answer; without a throughput nothing is added.
        chip: its ``tdp_w``, where known.
        devices: that are taken.
        batch: sequences of it.
        tokens: each generates; None where there are none to pay for, and throughput is sequences.
        price: of a device and hour, in any currency; None for no cost.
    """
    rate = metrics.throughput_tok_s
    if not rate:
        return metrics
    device_s = devices * batch * (tokens or 1.0) / rate
    cost = None if price is None else price * device_s / HOUR_S
    return replace(
        metrics,
        energy_j=_at_tdp(chip, device_s) if metrics.energy_j is None else metrics.energy_j,
        cost=cost,
        cost_per_mtok=cost / (batch * tokens) * MILLION if cost is not None and tokens else None,
    )


def _at_tdp(chip: Hardware, device_s: float) -> float | None:
    return None if chip.tdp_w is None else chip.tdp_w * device_s
