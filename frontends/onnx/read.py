"""Turn protos into nodes and bodies, checking that names are made once and before they are used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from onnx import AttributeProto, FunctionProto, GraphProto, NodeProto, TypeProto, ValueInfoProto

from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.frontends.onnx.dtypes import name_of
from mansard.frontends.onnx.graph import Body, Node, Weight
from mansard.frontends.onnx.order import ordered
from mansard.frontends.onnx.tensors import Tensors

AGAIN = "names in a graph are given once: export the model again"


@dataclass(frozen=True)
class Declared:
    """What a file says a name holds: ``kind`` is tensor, sequence or optional.

    ``dims`` are integers, texts, or ``None`` for an axis of which nothing is said.
    """

    kind: str = "tensor"
    dtype: str = ""
    dims: tuple[int | str | None, ...] | None = None
    element: Declared | None = None


@dataclass(frozen=True)
class Reference:
    """An attribute whose value the caller of the function gives."""

    name: str


class Reader:
    """Reads the graphs of one model."""

    def __init__(self, folder: Path, opsets: Mapping[str, int]) -> None:
        self.tensors = Tensors(folder)
        self.opsets = _opsets(opsets)

    def graph(self, proto: GraphProto, *, closed: bool = True) -> Body:
        """Return a graph; one that is not ``closed`` may take names from the graphs around it.

        Raises:
            SpecError: a name is made twice, or used and never made, or nodes form a cycle.
        """
        weights = self._weights(proto)
        inputs = tuple(n for n in (_text(i.name) for i in proto.input) if n not in weights)
        _check_unique(inputs, proto)
        infos = (*proto.value_info, *proto.input, *proto.output)
        given = frozenset((*weights, *inputs))
        nodes = ordered(
            [self._node(n) for n in proto.node], given, _text(proto.name), closed=closed
        )
        made = given.union(o for n in nodes for o in n.outputs)
        lost = next((o.name for o in proto.output if closed and _text(o.name) not in made), None)
        if lost is not None:
            raise SpecError(
                f"nothing makes the output {lost!r} of graph {proto.name!r}",
                hint="export the model again, or take the output out of the graph",
            )
        return Body(
            proto.name,
            inputs,
            tuple(_text(o.name) for o in proto.output),
            nodes,
            MappingProxyType(weights),
            MappingProxyType({_text(i.name): declared(i) for i in infos if i.HasField("type")}),
            MappingProxyType(self.opsets),
        )

    def function(self, proto: FunctionProto) -> Body:
        """Return a local function's body; raises like ``graph``."""
        given = frozenset(proto.input)
        opsets = _opsets({o.domain: o.version for o in proto.opset_import})
        return Body(
            proto.name,
            tuple(proto.input),
            tuple(proto.output),
            ordered([self._node(n) for n in proto.node], given, _text(proto.name), closed=True),
            declared=MappingProxyType({_text(i.name): declared(i) for i in proto.value_info}),
            opsets=MappingProxyType({**self.opsets, **opsets}),
            defaults=MappingProxyType(
                {a.name: self._attribute(a, "") for a in proto.attribute_proto}
            ),
        )

    def _weights(self, proto: GraphProto) -> dict[str, Weight]:
        found: dict[str, Weight] = {}
        for tensor in proto.initializer:
            name = _text(tensor.name)
            if not name or name in found:
                raise SpecError(f"graph {proto.name!r} has two initializers {name!r}", hint=AGAIN)
            found[name] = self.tensors.read(tensor, name)
        for sparse in proto.sparse_initializer:
            weight = self.tensors.read(sparse.values, sparse.values.name)
            shape = tuple(sparse.dims)
            found[weight.name] = Weight(weight.name, weight.dtype, shape, weight.storage)
        return found

    def _node(self, proto: NodeProto) -> Node:
        domain = "" if proto.domain == "ai.onnx" else _text(proto.domain)
        inputs, outputs = tuple(map(_text, proto.input)), tuple(map(_text, proto.output))
        label, op = _text(proto.name), _text(proto.op_type)
        if not proto.attribute:
            return Node(label, op, domain, inputs, outputs)
        name = next((o for o in outputs if o), label)
        attributes = {_text(a.name): self._attribute(a, name) for a in proto.attribute}
        return Node(label, op, domain, inputs, outputs, MappingProxyType(attributes))

    def _attribute(self, proto: AttributeProto, name: str) -> Any:
        if proto.ref_attr_name:
            return Reference(_text(proto.ref_attr_name))
        kind = proto.type
        if kind in _PLAIN:
            return getattr(proto, _PLAIN[kind])
        if kind in _LISTS:
            return tuple(getattr(proto, _LISTS[kind]))
        if kind == AttributeProto.TENSOR:
            return self.tensors.read(proto.t, name)
        if kind == AttributeProto.TENSORS:
            return tuple(self.tensors.read(t, f"{name}.{k}") for k, t in enumerate(proto.tensors))
        if kind == AttributeProto.SPARSE_TENSOR:
            weight = self.tensors.read(proto.sparse_tensor.values, name)
            return Weight(name, weight.dtype, tuple(proto.sparse_tensor.dims), weight.storage)
        if kind == AttributeProto.GRAPH:
            return self.graph(proto.g, closed=False)
        if kind == AttributeProto.GRAPHS:
            return tuple(self.graph(g, closed=False) for g in proto.graphs)
        if kind == AttributeProto.TYPE_PROTO:
            return declared_type(proto.tp, name)
        raise SpecError(
            f"attribute {proto.name!r} of {name!r} has no type ONNX defines: {kind!r}", hint=AGAIN
        )


