"""The graph as written and as resolved: nodes, weights without bytes, and what each name holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Any

from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.core.symbols import Expr, Symbol
from mansard.frontends.onnx.dims import Dim, product
from mansard.frontends.onnx.dtypes import BITS
from mansard.frontends.onnx.values import Scalar, Tensor, Value

EMPTY: Mapping[Any, Any] = MappingProxyType({})


def _empty() -> Mapping[Any, Any]:
    return EMPTY


@dataclass(frozen=True, eq=False)
class Weight:
    """Stored numbers: an initializer, or a tensor a node carries.

    Args:
        name: of the initializer, or of the output of the node that carries it.
        dtype: ONNX's, in short.
        shape: whole numbers.
        storage: names the bytes: two weights at one place of one file share it.
        location: the external file relative to the model's folder; empty when inline.
        offset: where the bytes begin in it.
        value: the elements of a small one.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    storage: str
    location: str = ""
    offset: int = 0
    value: tuple[Scalar, ...] | None = None

    @property
    def type(self) -> Tensor:
        """What the graph's names hold."""
        return Tensor(self.dtype, self.shape, self.value, constant=True)

    @property
    def bytes(self) -> int:
        """Size as stored; elements of less than a byte are packed [B]."""
        return -(-int(product(self.shape)) * BITS.get(self.dtype, 0) // 8)


@dataclass(frozen=True, eq=False)
class Node:
    """One node as written. ``attributes`` hold plain values, ``Weight`` and ``Body``."""

    name: str
    op: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=_empty)

    @property
    def label(self) -> str:
        """What a message calls it."""
        return self.name or next((o for o in self.outputs if o), self.op)

    @property
    def kind(self) -> str:
        """The operator with its domain, unless that is ONNX's own."""
        return f"{self.domain}.{self.op}" if self.domain else self.op


@dataclass(frozen=True, eq=False)
class Body:
    """A graph as written: the main one, a branch, a loop body, a function.

    Args:
        name: as written.
        inputs: what a caller gives, initializers left out.
        outputs: the names it yields.
        nodes: every name is made before it is used.
        weights: initializers by name.
        declared: what the file says of its names: hints.
        defaults: attributes of a function that a call may leave out.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    weights: Mapping[str, Weight] = field(default_factory=_empty)
    declared: Mapping[str, Any] = field(default_factory=_empty)
    opsets: Mapping[str, int] = field(default_factory=_empty)
    defaults: Mapping[str, Any] = field(default_factory=_empty)


@dataclass(frozen=True, eq=False)
class Graph:
    """A body with what every name of it holds.

    Args:
        body: as written.
        values: by name; names of enclosing graphs are found there.
        inner: the graphs inside a node (branches, loop bodies, a function's body), by role:
            "then_branch", "else_branch", "body", "function".
        outer: the graph around it, whose names it may use.
    """

    body: Body
    values: Mapping[str, Value]
    inner: Mapping[Node, Mapping[str, Graph]] = field(default_factory=_empty)

    outer: Graph | None = None

    def value(self, name: str) -> Value:
        """Return what a name holds, here or in the graphs around.

        Raises:
            KeyError: nothing makes it.
        """
        scope: Graph | None = self
        while scope is not None:
            if name in scope.values:
                return scope.values[name]
            scope = scope.outer
        raise KeyError(name)

    def graphs(self) -> tuple[Graph, ...]:
        """Return this graph and those inside it, each once however often it is used."""
        found: dict[Graph, None] = {}
        pending = [self]
        while pending:
            graph = pending.pop()
            if graph not in found:
                found[graph] = None
                pending += [g for role in graph.inner.values() for g in role.values()]
        return tuple(found)

    def walk(self) -> Iterator[tuple[Graph, Node]]:
        """Yield every node with the graph it lies in, inner graphs after their node.

        A function's nodes come once per call, so graphs whose functions multiply have no end.
        """
        pending: list[Iterator[tuple[Graph, Node]]] = [((self, n) for n in self.body.nodes)]
        while pending:
            found = next(pending[-1], None)
            if found is None:
                pending.pop()
                continue
            graph, node = found
            yield graph, node
            for inner in reversed(tuple(graph.inner.get(node, EMPTY).values())):
                pending.append(_nodes(inner))


def _nodes(graph: Graph) -> Iterator[tuple[Graph, Node]]:
    return ((graph, n) for n in graph.body.nodes)


@dataclass(frozen=True)
class SymbolFact:
    """Where a symbol comes from.

    Args:
        origin: the text in the file, or the node that makes it.
        default: its expectation, where data decide it.
        reason: why it has the name it has.
    """

    origin: str
    default: Expr | int | None = None
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Resolved:
    """An ONNX graph of which every size is known or has a name.

    Args:
        name: of the model.
        producer: who wrote the file.
        graph: the main graph.
        symbols: every symbol its sizes mention.
        names: text of the file → the size it stands for.
        unknown: operators without a rule → the labels of their nodes.
        notes: what the answer rests on.
        opsets: by domain.
    """

    name: str
    producer: str
    graph: Graph
    symbols: Mapping[Symbol, SymbolFact]
    names: Mapping[str, Dim]
    unknown: Mapping[str, tuple[str, ...]]
    notes: tuple[Note, ...]
    opsets: Mapping[str, int] = field(default_factory=_empty)

    @property
    def values(self) -> Mapping[str, Value]:
        """What each name of the main graph holds."""
        return self.graph.values

    @property
    def weights(self) -> tuple[Weight, ...]:
        """Every stored tensor, those inside bodies and nodes included, one per storage."""
        found: dict[str, Weight] = {}
        for graph in self.graph.graphs():
            carried = (v for n in graph.body.nodes for v in n.attributes.values())
            for weight in (*graph.body.weights.values(), *carried):
                if isinstance(weight, Weight):
                    found.setdefault(weight.storage, weight)
        return tuple(found.values())
