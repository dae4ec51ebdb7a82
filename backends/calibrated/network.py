"""Whole networks: what a step costs beyond its kernels, per step, layer, sequence and rank.

For engines measured end to end. A step streams the weights its tokens need and the cache, and
computes; around that the host schedules, samples and launches. ``batch`` is of one of ``dp``
groups of ``tp`` ranks; experts lie over all of them, a cache over no more ranks than it has
heads. ``served`` rows mix decoding with the prompts of requests that arrive: in the steady state
``isl/osl`` prompt tokens per sequence and step.
"""

from __future__ import annotations

from typing import Any

from mansard.backends.calibrated.form import (
    ChipFacts,
    Form,
    Number,
    Parameter,
    Sizes,
    smooth_max,
)


def _step(p: Any, z: Sizes, chip: ChipFacts, tokens: Number, past: Number, xp: Any) -> Number:
    """Return the seconds of one step of ``tokens`` new ones on sequences ``past`` long."""
    e_compute, e_memory, e_cache, step_s, layer_s, ranks_s, sequence_s, _, sharp = p
    tp, layers = z["tp"], z["layers"]
    ranks = tp * z["dp"]
    share = z["top_k"] / xp.maximum(z["experts"], 1.0)
    touched = z["expert_parameters"] * (1.0 - (1.0 - share) ** (tokens * z["dp"])) / ranks
    used = z["parameters"] + z["expert_parameters"] * share
    keys = z["batch"] * past * layers
    flops = 2.0 * tokens * used + 4.0 * tokens / z["batch"] * keys * z["wide"]
    compute = flops / tp / (e_compute * z["peak"])
    weights = (z["parameters"] / tp + touched) * z["w_bytes"] / e_memory
    cache = keys * z["cache"] * z["kv_bytes"] / xp.minimum(tp, z["kv_heads"]) / e_cache
    work = smooth_max(compute, (weights + cache) / chip.bytes_per_s, sharp, xp)
    reduced = 4.0 * layers * tokens * z["hidden"] * 2.0 * (ranks - 1.0) / ranks
    several = xp.where(ranks > 1, 1.0, 0.0)
    exchange = several * (layers * ranks_s + reduced / (0.7 * chip.link_bytes_per_s))
    return step_s + layers * layer_s + sequence_s * z["batch"] + exchange + work


def _seconds(p: Any, z: Sizes, chip: ChipFacts, xp: Any) -> Number:
    """Return the time of a whole static batch, or of one token of a served one."""
    isl, osl, batch = z["isl"], z["osl"], z["batch"]
    middle = isl + osl / 2.0
    mixed = batch * (1.0 + z["served"] * p[7] * isl / osl)
    decode = _step(p, z, chip, mixed, middle, xp)
    prefill = _step(p, z, chip, batch * isl, isl / 2.0, xp)
    whole = prefill + (osl - 1.0) * decode
    return xp.where(z["served"] > 0, decode, whole)


def _work(z: Sizes, chip: ChipFacts, xp: Any) -> tuple[Number, Number]:
    steps = xp.where(z["served"] > 0, 1.0, z["osl"])
    share = z["top_k"] / xp.maximum(z["experts"], 1.0)
    tp, dp = z["tp"], z["dp"]
    touched = z["expert_parameters"] * (1.0 - (1.0 - share) ** (z["batch"] * dp)) / (tp * dp)
    cache = z["batch"] * (z["isl"] + z["osl"] / 2) * z["layers"] * z["cache"] * z["kv_bytes"]
    cache = cache / xp.minimum(tp, z["kv_heads"])
    weights = (z["parameters"] / tp + touched) * z["w_bytes"]
    used = z["parameters"] + z["expert_parameters"] * share
    tokens = z["batch"] * (steps + xp.where(z["served"] > 0, 0.0, z["isl"]))
    return 2 * tokens * used / tp, steps * (weights + cache)


NETWORK = Form(
    name="network",
    sizes=(
        "layers",
        "hidden",
        "parameters",
        "expert_parameters",
        "experts",
        "top_k",
        "cache",
        "wide",
        "kv_heads",
        "w_bytes",
        "kv_bytes",
        "tp",
        "dp",
        "batch",
        "isl",
        "osl",
        "served",
        "peak",
    ),
    parameters=(
        Parameter("e_compute", 0.5, 0.05, 1.0, 1.0, "share of the matrix peak"),
        Parameter("e_memory", 0.8, 0.2, 1.1, 0.6, "share of the bandwidth, weights"),
        Parameter("e_cache", 0.6, 0.05, 1.1, 1.5, "share of the bandwidth, cache"),
        Parameter("step_s", 1e-3, 1e-5, 5e-2, 3.0, "per step [s]"),
        Parameter("layer_s", 2e-5, 1e-6, 1e-3, 3.0, "per layer [s]"),
        Parameter("ranks_s", 2e-5, 1e-6, 1e-3, 3.0, "per layer with several ranks [s]"),
        Parameter("sequence_s", 1e-5, 1e-7, 1e-2, 4.5, "per sequence and step [s]"),
        Parameter("mixed", 1.0, 0.05, 1.5, 1.0, "prompt tokens that ride along"),
        Parameter("sharp", 3.0, 1.0, 10.0, 1.0, "of the knee"),
    ),
    seconds=_seconds,
    work=_work,
    shape=("layers", "hidden", "parameters"),
    family=lambda z: "served" if z["served"] else "static",
)
