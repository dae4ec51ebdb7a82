"""MiniMax M3's indexer: the blocks of keys that each query sees, by their best score."""

from __future__ import annotations

from mansard.core.symbols import B, P, S, ceil_div, least
from mansard.frontends.hf.architecture import BlockIndex, NormKind
from mansard.frontends.hf.lower.scope import Scope
from mansard.ir.ops import Append, Rope, Scores, TopK
from mansard.ir.ops.tensor import Pool
from mansard.ir.value import Value


def chosen_blocks(scope: Scope, x: Value, i: BlockIndex, rotary: int, norm: NormKind) -> Value:
    """Return which blocks each query sees: ``[B, heads, S, blocks]``.

    All heads score one cached key a token; a block is worth its best key.
    """
    q = scope.norm(scope.linear(x, "index_q", i.heads * i.dim), "index_q_norm", norm, i.dim)
    k = scope.norm(scope.linear(x, "index_k", i.dim), "index_k_norm", norm, i.dim)
    q, k = (
        scope(Rope(y, n, min(rotary, i.dim)), f"index_{name}_rope")
        for y, n, name in ((q, i.heads, "q"), (k, 1, "k"))
    )
    cache = scope(Append(scope.cache("index_cache", B, 1, P, i.dim), k), "index_append")
    scores = scope(Scores(q, cache, i.heads), "index_scores")
    blocks = ceil_div(P + S, i.block)
    best = scope(Pool((scores,), (B, i.heads, S, blocks), taps=i.block), "index_best")
    return scope(TopK(best, least(blocks, i.blocks)), "index_top_k")
