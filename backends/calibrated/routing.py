"""Which rows and experts the most loaded rank gets, for the routings measurements were made with.

``balanced`` deals assignments round. ``power_law`` draws each expert's load from ``x^-alpha`` on
``[1, 0.8·tokens]`` (on ``[0.01, 2]`` where assignments are fewer than experts), rounds, gives
what is missing to the largest, and reports the rank with the most; that is how aiconfigurator's
collector makes its rows (ai-dynamo/aiconfigurator, collector/helper.py). A seeded mean stands in
for its random draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

DRAWS = 6
SEED = 7


@dataclass(frozen=True)
class Load:
    """What the most loaded rank works on.

    Args:
        rows: assignments.
        active: experts with any.
        tiles: tiles of ``tile`` rows that hold them.
        tile: rows of a tile, a power of two near the mean load.
    """

    rows: float
    active: float
    tiles: float
    tile: float


@cache
def load(tokens: int, experts: int, top_k: int, ranks: int, alpha: float) -> Load:
    """Return the load of the busiest of ``ranks``; ``alpha`` 0 is balanced."""
    mean = max(tokens * top_k / experts, 1.0)
    tile = float(np.clip(2.0 ** np.ceil(np.log2(mean)), 16, 128))
    local = max(experts // ranks, 1)
    if alpha == 0:
        rows = max(tokens * top_k / ranks, 1.0)
        active = float(min(local, max(int(np.ceil(tokens * top_k / ranks)), 1)))
        return Load(rows, active, float(np.ceil(rows / active / tile)) * active, tile)
    drawn = np.random.default_rng(SEED)
    seen = [_hottest(_counts(drawn, tokens, experts, top_k, alpha), local) for _ in range(DRAWS)]
    rows = float(np.mean([n.sum() for n in seen]))
    active = float(np.mean([np.count_nonzero(n) for n in seen]))
    tiles = float(np.mean([np.ceil(n / tile).sum() for n in seen]))
    return Load(max(rows, 1.0), max(active, 1.0), max(tiles, 1.0), tile)


def _counts(
    drawn: np.random.Generator, tokens: int, experts: int, top_k: int, alpha: float
) -> NDArray[np.int64]:
    total = tokens * top_k
    low, high = (1.0, max(0.8 * tokens, 1.0001)) if total > experts else (0.01, 2.0)
    e = 1.0 - alpha
    share = ((high**e - low**e) * drawn.random(experts) + low**e) ** (1.0 / e)
    counts: NDArray[np.int64] = np.round(share / share.sum() * total).astype(np.int64)
    order = np.argsort(-counts, kind="stable")
    missing = total - int(counts.sum())
    if missing > 0:
        rounds, rest = divmod(missing, experts)
        counts += rounds
        counts[order[:rest]] += 1
    for i in range(-missing):
        smallest = order[-(i % experts) - 1]
        counts[smallest if counts[smallest] > 0 else int(np.argmax(counts))] -= 1
    return counts


def _hottest(counts: NDArray[np.int64], local: int) -> NDArray[np.int64]:
    ranks = len(counts) // local
    grouped = counts[: ranks * local].reshape(ranks, local)
    return np.asarray(grouped[int(np.argmax(grouped.sum(axis=1)))], dtype=np.int64)
