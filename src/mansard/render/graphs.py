"""A graph as text, tree, DOT, JSON or GraphML."""

from __future__ import annotations

from collections.abc import Iterator

from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.program import Program
from mansard.render.encodings import as_json
from mansard.render.resolution import details


def draw(program: Program, name: str, form: str) -> str:
    """Return one graph of a program in a form; ``text`` is the whole program.

    Raises:
        UnknownNameError: no such graph.
    """
    graph = program.graph(name)
    match form:
        case "text":
            return f"{str(program).rstrip()}\n"
        case "tree":
            found = program.origin.resolution
            head = () if found is None else details(found)
            return "".join(f"{line}\n" for line in head) + tree(graph)
        case _:
            return f"{_exported(graph, form).rstrip()}\n"


def tree(graph: Graph) -> str:
    """Return the ops as an indented tree, the ops of one kernel under its name."""
    return "".join(f"{line}\n" for line in _tree(graph, ""))


def _exported(graph: Graph, form: str) -> str:
    from mansard.ir import export  # networkx, which the other forms do not wait for

    match form:
        case "dot":
            return export.to_dot(graph)
        case "graphml":
            return export.to_graphml(graph)
        case _:
            return as_json(export.to_node_link(graph))


def _tree(graph: Graph, indent: str) -> Iterator[str]:
    for kernel in graph.kernels:
        inner = indent
        if len(kernel.ops) > 1:
            yield f"{indent}{kernel.name}  one kernel"
            inner = f"{indent}  "
        for op in kernel.ops:
            yield from _node(op, inner)


def _node(op: Op, indent: str) -> Iterator[str]:
    trips = getattr(op, "trips", None)
    again = "" if trips is None else f" × {trips}"
    results = ", ".join(f"{v.encoding}[{', '.join(map(str, v.shape))}]" for v in op.outs)
    yield f"{indent}{op.name}{again}  {op.kind} → {results}"
    for body in op.bodies:
        yield from _tree(body, f"{indent}  ")
