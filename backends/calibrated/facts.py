"""What forms need of a chip, from its datasheet."""

from __future__ import annotations

from mansard.backends.calibrated.form import ChipFacts
from mansard.backends.hardware import Hardware


def facts(chip: Hardware) -> ChipFacts:
    """Return what forms need of a chip; what it does not state is a guess in proportion."""
    link = chip.link_bytes_per_s or chip.host_link_bytes_per_s or 32e9
    return ChipFacts(
        bytes_per_s=float(chip.bandwidth_bytes_per_s),
        sms=float(chip.unit_count or 100),
        cache_bytes=float(chip.onchip_bytes or 40 * 2**20),
        link_bytes_per_s=float(link),
    )


def peak(chip: Hardware, dtype: str) -> float:
    """Return the matrix rate of a compute dtype; infinite where the chip states none."""
    return float(chip.peak("matrix", dtype).flops_per_s or float("inf"))
