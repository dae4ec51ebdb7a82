"""What forms need of a chip, from its datasheet."""

from __future__ import annotations

from mansard.backends.calibrated.form import ChipFacts
from mansard.backends.hardware import Hardware

PORT = 64.0
"""Bytes a unit takes from the last level in a clock [Jia 2018]."""
OVER = 6.0
"""Speed of a last level over its memory, at most: what a fit may find (``resident``)."""


def facts(chip: Hardware) -> ChipFacts:
    """Return what forms need of a chip; what it does not state is a guess in proportion."""
    link = chip.link_bytes_per_s or chip.host_link_bytes_per_s or 32e9
    return ChipFacts(
        bytes_per_s=float(chip.bandwidth_bytes_per_s),
        sms=float(chip.unit_count or 100),
        cache_bytes=float(chip.onchip_bytes or 40 * 2**20),
        link_bytes_per_s=float(link),
        level_bytes_per_s=_level(chip),
    )


def _level(chip: Hardware) -> float:
    """Return the rate of the last level on chip: as stated, else the most it can be taken for."""
    if chip.onchip_bytes_per_s:
        return float(chip.onchip_bytes_per_s)
    most = OVER * float(chip.bandwidth_bytes_per_s)
    if not chip.clock_hz or not chip.unit_count:
        return most
    return min(most, PORT * chip.unit_count * float(chip.clock_hz))


def peak(chip: Hardware, dtype: str) -> float:
    """Return the matrix rate of a compute dtype; infinite where the chip states none."""
    return float(chip.peak("matrix", dtype).flops_per_s or float("inf"))
