"""Which branch of an ``If`` counts where data decide: then, else, or a share; by node or all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field

import sympy as sp

from mansard.core.errors import SpecError, unknown_name
from mansard.core.records import dataclass
from mansard.core.symbols import Expr
from mansard.frontends.onnx.graph import Graph

_SHARE = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*(%?)\s*")


@dataclass(frozen=True)
class Branches:
    """How often the first branch of each ``If`` is taken.

    Args:
        every: of those not named.
        named: by the node's label.
    """

    every: Expr = sp.S.One
    named: Mapping[str, Expr] = field(default_factory=dict)

    def share(self, label: str) -> Expr:
        """Return how often the first branch of a node is taken."""
        return self.named.get(label, self.every)

    @property
    def chosen(self) -> dict[str, str]:
        """Which branch sizes are inferred for, by label, "" for the rest; none where both are."""
        shares = {"": self.every, **self.named}
        return {k: _WORDS.get(share, "") for k, share in shares.items()}

    def check(self, graph: Graph) -> None:
        """Raise where a node is named that is no ``If`` of the graph.

        Raises:
            UnknownNameError: offering the nearest.
        """
        nodes = (n for g in graph.graphs() for n in g.body.nodes)
        known = {n.label for n in nodes if n.op == "If"}
        stray = next((label for label in self.named if label not in known), None)
        if stray is not None:
            raise unknown_name("If of this file", stray, known)


_WORDS: dict[Expr, str] = {sp.S.One: "then", sp.S.Zero: "else"}


def branches(text: str) -> Branches:
    """Read ``else``, ``0.25``, ``If_0=else`` or several, separated by commas.

    Raises:
        SpecError: a branch that is neither then, else nor a share.

    >>> branches("If_0=else,25%")
    Branches(every=1/4, named={'If_0': 0})
    """
    every, named = sp.S.One, {}
    for part in text.split(",") if text else ():
        label, equals, branch = part.rpartition("=")
        if equals:
            named[label.strip()] = share_of(branch.strip())
        else:
            every = share_of(branch.strip())
    return Branches(every, named)


def share_of(branch: str) -> Expr:
    """Return how often the first branch of an ``If`` is taken.

    Raises:
        SpecError: it is neither then, else nor a share.
    """
    named = {"then": sp.S.One, "else": sp.S.Zero}
    if branch in named:
        return named[branch]
    match = _SHARE.fullmatch(branch[:40])
    share = sp.Rational(match[1]) / (100 if match[2] else 1) if match else sp.Integer(-1)
    if not 0 <= share <= 1:
        raise SpecError(
            f"no branch is called {branch[:40]!r}",
            hint="pick then or else, or give the share of then: 0.25 or 25%; of one node:"
            " NODE=else",
        )
    return share
