"""Trees of proposals: what a trip is expected to yield, and the pairs its nodes attend to."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import sympy as sp

from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.core.symbols import Expr, geometric
from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.ops import Scores, Values
from mansard.ir.rewrite import everywhere, rebuild


@dataclass(frozen=True)
class Tree:
    """Proposals of one trip: how many nodes at each depth below the last accepted token.

    A chain has one node a depth. A node's children are ``n_k / n_(k-1)`` on average, and one of
    ``b`` children is accepted with probability ``1 - (1-alpha)^b`` [Miao 2023].

    >>> Tree((1, 1)).tokens(sp.Rational(1, 2)), Tree((2, 2)).tokens(sp.Rational(1, 2))
    (7/4, 17/8)
    """

    nodes: tuple[int, ...]

    @property
    def size(self) -> int:
        """Proposed tokens."""
        return sum(self.nodes)

    @property
    def is_chain(self) -> bool:
        """Whether no node has a sibling."""
        return set(self.nodes) <= {1}

    def accepted(self, alpha: Expr) -> tuple[Expr, ...]:
        """Return the probability that the path to each depth is accepted, depth 0 (1) first."""
        reached = [sp.S.One]
        for before, now in zip((1, *self.nodes), self.nodes, strict=False):
            some = 1 - (1 - alpha) ** sp.Rational(now, before)
            reached.append(reached[-1] * some)
        return tuple(reached)

    def tokens(self, alpha: Expr) -> Expr:
        """Return the tokens a trip is expected to yield; of a chain ``geometric(alpha, n+1)``."""
        if self.is_chain:
            return geometric(alpha, sp.Integer(len(self.nodes) + 1))
        return sp.Add(*self.accepted(alpha))

    def exactly(self, alpha: Expr) -> tuple[Expr, ...]:
        """Return the probability that a trip yields exactly 1, 2, … tokens."""
        reached = (*self.accepted(alpha), sp.S.Zero)
        return tuple(a - b for a, b in pairwise(reached))

    @property
    def pairs(self) -> int:
        """Pairs of a node and itself or an ancestor, the last accepted token among them."""
        return 1 + sum(n * (depth + 2) for depth, n in enumerate(self.nodes))

    def masked(self, graph: Graph) -> Graph:
        """Return the graph whose causal attention sees ancestors only."""

        def tree(body: Graph) -> Graph:
            size = sp.Integer(self.pairs)
            edits: dict[Op, list[Op]] = {
                op: [replace(op, mask=replace(op.mask, kind="tree", size=size))]
                for op in body.ops
                if isinstance(op, (Scores, Values)) and op.mask.kind == "causal"
            }
            return rebuild(body, edits=edits) if edits else body

        return everywhere(graph, tree)


def tree_of(words: tuple[str, ...], gamma: int) -> Tree:
    """Read nodes a depth; a chain of ``gamma`` when there are none.

    Raises:
        SpecError: a depth with no whole number of nodes of at least one.
    """
    if not words:
        return Tree((1,) * gamma)
    if not all(w.isascii() and w.isdigit() and 0 < int(w) <= 4096 for w in words):
        raise SpecError(f"the tree {' '.join(words)!r} is no list of nodes a depth",
                        hint="write for example tree=[4 8 8]")  # fmt: skip
    return Tree(tuple(map(int, words)))
