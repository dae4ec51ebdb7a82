"""How often a tiled kernel decodes narrow weights, when its rows or its blocks change."""

from __future__ import annotations

from mansard.core.symbols import Expr, ExprLike, ceil_div


def retiled(times: Expr, rows: ExprLike, blocks: ExprLike) -> Expr:
    """Return how often a rank decodes weights, with a share of the rows and of the blocks.

    A kernel decodes ``ceil_div(rows, tile·blocks)`` times where each of several blocks (experts,
    heads) meets its own rows.
    """
    if not isinstance(times, ceil_div):
        return times
    covered, tile = times.args
    return ceil_div(covered * rows, tile * blocks)
