"""What ONNX says an operator takes: how many operands and results, attributes of which type."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import onnx
from onnx.defs import OpSchema, SchemaError

from mansard.core.errors import SpecError
from mansard.frontends.onnx.graph import Body, Node, Weight


def check(node: Node, version: int) -> None:
    """Raise where a node breaks its operator's signature; one ONNX does not define passes.

    Raises:
        SpecError: saying what it has and what it takes.
    """
    schema = _schema(node.op, node.domain, version)
    if schema is None:
        return
    _counted(len(node.inputs), schema.min_input, schema.max_input, "input")
    _counted(len(node.outputs), 0, schema.max_output, "output")
    for name, value in node.attributes.items():
        known = schema.attributes.get(name)
        if known is not None and not _TYPES.get(known.type, _any)(value):
            said = value.decode(errors="replace") if isinstance(value, bytes) else value
            kind = str(known.type).rpartition(".")[2].lower()
            raise SpecError(f"its attribute {name!r} is {str(said)[:80]!r}, not of type {kind}")


def _counted(found: int, least: int, most: int, what: str) -> None:
    if least <= found <= most:
        return
    wanted = least if found < least else most
    bound = "" if least == most else "at least " if found < least else "at most "
    raise SpecError(
        f"it has {found} {what}{'' if found == 1 else 's'}; its operator has {bound}{wanted}"
    )


@cache
def _schema(op: str, domain: str, version: int) -> OpSchema | None:
    try:
        return onnx.defs.get_schema(op, version, domain)
    except SchemaError:
        return None


def _any(_: Any) -> bool:
    return True


def _of(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kind)


def _all(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, tuple) and all(isinstance(v, kind) for v in value)


_KIND = OpSchema.AttrType
_TYPES: dict[Any, Callable[[Any], bool]] = {
    _KIND.INT: _of(int), _KIND.FLOAT: _of(float), _KIND.STRING: _of(bytes),
    _KIND.TENSOR: _of(Weight), _KIND.GRAPH: _of(Body),
    _KIND.INTS: _all(int), _KIND.FLOATS: _all(float), _KIND.STRINGS: _all(bytes),
}  # fmt: skip
