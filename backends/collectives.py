"""How long a collective takes: bytes over a link, hops times their latency.

Alpha-beta costs per rank of a message of ``M`` bytes over ``n`` ranks [Hockney 1994], the best of
three algorithms, since a bound may not assume a bad one [Thakur 2005; Sanders 2009]:

    all_reduce      ring      2(n-1)/n · M/bw + 2(n-1)·lat
                    tree      2 · M/bw        + 2⌈log₂ n⌉·lat     pipelined, two trees
                    direct    (n-1) · M/bw    + lat               each rank reads all the others
    all_gather, reduce_scatter   ring  (n-1)/n · M/bw + (n-1)·lat     direct: lat once
    all_to_all      (n-1)/n · M/bw + lat
    broadcast, send M/bw + lat

``M`` is the whole message: what every rank holds before an all-reduce, all ranks' shares of an
all-gather. A payload is what one rank hands over: ``M``, but its own share of an all-gather. Over
nodes a collective runs in two levels: inside, between, inside again; of an all-to-all each level
carries what is for its own ranks, at the same time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from mansard.backends.cluster import Cluster
from mansard.core.errors import SpecError
from mansard.core.records import dataclass

Choice = tuple[Callable[..., Any], Callable[..., Any]]
"""What finds the least of values, and what finds the greatest."""


@dataclass(frozen=True)
class Level:
    """One kind of link.

    Args:
        ranks: that it joins.
        bytes_per_s: per rank and direction, a float where nothing else is said.
        latency_s: of a hop, likewise.
    """

    ranks: Any
    bytes_per_s: Any
    latency_s: Any


def seconds(op: str, payload: Any, levels: tuple[Level, ...], choose: Choice = (min, max)) -> Any:
    """Return the time of a collective.

    Args:
        op: all_reduce, all_gather, reduce_scatter, all_to_all, broadcast or send.
        payload: what one rank hands over [B].
        levels: innermost first; those of one rank are left out.
        choose: the least and the greatest of values. They, sizes and levels may be of any kind
            that has the arithmetic of numbers: floats, fractions, polynomials.

    >>> link = (Level(8, 450e9, 0.0),)
    >>> seconds("all_reduce", 450e9, link), seconds("all_gather", 450e9 / 8, link)
    (1.75, 0.875)
    """
    levels = tuple(level for level in levels if level.ranks > 1)
    if not levels:
        return 0.0
    ranks = math.prod(level.ranks for level in levels)
    return _message(op, payload * ranks if op == "all_gather" else payload, levels, choose)


def _message(op: str, size: Any, levels: tuple[Level, ...], choose: Choice) -> Any:
    """Return the time of a collective on a whole message."""
    _, greatest = choose
    if len(levels) == 1:
        return _flat(op, size, levels[0], choose)
    inner, outer = levels[0], levels[1:]
    if op in ("broadcast", "send"):
        return greatest(*(_flat(op, size, level, choose) for level in levels))
    if op == "all_to_all":
        stays = size / math.prod(level.ranks for level in outer)
        return greatest(_flat(op, stays, inner, choose), _message(op, size, outer, choose))
    shard = size / inner.ranks
    if op == "all_reduce":
        scatter = _flat("reduce_scatter", size, inner, choose)
        gather = _flat("all_gather", size, inner, choose)
        return scatter + _message(op, shard, outer, choose) + gather
    return _message(op, shard, outer, choose) + _flat(op, size, inner, choose)


def _flat(op: str, size: Any, level: Level, choose: Choice) -> Any:
    n, lat = level.ranks, level.latency_s
    once = size / level.bytes_per_s
    share = (n - 1) / n
    match op:
        case "all_reduce":
            least, _ = choose
            ring = 2 * share * once + 2 * (n - 1) * lat
            tree = 2 * once + 2 * math.ceil(math.log2(n)) * lat
            return least(ring, tree, (n - 1) * once + lat)
        case "all_gather" | "reduce_scatter":
            return share * once + lat
        case "all_to_all":
            return share * once + lat
        case "broadcast" | "send":
            return once + lat
    raise SpecError(f"no cost for the collective {op!r}")


def levels(cluster: Cluster, axis: str, ranks: int) -> tuple[Level, ...]:
    """Return the links a collective over ``ranks`` of an axis crosses.

    Raises:
        SpecError: the chip states no link, though the collective needs one.
    """
    inside, across = cluster.spread(axis)
    inside = min(inside, ranks)
    across = -(-ranks // inside)
    chip = cluster.chip
    found = []
    if inside > 1:
        if chip.link_bytes_per_s is None:
            raise SpecError(
                f"{chip.id} states no link to other chips",
                hint="add --set hardware.link.per_direction=…, with the figure of your machine",
            )
        found.append(Level(inside, float(chip.link_bytes_per_s), chip.link_latency_s or 0.0))
    if across > 1 and cluster.network is not None:
        net = cluster.network
        found.append(Level(across, net.bytes_per_s, net.latency_s or 0.0))
    return tuple(found)
