"""A region that fewer tokens reach: some of the first positions were dropped before it."""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from mansard.core.symbols import B, Expr, P, S, T, least
from mansard.ir.cost import Cost
from mansard.ir.region import Region
from mansard.ir.value import Value


class Trim(Region):
    """Run the body without ``drop`` of each sequence's first tokens.

    The body's own ``S``, ``P``, ``T`` count the tokens that are left: of ``n`` tokens so far
    ``n - least(n, drop)``, so a step that holds the dropped ones has fewer new tokens and every
    later one fewer cached ones. A decode step keeps its token.

    Args:
        drop: tokens of each sequence that never reach the body, the first ones counted.
    """

    kind = "trim"
    drop: Expr

    @property
    def left(self) -> Mapping[sp.Basic, Expr]:
        """What the body's symbols are in those of the graph around it."""
        after, before = least(P + S, self.drop), least(P, self.drop)
        gone = after - before
        return {S: S - gone, P: P - before, T: T - B * gone}

    def lift(self, cost: Cost) -> Cost:
        """See the class."""
        return cost.bind(dict(self.left))

    def outside(self, value: Value) -> Value:
        """Return a stored value of the body as the graph around it counts it."""
        left = dict(self.left)
        live = None if value.type.live is None else value.type.live.xreplace(left)
        return value.with_type(shape=tuple(d.xreplace(left) for d in value.shape), live=live)
