"""What is worked out of a graph once."""

from __future__ import annotations

from dataclasses import replace

from mansard.ir.graph import Graph
from mansard.ir.once import once


def test_a_graph_is_asked_once_for_each_thing_and_another_graph_anew() -> None:
    asked: list[tuple[Graph, str]] = []

    @once
    def count(graph: Graph, name: str) -> int:
        asked.append((graph, name))
        return len(graph.ops)

    graph = Graph()
    assert [count(graph, "a"), count(graph, "a"), count(graph, "b")] == [0, 0, 0]
    assert asked == [(graph, "a"), (graph, "b")]
    other = replace(graph)
    count(other, "a")
    assert asked[-1] == (other, "a")


def test_the_table_of_a_graph_is_made_once() -> None:
    from mansard.backends.table import tabulate

    graph = Graph()
    assert tabulate(graph, "target") is tabulate(graph, "target")
    assert tabulate(graph, "target") is not tabulate(replace(graph), "target")
