"""Whether a chip's figures, and what was calibrated on it, look like those of a chip.

A file of the right keys and units may still hold a slipped digit. Ratios of figures vary far less
over chips than the figures do; the ranges here are those of the bundled chips, a little widened,
and an oddity is said, not refused.
"""

from __future__ import annotations

from collections.abc import Iterator

from mansard.backends.hardware import Hardware
from mansard.core.records import dataclass

SWEEP_MS = {"SRAM": (0.002, 0.05), "DRAM": (0.5, 20_000)}
"""Between which reading all of a memory usually lies; a memory that is not called SRAM is DRAM."""
SHARES = {"e_compute": "of the matrix peak", "e_read": "of the bandwidth"}


@dataclass(frozen=True)
class Finding:
    """One ratio.

    Args:
        what: in words, with its unit.
        low, high: between which it usually lies.
    """

    what: str
    value: float
    low: float
    high: float

    @property
    def odd(self) -> bool:
        """Whether it lies outside."""
        return not self.low <= self.value <= self.high

    def __str__(self) -> str:
        usual = f"usually {self.low:g} to {self.high:g}"
        return f"{self.what}: {self.value:.3g}" + (f" ({usual})" if self.odd else "")


def plausibility(chip: Hardware) -> list[Finding]:
    """Return the ratios of a chip's figures, and what measured products reach of them."""
    return [*_figures(chip), *_measured(chip)]


def _figures(chip: Hardware) -> Iterator[Finding]:
    bandwidth = float(chip.bandwidth_bytes_per_s)
    wide = chip.peak("matrix", "bf16").flops_per_s
    sweep_ms = chip.capacity_bytes / bandwidth * 1e3
    low, high = SWEEP_MS["SRAM" if chip.memory_type.upper().startswith("SRAM") else "DRAM"]
    yield Finding("time to read the whole memory [ms]", sweep_ms, low, high)
    if wide is None:
        return
    yield Finding("bf16 FLOP a byte of memory can carry", float(wide) / bandwidth, 0.5, 1000)
    if chip.tdp_w:
        yield Finding("bf16 TFLOP/s a watt", float(wide) / float(chip.tdp_w) / 1e12, 0.005, 5)
    for dtype, low, high in (("fp8", 1.0, 4.5), ("fp4", 1.0, 9.0)):
        narrow = chip.peak("matrix", dtype)
        if narrow.flops_per_s is not None and narrow.dtype == dtype:
            yield Finding(f"{dtype} over bf16", float(narrow.flops_per_s) / float(wide), low, high)
    sparse = chip.peaks.get(("matrix", "bf16", "2:4"))
    if sparse:
        yield Finding("2:4 over dense", float(sparse) / float(wide), 1.9, 2.1)


def _measured(chip: Hardware) -> Iterator[Finding]:
    from mansard.backends.calibrated.parameters import bundled
    from mansard.backends.calibrated.registry import form

    found = bundled(chip.id)
    sets = [s for s in found.sets if s.key.form == "gemm" and s.key.framework] if found else []
    for number, parameter in enumerate(form("gemm").parameters):
        if sets and parameter.name in SHARES:
            reached = sorted(one.values[number] for one in sets)[len(sets) // 2]
            what = f"measured products reach, {SHARES[parameter.name]}"
            yield Finding(what, reached, 0.4, 1.1)
