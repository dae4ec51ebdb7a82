"""Where a graph attends: the product that makes queries, scores, values, the product after."""

from __future__ import annotations

from collections.abc import Iterator

from mansard.core.records import dataclass
from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.ops import Linear, Reshape, RMSNorm, Rope, Scale, Scores, Transpose, Values
from mansard.ir.value import Value

BETWEEN = (Reshape, Transpose, Rope, RMSNorm, Scale)
"""What keeps each head's elements apart, between the product that makes them and its reader."""


@dataclass(frozen=True)
class Attention:
    """The ops of one attention whose heads are apart from end to end.

    Args:
        query: makes the queries, and nothing else.
        scores: of queries and keys.
        values: weighted by the probabilities.
        output: takes what all heads made, and nothing else.
    """

    query: Linear
    scores: Scores
    values: Values
    output: Linear


def attentions(graph: Graph) -> Iterator[Attention]:
    """Yield attentions of a body whose queries and outputs have products of their own."""
    for op in graph.ops:
        if isinstance(op, Values):
            scores, output = scores_of(graph, op), _output(graph, op)
            query = None if scores is None else _query(graph, scores)
            if scores is not None and query is not None and output is not None:
                yield Attention(query, scores, op, output)


def scores_of(graph: Graph, values: Values) -> Scores | None:
    """Return the scores whose probabilities weight the values."""
    owner = graph.producers.get(values.p)
    while owner is not None and not isinstance(owner, Scores):
        owner = graph.producers.get(owner.operands[0])
    return owner


def _query(graph: Graph, scores: Scores) -> Linear | None:
    value = scores.q
    while (owner := _only(graph, value)) is not None and isinstance(owner, BETWEEN):
        value = owner.operands[0]
    return owner if type(owner) is Linear else None


def _only(graph: Graph, value: Value) -> Op | None:
    """Return what makes a value that one op alone reads."""
    return graph.producers.get(value) if len(graph.uses.get(value, ())) == 1 else None


def _output(graph: Graph, values: Values) -> Linear | None:
    value = values.out
    while len(users := graph.uses.get(value, ())) == 1:
        (user,) = users
        if type(user) is Linear:
            return user
        if not (user.is_view or user.kind in ("quantize", "merge_partials")):
            return None
        value = user.out
    return None
