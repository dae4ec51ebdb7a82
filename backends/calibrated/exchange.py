"""Collectives, and the dispatch and combine of expert parallelism.

Collectives take the cheaper of two ways: quick to start and slow per byte (one shot, the LL
protocol), or the reverse (ring, the Simple protocol) [Hu 2025].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mansard.backends.calibrated.form import (
    ChipFacts,
    Form,
    Number,
    Parameter,
    Sizes,
    smooth_max,
    smooth_min,
)
from mansard.backends.rates import LINK, OVERHEAD

SHARE = {"all_reduce": 2.0, "all_gather": 1.0, "alltoall": 1.0, "reduce_scatter": 1.0}
"""Bytes a rank sends of a message, of `(ranks - 1) / ranks`: ring [Thakur 2005]."""


def _work(z: Sizes, chip: ChipFacts, xp: Any) -> tuple[Number, Number]:
    """Bytes over the link, as if memory had its bandwidth: the bound is one quotient."""
    return 0.0 * z["bytes"], z["bytes"] * z["share"] * chip.bytes_per_s / chip.link_bytes_per_s


def _collective(p: Any, z: Sizes, chip: ChipFacts, xp: Any) -> Number:
    quick0, quick_e, bulk0, bulk_e, growth, spread, sharp, ramp = p
    ranks = z["ranks"] / 2.0
    once = z["bytes"] / chip.link_bytes_per_s
    quick = quick0 * xp.power(ranks, growth) + once * xp.power(ranks, spread) / quick_e
    bulk = bulk0 * xp.power(ranks, growth) + smooth_max(
        once * z["share"] / bulk_e, xp.power(once * bulk0, 0.5) * ramp, 2.0, xp
    )
    return smooth_min(quick, bulk, sharp, xp)


COLLECTIVE = Form(
    name="collective",
    sizes=("bytes", "ranks", "share", "peak"),
    parameters=(
        Parameter("quick0", 6e-6, 1e-6, 2e-4, 4.5, "to start, of two ranks, the quick way [s]"),
        Parameter(
            "quick_e",
            0.2,
            0.002,
            1.5,
            3.0,
            "message rate over the link's, quick way",
        ),
        Parameter("bulk0", 2e-5, 1e-6, 1e-3, 4.5, "to start, of two ranks, the bulk way [s]"),
        Parameter("bulk_e", 0.75, 0.01, 2.0, 2.0, "share of the link, the bulk way"),
        Parameter("growth", 0.3, 1e-3, 2.0, 3.0, "of the start with ranks"),
        Parameter("spread", 0.3, 1e-3, 2.0, 3.0, "of the quick way's bytes with ranks"),
        Parameter("sharp", 4.0, 1.0, 12.0, 2.1, "of the knee"),
        Parameter("ramp", 0.3, 1e-3, 5.0, 4.5, "of the bulk way, in square roots of bytes"),
    ),
    seconds=_collective,
    work=_work,
    shape=("bytes",),
)


def _dispatch_sides(p: Any, z: Sizes, chip: ChipFacts, xp: Any) -> dict[str, Number]:
    """Bytes over the link, against what units can pump and what a token takes.

    Each rank gets a row once, and some more. Units pump bytes until the link, or behind several
    nodes the network, is full.
    """
    _, e_link, token, unit, _, sharp, width, spread = p
    ranks = z["ranks"]
    reached = ranks * (1.0 - xp.power(1.0 - 1.0 / ranks, z["top_k"]))
    sent = reached + (z["top_k"] - reached) * width
    moved = z["tokens"] * z["hidden"] * z["x_bytes"] * sent
    wider = xp.power(xp.maximum(z["nodes"] / 4.0, 1.0), spread)
    link = moved * wider / (e_link * chip.link_bytes_per_s)
    pumped = moved / (unit * z["units"])
    return {LINK: link, OVERHEAD: smooth_max(pumped, token * z["tokens"], sharp, xp)}


def _dispatch(p: Any, z: Sizes, chip: ChipFacts, xp: Any) -> Number:
    """Rows to the ranks that hold their experts; notify first."""
    t0, _, _, _, expert_s, sharp, _, _ = p
    link, units = _dispatch_sides(p, z, chip, xp).values()
    work = smooth_max(link, units, sharp, xp)
    return t0 + expert_s * z["experts"] + work


def _dispatch_work(z: Sizes, chip: ChipFacts, xp: Any) -> tuple[Number, Number]:
    """Every chosen rank but the own one gets a row once; copies stay behind the link."""
    ranks = z["ranks"]
    reached = (ranks - 1.0) * (1.0 - xp.power(1.0 - 1.0 / ranks, z["top_k"]))
    moved = z["tokens"] * z["hidden"] * z["x_bytes"] * reached
    inside = xp.where(z["nodes"] > 1, 8.0 / ranks, 1.0)
    return 0.0 * moved, moved * inside * chip.bytes_per_s / chip.link_bytes_per_s


def _nodes(z: Mapping[str, float]) -> str:
    return "one-node" if z["nodes"] <= 1 else "nodes"


DISPATCH = Form(
    name="dispatch",
    sizes=("tokens", "hidden", "top_k", "experts", "ranks", "nodes", "units", "x_bytes", "peak"),
    parameters=(
        Parameter("t0", 1.5e-5, 2e-6, 1e-3, 4.5, "notify and launch [s]"),
        Parameter("e_link", 0.4, 0.005, 1.5, 3.0, "share of the link"),
        Parameter("token", 1e-8, 1e-11, 1e-6, 4.5, "per token [s]"),
        Parameter("unit", 2e10, 1e9, 1e12, 3.0, "rate of a unit [B/s]"),
        Parameter("expert_s", 1e-9, 1e-12, 1e-6, 6.0, "per expert [s]"),
        Parameter("sharp", 3.0, 1.0, 10.0, 2.1, "of the knee"),
        Parameter("width", 0.5, 1e-3, 1.0, 3.0, "how far a row goes once per expert"),
        Parameter("spread", 1.0, 0.01, 3.0, 3.0, "growth of the network's time past 4 nodes"),
    ),
    seconds=_dispatch,
    work=_dispatch_work,
    shape=("tokens", "hidden"),
    family=_nodes,
    sides=_dispatch_sides,
)
