"""Who makes and who reads each name of one graph: what patterns and liveness ask."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from mansard.core.symbols import B, P, S
from mansard.frontends.onnx.graph import Graph, Node
from mansard.frontends.onnx.values import Tensor


class Index:
    """Questions about one graph, answered once.

    Args:
        graph: as resolved.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.makers = {o: n for n in graph.body.nodes for o in n.outputs if o}
        self.outputs = frozenset(graph.body.outputs)

    @cached_property
    def readers(self) -> dict[str, list[Node]]:
        """The nodes that read a name, those with bodies that use it included."""
        found: dict[str, list[Node]] = {}
        for node in self.graph.body.nodes:
            for name in dict.fromkeys((*node.inputs, *self.captured(node))):
                found.setdefault(name, []).append(node)
        return found

    def captured(self, node: Node) -> tuple[str, ...]:
        """Return the names of enclosing graphs that the bodies of a node use."""
        return captured(self.graph, node)

    def maker(self, name: str, *ops: str) -> Node | None:
        """Return the node that makes a name, when it is one of some operators."""
        node = self.makers.get(name)
        return node if node is not None and (not ops or node.op in ops) else None

    def tensor(self, name: str) -> Tensor:
        """Return what a name holds; a tensor of which nothing is known for anything else."""
        try:
            value = self.graph.value(name) if name else Tensor()
        except KeyError:
            return Tensor()
        return value if isinstance(value, Tensor) else Tensor()

    def constant(self, name: str) -> bool:
        """Whether a name depends on weights and literals only."""
        return self.tensor(name).constant

    def scalar(self, name: str) -> bool:
        """Whether a name holds one element."""
        shape = self.tensor(name).shape
        return shape is not None and all(d == 1 for d in shape)

    def number(self, name: str) -> float | None:
        """Return the element of a one-element tensor, where it is known."""
        value = self.tensor(name).value
        if value is None or len(value) != 1 or value[0] is None:
            return None
        return float(value[0]) if not getattr(value[0], "free_symbols", None) else None

    def only_reader(self, name: str) -> Node | None:
        """Return the one node that reads a name nobody else wants."""
        readers = self.readers.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self.outputs else None

    def other(self, node: Node, name: str) -> str:
        """Return the other operand of a node of two."""
        return node.inputs[1] if node.inputs[0] == name else node.inputs[0]

    def is_cache(self, name: str) -> bool:
        """Whether a name is a cache the caller hands in: ``[B, heads, kept, d]``."""
        shape = self.tensor(name).shape
        if shape is None or len(shape) != 4 or not self.is_input(name):
            return False
        low = name.lower()
        return shape[2] == P or (shape[0] == B and ("past" in low or "cache" in low))

    def is_input(self, name: str) -> bool:
        """Whether the caller of the model hands a name in."""
        graph: Graph | None = self.graph
        while graph is not None and name not in graph.values:
            graph = graph.outer
        return graph is not None and graph.outer is None and name in graph.body.inputs

    def is_scores(self, name: str) -> bool:
        """Whether a name has the shape of attention scores, ``[B, heads, S, keys]``."""
        shape = self.tensor(name).shape
        return shape is not None and len(shape) == 4 and shape[0] == B and shape[2] == S


def captured(graph: Graph, node: Node) -> tuple[str, ...]:
    """Return the names of enclosing graphs that the bodies of a node use."""
    inner = graph.inner.get(node)
    if not inner:
        return ()
    found: dict[str, None] = {}
    for role, body in inner.items():
        if role != "function":
            found.update(dict.fromkeys(free(body)))
    return tuple(found)


def free(graph: Graph) -> Iterable[str]:
    """Yield the names a body uses and does not make."""
    body = graph.body
    own = {*body.inputs, *body.weights}
    for node in body.nodes:
        own.update(node.outputs)
    for node in body.nodes:
        for name in (*node.inputs, *captured(graph, node)):
            if name and name not in own:
                yield name
    yield from (name for name in body.outputs if name not in own)
