"""How large a graph is once what it calls is spelled out, before anything is."""

from __future__ import annotations

from mansard.core.errors import SpecError
from mansard.frontends.onnx.graph import Graph

MOST_NODES = 200_000
"""Nodes that are lowered: at 0.3 ms a node a minute of work; an 8B model has about 10,000."""


def check(graph: Graph) -> None:
    """Raise where functions and bodies expand to more nodes than can be lowered.

    Raises:
        SpecError: functions that call functions multiply.
    """
    if expanded(graph, {}) > MOST_NODES:
        raise SpecError(
            f"the graph expands to more than {MOST_NODES} nodes",
            hint="its local functions call each other too often: export them inlined or simpler",
        )


def expanded(graph: Graph, known: dict[Graph, int]) -> int:
    """Return the nodes of a graph with those of every body in it, as often as it is called."""
    if graph not in known:
        inner = (g for roles in graph.inner.values() for g in roles.values())
        known[graph] = len(graph.body.nodes) + sum(expanded(g, known) for g in inner)
    return known[graph]
