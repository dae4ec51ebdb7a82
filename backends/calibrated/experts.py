"""Grouped products of a mixture of experts: the rows a rank gets, the experts they hit.

Sizes: ``tokens top_k experts`` of the group; ``rows active tiles`` of the rank (assignments,
experts with any, tiles of ``tile`` rows that hold them); ``hidden inter matrices``.
"""

from __future__ import annotations

from typing import Any

from mansard.backends.calibrated.form import (
    ChipFacts,
    Form,
    Number,
    Parameter,
    Sizes,
    cached,
    smooth_max,
)
from mansard.backends.rates import COMPUTE, MEMORY_BOUND


def _weights(z: Sizes) -> Number:
    return z["active"] * z["matrices"] * z["hidden"] * z["inter"] * z["w_bytes"]


def _work(z: Sizes, chip: ChipFacts, xp: Any) -> tuple[Number, Number]:
    flops = 2 * z["matrices"] * z["rows"] * z["hidden"] * z["inter"]
    own = xp.minimum(z["tokens"], z["rows"])
    return flops, _weights(z) + own * z["hidden"] * 4


def _rows(z: Sizes, xp: Any) -> tuple[Number, Number]:
    """Return the rows that are this rank's, at least one an expert that is hit, and the others."""
    own = xp.maximum(z["rows"], z["active"])
    return own, xp.maximum(z["tokens"] * z["top_k"] - z["rows"], 0.0)


def _sides(p: Any, z: Sizes, chip: ChipFacts, xp: Any) -> dict[str, Number]:
    """Padded rows, against the weights of the experts that are hit."""
    _, _, e_compute, e_memory, padded, _, _, _, resident, _, spent, _ = p
    rows, foreign = _rows(z, xp)
    padded_rows = xp.power(z["tiles"] * z["tile"], padded) * xp.power(rows, 1 - padded)
    work = padded_rows + spent * foreign
    compute = 2.0 * z["matrices"] * work * z["hidden"] * z["inter"] / (e_compute * z["peak"])
    weights = _weights(z)
    memory = cached(weights / (e_memory * chip.bytes_per_s), weights, resident, chip)
    return {COMPUTE: compute, MEMORY_BOUND: memory}


def _seconds(p: Any, z: Sizes, chip: ChipFacts, xp: Any) -> Number:
    """Padded rows against the weights of the experts hit; rows of other ranks cost a little.

    Engines that mask instead of dropping what is not theirs still sort, skip and sum it.
    """
    t0, serial, _, _, _, sharp, e_rows, sort, _, ghost, _, hit = p
    rows, foreign = _rows(z, xp)
    compute, memory = _sides(p, z, chip, xp).values()
    width = 4.0 * (z["hidden"] + z["inter"])
    moved = (rows + ghost * foreign) * width + z["tokens"] * z["hidden"] * 4.0
    fixed = t0 + serial * (z["hidden"] + z["inter"]) + sort * z["experts"] + hit * z["active"]
    streamed = moved / (e_rows * chip.bytes_per_s)
    return fixed + smooth_max(compute, memory, sharp, xp) + streamed


EXPERTS = Form(
    name="moe",
    sizes=(
        "tokens",
        "top_k",
        "experts",
        "rows",
        "active",
        "tiles",
        "tile",
        "hidden",
        "inter",
        "matrices",
        "w_bytes",
        "peak",
    ),
    parameters=(
        Parameter("t0", 1.5e-5, 2e-6, 1e-3, 4.5, "launches [s]"),
        Parameter("serial", 1e-9, 1e-12, 5e-8, 4.5, "per step of the k loops [s]"),
        Parameter("e_compute", 0.5, 0.02, 1.2, 2.1, "share of the matrix peak"),
        Parameter("e_memory", 0.8, 0.1, 1.3, 1.5, "share of the bandwidth, weights"),
        Parameter("padded", 0.3, 1e-3, 1.0, 4.5, "how far tiles are padded"),
        Parameter("sharp", 3.0, 1.0, 10.0, 2.1, "of the knee"),
        Parameter("e_rows", 0.5, 0.02, 2.0, 3.0, "share of the bandwidth, activations"),
        Parameter("sort", 1e-8, 1e-11, 1e-6, 6.0, "sorting, per expert [s]"),
        Parameter("resident", 1.5, 1.0, 5.0, 1.5, "speed of the last level over memory"),
        Parameter("ghost", 0.1, 1e-3, 3.0, 4.5, "bytes of another rank's row, of an own one"),
        Parameter("spent", 0.01, 1e-4, 1.0, 6.0, "work of another rank's row, of an own one"),
        Parameter("hit", 1e-9, 1e-11, 5e-7, 6.0, "per expert hit [s]"),
    ),
    seconds=_seconds,
    work=_work,
    shape=("hidden", "model_inter", "top_k", "experts"),
    sides=_sides,
)
