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
)
SIZES = ("memory", "weights", "kv_cache", "activations", "overhead", "capacity")
FIGURES = (*TIMES, *SIZES)
"""Names of what can be asked, seconds, tokens per second and bytes; NaN where one is unknown.

``period`` is the time from one batch to the next, for which devices are taken.
"""
