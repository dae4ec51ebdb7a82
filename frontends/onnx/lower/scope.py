"""Where a graph is lowered: what its names are in the program, and how ops are appended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from mansard.core.dtypes import Encoding
from mansard.core.errors import SpecError
from mansard.core.notes import Note
from mansard.core.symbols import B, Expr, S, T, expr, product
from mansard.frontends.onnx.branches import Branches
from mansard.frontends.onnx.dtypes import encoded
from mansard.frontends.onnx.graph import Graph, Node
from mansard.frontends.onnx.lower.index import Index
from mansard.frontends.onnx.lower.names import is_made_up, label_of, layer_of, snake
from mansard.frontends.onnx.values import Shape, Tensor
from mansard.ir.builder import Builder
from mansard.ir.op import Op, same_size
from mansard.ir.ops import Reshape
from mansard.ir.ops.tensor import Move
from mansard.ir.value import Value


@dataclass(eq=False)
class Shared:
    """What the scopes of one model share.

    Args:
        raised: whether patterns become mansard's ops and head transposes views.
        causal: whether attention over the model's own tokens is causal.
        branches: how often ``then`` is taken where data decide.
        leaves: stored values by storage.
        notes: what was found to be unknown or was chosen.
        sizes: what the caller says sizes are, by name.
        decided: what is counted of an ``If`` that data decide → the nodes of which it is.
    """

    raised: bool = True
    causal: bool = True
    branches: Branches = field(default_factory=Branches)
    leaves: dict[str, list[Value]] = field(default_factory=dict)
    notes: dict[str, Note] = field(default_factory=dict)
    sizes: Mapping[str, Expr] = field(default_factory=dict)
    decided: dict[str, dict[str, None]] = field(default_factory=dict)

    def note(self, code: str, text: str) -> None:
        """Keep a note, once."""
        self.notes.setdefault(text, Note(code, text))

    def decide(self, counted: str, node: str) -> None:
        """Keep what is counted of an ``If`` that data decide."""
        self.decided.setdefault(counted, {})[node] = None

    @property
    def said(self) -> tuple[Note, ...]:
        """The notes, one a policy for all the nodes it decides."""
        return (*self.notes.values(), *(_decision(*each) for each in self.decided.items()))


def _decision(counted: str, nodes: Mapping[str, None]) -> Note:
    first, *more = nodes
    of = f"{first} and {len(more)} more" if more else first
    other = "then" if counted.startswith("else") else "else"
    hint = f"--branch '{first}={other}', or the share of then"
    return Note("M063", f"{of}: data decide; {counted} ({hint})")


class Scope:
    """One graph being lowered.

    Args:
        graph: as resolved.
        build: collects the ops.
        shared: what all scopes of the model share.
        outer: the scope around it.
        given: names of the graph that are names of ``outer``: a function's parameters.
    """

    def __init__(
        self,
        graph: Graph,
        build: Builder,
        shared: Shared,
        outer: Scope | None = None,
        given: dict[str, str] | None = None,
    ) -> None:
        self.graph, self.build, self.shared, self.outer = graph, build, shared, outer
        self.index = Index(graph)
        self.given = given or {}
        self.wanted: tuple[str, ...] = graph.body.outputs
        self.env: dict[str, Value] = {}

    # What names hold.

    def tensor(self, name: str) -> Tensor:
        """Return what a name holds."""
        return self.index.tensor(name)

    def shape(self, name: str) -> tuple[Expr, ...]:
        """Return the shape a name has in the program; unknown ranks count as a scalar, noted."""
        shape = self.tensor(name).shape
        if shape is None:
            self.shared.note("M060", f"the size of {name!r} is not known; it is left out")
            return ()
        return flat(shape)

    def encoding(self, name: str) -> Encoding:
        """Return how the elements of a name lie."""
        return Encoding(encoded(self.tensor(name).dtype or "fp32"))

    def find(self, name: str) -> Value | None:
        """Return the value of a name that an op made or a caller gave."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.env:
                return scope.env[name]
            name, scope = scope.given.get(name, name), scope.outer
        return None

    def value(self, name: str) -> Value:
        """Return the value of a name; a constant is a table.

        Raises:
            SpecError: nothing makes it.
        """
        found = self.find(name)
        if found is not None:
            return found
        from mansard.frontends.onnx.lower.weights import stored

        if self.tensor(name).constant:
            return stored(self, name, role="table")
        if self.tensor(name).value is not None:  # arithmetic on sizes that an op needs as data
            return self._filled(name)
        raise SpecError(f"{name!r} is read before anything makes it")

    def _filled(self, name: str) -> Value:
        op = Move((), self.shape(name), self.encoding(name), fn="fill")
        self.env[name] = self.build(op, "fill")
        return self.env[name]

    def operand(self, name: str) -> Value | None:
        """Return the value of an operand; nothing for one left out, a scalar, or known numbers."""
        tensor = self.tensor(name)
        if not name or (tensor.constant and self.index.scalar(name)):
            return None
        if tensor.value is not None and self.find(name) is None and not tensor.constant:
            return None
        return self.value(name)

    def operands(self, names: Iterable[str]) -> tuple[Value, ...]:
        """Return the operands among names."""
        found = (self.operand(name) for name in names)
        return tuple(v for v in found if v is not None)

    def shaped(self, name: str) -> Value:
        """Return the value of a name in the shape the name has, by a view where it needs one."""
        found, shape = self.value(name), self.shape(name)
        return self.viewed(found, shape)

    def viewed(self, found: Value, shape: tuple[Expr, ...]) -> Value:
        """Return a value under another shape."""
        if len(shape) == len(found.shape) and all(map(same_size, shape, found.shape)):
            return found
        if same_size(found.numel, product(shape)):
            return self.build(Reshape(found, shape), "view")
        return self.build(Move((found,), shape, found.encoding.plain, fn="reshape"), "view")

    def rows(self, name: str, width: Expr | int) -> Value:
        """Return the value of a name with a last axis of ``width``, by a view where needed."""
        found = self.value(name)
        if found.shape and same_size(found.shape[-1], width):
            return found
        return self.shaped(name)

    # What nodes become.

    def bind(self, name: str, value: Value) -> None:
        """Say what a name is."""
        if name:
            self.env[name] = value

    def emit(self, op: Op, node: Node, label: str = "", output: int = 0) -> Value:
        """Append an op as one output of a node."""
        name = node.outputs[output] if output < len(node.outputs) else ""
        value = self.step(op, label or self.label(node), name)
        self.bind(name, value)
        return value

    def step(self, op: Op, label: str, name: str = "") -> Value:
        """Append an op; ``name`` is what the graph calls its result."""
        if self.outer is None and name in self.index.outputs:
            return self.build(replace(op, name=label), name)
        return self.build(op, label)

    def label(self, node: Node, weight: str = "") -> str:
        """Return the name of a node's op: its weight's, or its own, or its operator's."""
        if weight and not is_made_up(weight):
            return label_of(weight)
        if node.name and not is_made_up(node.name):
            path = node.name.rsplit("/", 1)[0] if "/" in node.name.strip("/") else node.name
            if weight:
                return label_of(path)
            inside = layer_of(f"{path}/") is not None
            return f"layers.{snake(node.op)}" if inside else snake(node.op)
        return snake(node.op)

    def attr(self, node: Node, name: str, default: int = 0) -> int:
        """Return an integer attribute."""
        value = node.attributes.get(name, default)
        return int(value) if isinstance(value, (int, float)) else default

    def text(self, node: Node, name: str, default: str = "") -> str:
        """Return a text attribute."""
        value = node.attributes.get(name, default)
        return value.decode(errors="replace") if isinstance(value, bytes) else str(value)

    def input(self, node: Node, k: int) -> str:
        """Return the name of an input, empty where it is left out."""
        return node.inputs[k] if k < len(node.inputs) else ""


def flat(shape: Shape) -> tuple[Expr, ...]:
    """Return a shape with tokens as one axis: ``[B, S, …]`` is ``[T, …]``.

    So that what a token costs does not mention sequences.
    """
    sizes = tuple(map(expr, shape))
    if len(sizes) > 1 and sizes[0] == B and sizes[1] == S:
        sizes = (T, *sizes[2:])
    return tuple(T if size == B * S else size for size in sizes)
