"""How often a tiled kernel decodes narrow weights, when its rows or its blocks change."""

from __future__ import annotations

from mansard.core.symbols import Expr, ExprLike, ceil_div, product
from mansard.ir.ops import BlockLinear, GroupedLinear, Linear

Product = Linear | GroupedLinear | BlockLinear


def repeats(op: Product, tile: ExprLike) -> Expr:
    """Return how often a product decodes its weight: once for each tile of the rows it meets.

    Of experts each sees its share of the rows; blocks of a ``BlockLinear`` see all of them.
    """
    blocks = op.w.shape[0] if isinstance(op, GroupedLinear) else 1
    return ceil_div(product(op.x.shape[:-1]), tile * blocks)


def repeated(op: Product, like: Expr) -> Expr:
    """Return how often a product decodes its weight in the place of one that did ``like`` times."""
    return repeats(op, like.args[1]) if isinstance(like, ceil_div) else like


def retiled(times: Expr, rows: ExprLike, blocks: ExprLike) -> Expr:
    """Return how often a rank decodes weights, with a share of the rows and of the blocks.

    A kernel decodes ``ceil_div(rows, tile·blocks)`` times where each of several blocks (experts)
    meets its own rows.
    """
    if not isinstance(times, ceil_div):
        return times
    covered, tile = times.args
    return ceil_div(covered * rows, tile * blocks)
