"""Which rows and experts the rank that was measured gets, for the routings tables were made with.

``balanced`` sends token ``t`` to the experts ``t + j·stride`` and measures the first rank.
``power_law`` draws each expert's load from ``x^-alpha`` on ``[1, 0.8·tokens]`` (on ``[0.01, 2]``
where assignments are fewer than experts), rounds, gives out what is missing, and measures the rank
with the most. What is missing went to the largest experts in tables of 2025, to the smallest in
February 2026, and since April goes round the ranks, to the smallest expert of each: with few tokens
almost all is missing, so then the busiest rank has hardly more than its share. So aiconfigurator's
collector makes its rows (ai-dynamo/aiconfigurator at 095f58a51c, collector/helper.py; commit
13dadba3b changed it). The mean of some seeded draws stands in for its random ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]

RANKS, SMALLEST, LARGEST = "ranks", "smallest", "largest"
DRAWS = 6
SEED = 7


@dataclass(frozen=True)
class Load:
    """What the measured rank works on.

    Args:
        rows: assignments.
        active: experts with any.
        tiles: tiles of ``tile`` rows that hold them.
        tile: rows of a tile, a power of two near the mean load.
        reached: tokens with an assignment here.
    """

    rows: float
    active: float
    tiles: float
    tile: float
    reached: float


@cache
def load(tokens: int, experts: int, top_k: int, ranks: int, alpha: float, to: str = RANKS) -> Load:
    """Return the load of the measured one of ``ranks``.

    Args:
        tokens: of all ranks.
        experts: of the model.
        top_k: of them for a token.
        ranks: that hold different experts.
        alpha: of the power law; 0 is balanced.
        to: what rounding leaves over went to: ``RANKS``, ``SMALLEST`` or ``LARGEST``.

    >>> load(1, 512, 22, 16, 1.01).rows < load(1, 512, 22, 16, 1.01, LARGEST).rows
    True
    """
    mean = max(tokens * top_k / experts, 1.0)
    tile = float(np.clip(2.0 ** np.ceil(np.log2(mean)), 16, 128))
    local = max(experts // ranks, 1)
    if alpha == 0:
        ranked = [(_balanced(tokens, experts, top_k), 0)]
    else:
        drawn = np.random.default_rng(SEED)
        draws = [_drawn(drawn, tokens, experts, top_k, ranks, alpha, to) for _ in range(DRAWS)]
        ranked = [(counts, _hottest(counts, local)) for counts in draws]
    seen = [counts[rank * local : (rank + 1) * local] for counts, rank in ranked]
    rows = float(np.mean([n.sum() for n in seen]))
    active = float(np.mean([np.count_nonzero(n) for n in seen]))
    tiles = float(np.mean([np.ceil(n / tile).sum() for n in seen]))
    reached = float(np.mean([_reached(c, rank, local, tokens) for c, rank in ranked]))
    return Load(max(rows, 1.0), max(active, 1.0), max(tiles, 1.0), tile, max(reached, 1.0))


def _balanced(tokens: int, experts: int, top_k: int) -> Counts:
    """Return the assignments of each expert where tokens take turns.

    >>> _balanced(4, 8, 2).tolist(), _balanced(1, 8, 2).tolist()
    ([1, 1, 1, 1, 1, 1, 1, 1], [1, 0, 0, 0, 1, 0, 0, 0])
    """
    stride = -(-experts // top_k)
    step = min(tokens, experts)  # tokens after that repeat the first ones
    starts = np.arange(step) if tokens >= stride else np.arange(tokens) * stride // tokens
    chosen = (starts[:, None] + np.arange(top_k) * stride) % experts
    counts = np.bincount(chosen.ravel(), minlength=experts)
    if tokens <= experts:
        return np.asarray(counts, dtype=np.int64)
    rounds, rest = divmod(tokens, experts)
    more = np.bincount(chosen[:rest].ravel(), minlength=experts)
    return np.asarray(counts * rounds + more, dtype=np.int64)


def _drawn(
    drawn: np.random.Generator, tokens: int, experts: int, top_k: int, ranks: int, alpha: float,
    to: str,
) -> Counts:  # fmt: skip
    """Return the assignments of each expert in one draw of the power law."""
    total = tokens * top_k
    low, high = (1.0, max(0.8 * tokens, 1.0001)) if total > experts else (0.01, 2.0)
    e = 1.0 - alpha
    share = ((high**e - low**e) * drawn.random(experts) + low**e) ** (1.0 / e)
    counts: Counts = np.round(share / share.sum() * total).astype(np.int64)
    if to == LARGEST:
        return _given_to_largest(counts, total)
    if to == SMALLEST:
        return _given_to_smallest(counts, total, tokens)
    by_rank = np.minimum(counts, tokens).reshape(ranks, -1)
    missing = total - int(by_rank.sum())
    parts, rest = divmod(abs(missing), ranks)
    for rank, own in enumerate(by_rank):
        turns = parts + (rank < rest)
        own[:] = (
            _raised(own, turns, tokens)
            if missing > 0
            else tokens - _raised(tokens - own, turns, tokens)
        )
    return by_rank.ravel()


def _raised(counts: Counts, turns: int, most: int) -> Counts:
    """Add 1 to the smallest count, ``turns`` times, none above ``most``.

    >>> _raised(np.array([5, 0, 2]), 4, 9).tolist()
    [5, 3, 3]
    """
    order = np.argsort(counts, kind="stable")
    levels = counts[order].astype(np.int64)
    turns = min(turns, int((most - levels).sum()))
    needed = np.arange(1, len(levels) + 1) * np.append(levels[1:], most) - np.cumsum(levels)
    filled = int(np.searchsorted(needed, turns)) + 1
    height, rest = divmod(int(levels[:filled].sum()) + turns, filled)
    raised = levels.copy()
    raised[:filled] = height
    raised[:rest] += 1
    found = np.empty_like(raised)
    found[order] = raised
    return found


def _given_to_smallest(counts: Counts, total: int, tokens: int) -> Counts:
    """Give what is above ``tokens`` to the smallest till it is full, then one each, last first."""
    over = int(np.maximum(counts - tokens, 0).sum())
    counts = np.minimum(counts, tokens)
    for expert in np.argsort(-counts, kind="stable")[::-1]:
        taken = min(over, tokens - int(counts[expert]))
        counts[expert] += taken
        over -= taken
    order = np.argsort(-counts, kind="stable")[::-1]
    missing = total - int(counts.sum())
    step = 1 if missing > 0 else -1
    while missing:
        free = order[(counts[order] < tokens) if step > 0 else (counts[order] > 0)]
        counts[free[: abs(missing)]] += step
        missing = total - int(counts.sum())
    return counts


def _given_to_largest(counts: Counts, total: int) -> Counts:
    order = np.argsort(-counts, kind="stable")
    missing = total - int(counts.sum())
    if missing > 0:
        rounds, rest = divmod(missing, len(counts))
        counts += rounds
        counts[order[:rest]] += 1
    for i in range(-missing):
        smallest = order[-(i % len(counts)) - 1]
        counts[smallest if counts[smallest] > 0 else int(np.argmax(counts))] -= 1
    return counts


def _hottest(counts: Counts, local: int) -> int:
    ranks = len(counts) // local
    return int(np.argmax(counts[: ranks * local].reshape(ranks, local).sum(axis=1)))


def _reached(counts: Counts, rank: int, local: int, tokens: int) -> int:
    """Return how many tokens have one of a rank's experts.

    Assignments stand in a row, the largest expert's first, and go to tokens in turn.

    >>> _reached(np.array([3, 1, 2, 2]), 0, 2, 4)    # the first three tokens, and the second last
    4
    """
    order = np.argsort(-counts, kind="stable")
    firsts = np.empty_like(counts)
    firsts[order] = np.cumsum(counts[order]) - counts[order]
    own = slice(rank * local, (rank + 1) * local)
    first, last = firsts[own] % tokens, firsts[own] % tokens + np.minimum(counts[own], tokens)
    over = last > tokens
    starts = np.concatenate([first, np.zeros(int(over.sum()), dtype=np.int64)])
    ends = np.concatenate([np.minimum(last, tokens), last[over] - tokens])
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], ends[order]
    covered = np.concatenate([[0], np.maximum.accumulate(ends)[:-1]])
    return int(np.maximum(ends - np.maximum(starts, covered), 0).sum())
