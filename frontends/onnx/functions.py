"""Local functions: a body whose attributes the caller gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from mansard.frontends.onnx.graph import Body, Node
from mansard.frontends.onnx.read import Reference


def specialised(function: Body, given: Mapping[str, Any]) -> Body:
    """Return a function's body with the attributes a call gives, else their defaults."""
    return _bound(function, {**function.defaults, **given})


def _bound(body: Body, given: Mapping[str, Any]) -> Body:
    return replace(body, nodes=tuple(_node(n, given) for n in body.nodes))


def _node(node: Node, given: Mapping[str, Any]) -> Node:
    if not any(isinstance(v, (Reference, Body)) for v in node.attributes.values()):
        return node
    found: dict[str, Any] = {}
    for name, value in node.attributes.items():
        if isinstance(value, Reference):
            if value.name in given:
                found[name] = given[value.name]
        else:
            found[name] = _bound(value, given) if isinstance(value, Body) else value
    return replace(node, attributes=MappingProxyType(found))