_PLAIN = {AttributeProto.INT: "i", AttributeProto.FLOAT: "f", AttributeProto.STRING: "s"}
_LISTS = {
    AttributeProto.INTS: "ints",
    AttributeProto.FLOATS: "floats",
    AttributeProto.STRINGS: "strings",
}


def _text(name: str | bytes) -> str:
    """Return a name; protobuf hands over bytes where it is not UTF-8."""
    return name if isinstance(name, str) else name.decode(errors="replace")


def _opsets(versions: Mapping[str, int]) -> dict[str, int]:
    """Return the versions by domain, ONNX's own domain under its short name."""
    return {"" if domain == "ai.onnx" else domain: v for domain, v in versions.items()}


def _check_unique(inputs: tuple[str, ...], proto: GraphProto) -> None:
    seen: set[str] = set()
    for name in inputs:
        if not name or name in seen:
            raise SpecError(f"graph {proto.name!r} has two inputs called {name!r}", hint=AGAIN)
        seen.add(name)


def declared(info: ValueInfoProto) -> Declared:
    """Return what a value's declaration says; raises ``SpecError`` on a dtype ONNX has not."""
    return declared_type(info.type, info.name)


def declared_type(proto: TypeProto, name: str) -> Declared:
    """Return what a type says; raises like ``declared``."""
    match proto.WhichOneof("value"):
        case "tensor_type" | "sparse_tensor_type" as kind:
            tensor = getattr(proto, kind)
            dtype = name_of(tensor.elem_type, f"{name!r}")
            if not tensor.HasField("shape"):
                return Declared(dtype=dtype)
            return Declared(dtype=dtype, dims=tuple(_dim(d) for d in tensor.shape.dim))
        case "sequence_type":
            return Declared("sequence", element=declared_type(proto.sequence_type.elem_type, name))
        case "optional_type":
            return Declared("optional", element=declared_type(proto.optional_type.elem_type, name))
        case _:
            return Declared("unknown")


def _dim(proto: Any) -> int | str | None:
    match proto.WhichOneof("value"):
        case "dim_value":
            return int(proto.dim_value)
        case "dim_param":
            return str(proto.dim_param) or None
        case _:
            return None
