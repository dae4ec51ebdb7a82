"""Walk a graph in order, give each name what its maker's rule says it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import mansard.frontends.onnx.shapes  # noqa: F401 - registers the rules
from mansard.core.errors import SpecError
from mansard.frontends.onnx import expectations, schema
from mansard.frontends.onnx.dims import LARGEST, Dim, Unresolved, equal
from mansard.frontends.onnx.facts import DECLARED, Facts
from mansard.frontends.onnx.functions import specialised
from mansard.frontends.onnx.graph import Body, Graph, Node
from mansard.frontends.onnx.load import Model
from mansard.frontends.onnx.read import Declared
from mansard.frontends.onnx.registry import Call, find
from mansard.frontends.onnx.values import UNKNOWN, Optional, Shape, Tensor, Value
from mansard.frontends.onnx.values import Sequence as SequenceValue

MOST_NODES = 1_000_000
"""Nodes that are looked at once bodies and functions are expanded."""
RANDOM = frozenset(
    {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli",
     "Multinomial", "Dropout"}
)  # fmt: skip
"""Operators whose results are not constant though their inputs are."""
CHECK = "check the file with onnx.checker.check_model(path, full_check=True), or export it again"
"""What to do about a node that breaks its operator's rules."""
MISFIT = "its inputs do not fit"
_MISUSE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class Inference:
    """One pass over a model.

    Args:
        model: as written.
        facts: where equations between sizes go.
        branches: by label of an ``If``, or "" for all: the branch to take where data decide.
    """

    def __init__(self, model: Model, facts: Facts, branches: Mapping[str, str]) -> None:
        self.model, self.facts, self.branches = model, facts, branches
        self.unknown: dict[str, dict[str, None]] = {}
        self._count = 0
        self._calls: dict[Any, Graph] = {}
        self._active: list[Body] = []
        self._makers: dict[Body, expectations.Makers] = {}

    def graph(self, body: Body, inputs: Sequence[Value], outer: Graph | None = None) -> Graph:
        """Return a body with what its names hold.

        Raises:
            SpecError: a node breaks the rules of its operator; it is named.
        """
        values: dict[str, Value] = {n: w.type for n, w in body.weights.items()}
        values.update(zip(body.inputs, inputs, strict=False))
        inner: dict[Node, Mapping[str, Graph]] = {}
        graph = Graph(body, MappingProxyType(values), MappingProxyType(inner), outer)
        for node in body.nodes:
            self._count += 1
            if self._count > MOST_NODES:
                raise SpecError(
                    f"the graph expands to more than {MOST_NODES} nodes",
                    hint="its local functions call each other too often: export it inlined",
                )
            call = Call(
                node,
                body.opsets.get(node.domain, 1),
                self.facts,
                lambda b, given, g=graph: self.graph(b, given, g),  # type: ignore[misc]
                choice=self.branches.get(node.label, self.branches.get("", "")),
                every=self.branches.get("", ""),
                nonzero=lambda name, g=graph: self._nonzero(g, name),  # type: ignore[misc]
            )
            for name, value in zip(node.outputs, self._outputs(call, graph), strict=False):
                if name:
                    values[name] = self._checked(name, value, body)
            if call.inner:
                inner[node] = MappingProxyType(call.inner)
        return graph

    def _nonzero(self, graph: Graph, name: str) -> Fraction | None:
        if graph.body not in self._makers:
            self._makers[graph.body] = expectations.makers(graph)
        return expectations.share(graph, self._makers[graph.body], name)

    def _outputs(self, call: Call, graph: Graph) -> Sequence[Value]:
        node = call.node
        inputs = [graph.value(n) if n else None for n in node.inputs]
        try:
            found = self._applied(call, inputs, graph)
        except Unresolved:
            found = ()
        except SpecError as error:
            raise SpecError(
                f"node {node.label!r} ({node.kind}): {error.message}", hint=error.hint or CHECK
            ) from error
        except _MISUSE as error:
            given = ", ".join(_said(i) for i in inputs) or "nothing"
            raise SpecError(
                f"node {node.label!r} ({node.kind}): {MISFIT}: {given[:200]}",
                hint=CHECK,
            ) from error
        missing = len(node.outputs) - len(found)
        outputs = [*found, *[UNKNOWN] * missing]
        if node.op not in RANDOM and all(i is None or i.constant for i in inputs):
            outputs = [v if v.constant else replace(v, constant=True) for v in outputs]
        return outputs

    def _applied(self, call: Call, inputs: list[Value | None], graph: Graph) -> Sequence[Value]:
        node = call.node
        rule = find(node.op, node.domain, call.version)
        function = self.model.functions.get((node.domain, node.op))
        if rule is None and function is not None:  # a runtime's own operator wins over its fallback
            return self._function(call, function, inputs)
        if rule is None:
            self.unknown.setdefault(node.kind, {})[node.label] = None
            return ()
        schema.check(node, call.version)
        found = rule(call, *inputs)
        return (found,) if isinstance(found, (Tensor, SequenceValue, Optional)) else tuple(found)

    def _function(self, call: Call, function: Body, inputs: list[Value | None]) -> Sequence[Value]:
        if function in self._active:
            raise SpecError(
                f"the local function {function.name!r} calls itself",
                hint="a function of ONNX may not: export the model again",
            )
        given = dict(call.node.attributes)
        key = (function, tuple(inputs), tuple(sorted(given.items(), key=lambda kv: kv[0])))
        if key not in self._calls:
            self._active.append(function)
            body = specialised(function, given)
            known = [UNKNOWN if i is None else i for i in inputs]
            known += [UNKNOWN] * (len(body.inputs) - len(known))
            self._calls[key] = self.graph(body, known)
            self._active.pop()
        found = call.inner["function"] = self._calls[key]
        return tuple(found.value(o) for o in found.body.outputs)

    def _checked(self, name: str, value: Value, body: Body) -> Value:
        """Take a declaration for what is not known, and note where one contradicts."""
        hint = body.declared.get(name)
        if hint is None or not isinstance(value, Tensor):
            return value
        if value.shape is None:
            told = self.declared(hint, name)
            return replace(told, constant=value.constant) if isinstance(told, Tensor) else value
        if not value.dtype and hint.kind == "tensor":
            value = replace(value, dtype=hint.dtype)
        if (
            value.shape is not None
            and hint.dims is not None
            and contradicts(hint.dims, value.shape)
        ):
            shape = ", ".join(map(str, value.shape))
            said = ", ".join("?" if d is None else str(d)[:40] for d in hint.dims[:64])
            self.facts.conflict(DECLARED, f"{name!r} is declared [{said}] but is [{shape}]")
        return value

    def declared(self, hint: Declared, name: str) -> Value:
        """Return what a declaration says a name holds; an axis it leaves open gets a name."""
        if hint.kind == "sequence":
            element = self.declared(hint.element or Declared(), name)
            return SequenceValue(element if isinstance(element, Tensor) else UNKNOWN)
        if hint.kind == "optional":
            element = self.declared(hint.element or Declared(), name)
            return Optional(UNKNOWN if isinstance(element, Optional) else element)
        if hint.dims is None or len(hint.dims) > 64:
            return Tensor(hint.dtype)
        shape = tuple(self.size(d, f"{name}_d{axis}") for axis, d in enumerate(hint.dims))
        return Tensor(hint.dtype, shape)

    def size(self, dim: int | str | None, where: str) -> Dim:
        """Return a declared size."""
        names = self.facts.names
        if isinstance(dim, int) and not -1 <= dim <= LARGEST:  # -1 is how some say "open"
            self.facts.conflict(DECLARED, f"{where} is declared {dim}, which is no size")
        if dim is None:
            return self.facts.settle(names.symbol(where, where))
        found = names.dim(dim) if isinstance(dim, str) else names.fixed(dim, where)
        return self.facts.settle(found)


def _said(value: Value | None) -> str:
    """Return what a name holds, as a message says it."""
    if not isinstance(value, Tensor):
        return "nothing" if value is None else type(value).__name__.lower()
    dims = "…" if value.shape is None else ", ".join(map(str, value.shape))
    return f"{value.dtype or '?'}[{dims}]"


def contradicts(said: tuple[int | str | None, ...], found: Shape) -> bool:
    """Whether a declaration has another rank, or states another number."""
    if len(said) != len(found):
        return True
    numbers = (_stated(d) for d in said)
    return any(n is not None and equal(n, v) is False for n, v in zip(numbers, found, strict=True))


def _stated(dim: int | str | None) -> int | None:
    if isinstance(dim, str):
        return int(dim) if dim.isdigit() and len(dim) < 19 else None
    return None if dim is None or dim < 0 else dim
