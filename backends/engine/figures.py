"""Names of what can be asked of an engine: times, rates and sizes."""

from __future__ import annotations

TIMES = (
    "ttft",
    "tpot",
    "latency",
    "throughput",
    "tokens_per_s_per_user",
    "prefill",
    "decode",
    "period",
    "total",
)
SIZES = ("memory", "weights", "kv_cache", "activations", "overhead", "capacity")
FIGURES = (*TIMES, *SIZES)
"""Names of what can be asked, seconds, tokens per second and bytes; NaN where one is unknown.

``period`` is the time from one batch to the next, for which devices are taken; ``total`` the time
of all phases, whatever they are.
"""

BANDED = ("ttft", "tpot", "latency", "throughput", "tokens_per_s_per_user")
"""Figures a calibrated estimate gives with the ends of their band, ``ttft_low``, ``ttft_high``…"""
IDEAL = {f"{name}_ideal": name for name in BANDED}
"""Names of the bound's figures beside a calibrated estimate's."""
