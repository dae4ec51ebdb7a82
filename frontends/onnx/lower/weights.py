"""Constants: a weight seen through transposes, casts and dequantization is the stored tensor."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import sympy as sp

from mansard.core.dtypes import Encoding
from mansard.core.records import dataclass
from mansard.core.symbols import Expr, expr
from mansard.frontends.onnx.dtypes import BITS, encoded
from mansard.frontends.onnx.graph import Node, Weight
from mansard.frontends.onnx.values import Shape
from mansard.ir.ops import Join
from mansard.ir.value import TensorType, Value

if TYPE_CHECKING:
    from mansard.frontends.onnx.lower.scope import Scope

_SAME = ("Identity", "Dropout")
_VIEWS = ("Reshape", "Unsqueeze", "Squeeze", "Flatten", "Expand")
_DEEPEST = 200


@dataclass(frozen=True)
class Decoding:
    """What a stored tensor decodes to: a dtype, scales of groups of elements, zero points."""

    of: str = ""
    scales: int = 0
    scale_bits: int = 0
    zero_bits: int = 0


PLAIN = Decoding()
"""Of a tensor that is what it says."""


def stored(
    scope: Scope, name: str, *, turned: bool = False, role: str = "weight",
    decoding: Decoding = PLAIN, shape: Shape | None = None, depth: int = 0,
) -> Value:  # fmt: skip
    """Return the stored value behind a constant.

    Args:
        scope: where the name is known.
        name: of a constant.
        turned: whether its last two axes are wanted the other way round.
        role: weight or table.
        decoding: what happens to its elements between there and here.
        shape: the shape to see it under, where that is not its own.
        depth: constants looked through so far.
    """
    tensor = scope.tensor(name)
    shape = (tensor.shape or ()) if shape is None else shape
    weight, node = origin(scope, name)
    if weight is not None:
        return leaf(scope, weight.storage, weight.dtype, _turn(shape, turned), role, decoding)
    if node is not None and depth < _DEEPEST:
        found = _through(scope, node, turned, role, decoding, shape, depth + 1)
        if found is not None:
            return found
    storage = name if node is None else _made(scope, node, name)
    return leaf(scope, storage, tensor.dtype, _turn(shape, turned), role, decoding)


def origin(scope: Scope, name: str) -> tuple[Weight | None, Node | None]:
    """Return the stored tensor of a name, or the node that makes it."""
    at: Scope | None = scope
    while at is not None:
        if name in at.graph.body.weights:
            return at.graph.body.weights[name], None
        node = at.index.makers.get(name)
        if node is not None:
            carried = node.attributes.get("value") if node.op == "Constant" else None
            return (carried, node) if isinstance(carried, Weight) else (None, node)
        name, at = at.given.get(name, name), at.outer
    return None, None


def leaf(
    scope: Scope, storage: str, dtype: str, shape: tuple[Expr, ...], role: str, decoding: Decoding
) -> Value:
    """Return the leaf of a storage; asked for twice in one form it is one value."""
    return shared_leaf(scope, storage, shape, _encoding(dtype, shape, decoding), role)


def shared_leaf(
    scope: Scope, storage: str, shape: tuple[Expr, ...], encoding: Encoding, role: str
) -> Value:
    """Return the one leaf of a storage in a form."""
    kind = TensorType(shape, encoding, role, storage)
    known = scope.shared.leaves.setdefault(storage, [])
    for value in known:
        if value.type == kind:
            return value
    known.append(Value(storage, kind))
    return known[-1]


def _encoding(dtype: str, shape: tuple[Expr, ...], decoding: Decoding) -> Encoding:
    kept = encoded(dtype or "fp32")
    of = decoding.of if decoding.of != kept else ""
    if not decoding.scales or not of:
        return Encoding(kept, of=of)
    size = sp.Mul(*shape)
    group = max(int(size) // decoding.scales, 1) if size.is_Integer else 0
    return Encoding(kept, of, group, decoding.scale_bits, decoding.zero_bits)


def _turn(shape: Shape, turned: bool) -> tuple[Expr, ...]:
    sizes = tuple(map(expr, shape))
    return (*sizes[:-2], sizes[-1], sizes[-2]) if turned and len(sizes) > 1 else sizes


def _made(scope: Scope, node: Node, name: str) -> str:
    return name or node.label


def _through(
    scope: Scope, node: Node, turned: bool, role: str, decoding: Decoding, shape: Shape, depth: int
) -> Value | None:
    """Return what lies behind a node that only changes how stored elements are seen."""
    first = node.inputs[0] if node.inputs else ""
    if node.op in _SAME:
        return stored(scope, first, turned=turned, role=role, decoding=decoding, depth=depth)
    if node.op in ("Cast", "CastLike"):
        to = scope.tensor(node.outputs[0]).dtype
        seen = decoding if decoding.of else replace(decoding, of=encoded(to or "fp32"))
        return stored(scope, first, turned=turned, role=role, decoding=seen, depth=depth)
    if node.op in _VIEWS and not turned and _same_size(scope, first, node.outputs[0]):
        return stored(scope, first, role=role, decoding=decoding, shape=shape, depth=depth)
    if node.op == "Transpose" and _swaps_last(scope, node):
        return stored(scope, first, turned=not turned, role=role, decoding=decoding, depth=depth)
    if node.op == "DequantizeLinear":
        seen = _dequantized(scope, node)
        return stored(scope, first, turned=turned, role=role, decoding=seen, depth=depth)
    if node.op == "Mul" and (scaled := _scaled(scope, node)) is not None:
        elements, seen = scaled
        return stored(scope, elements, turned=turned, role=role, decoding=seen, depth=depth)
    if node.op == "Concat" and len(node.inputs) > 1 and shape == scope.tensor(node.outputs[0]).dims:
        return _joined(scope, node, turned, role, decoding, depth)
    return None


def _same_size(scope: Scope, a: str, b: str) -> bool:
    one, other = scope.tensor(a), scope.tensor(b)
    return one.shape is not None and other.shape is not None and one.size == other.size


def _swaps_last(scope: Scope, node: Node) -> bool:
    rank = len(scope.tensor(node.inputs[0]).shape or ())
    order = tuple(node.attributes.get("perm", range(rank - 1, -1, -1)))
    return rank > 1 and order == (*range(rank - 2), rank - 1, rank - 2)


def _dequantized(scope: Scope, node: Node) -> Decoding:
    scale = scope.tensor(node.inputs[1])
    zero = scope.tensor(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
    size = scale.size if scale.shape is not None else 1
    of = encoded(scope.tensor(node.outputs[0]).dtype or scale.dtype or "fp32")
    bits = 0 if zero is None else BITS.get(zero.dtype, 8)
    return Decoding(of, size if isinstance(size, int) else 1, BITS.get(scale.dtype, 32), bits)


def _scaled(scope: Scope, node: Node) -> tuple[str, Decoding] | None:
    """Return the elements and the decoding of integers cast and multiplied by scales."""
    for at, name in enumerate(node.inputs[:2]):
        maker = origin(scope, name)[1]
        scale = scope.tensor(node.inputs[1 - at])
        if maker is None or maker.op != "Cast" or scale.shape is None:
            continue
        size = scale.size
        if "int" in scope.tensor(maker.inputs[0]).dtype and isinstance(size, int):
            of = encoded(scope.tensor(node.outputs[0]).dtype)
            return maker.inputs[0], Decoding(of, size, BITS.get(scale.dtype, 32))
    return None


def _joined(
    scope: Scope, node: Node, turned: bool, role: str, decoding: Decoding, depth: int
) -> Value:
    rank = len(scope.tensor(node.outputs[0]).dims)
    axis = int(node.attributes.get("axis", 0)) % rank
    if turned and axis >= rank - 2:
        axis = 2 * rank - 3 - axis
    parts = tuple(
        stored(scope, name, turned=turned, role=role, decoding=decoding, depth=depth)
        for name in node.inputs
    )
    key = f"join {id(scope.build)} {node.outputs[0]} {turned} {role}"
    known = scope.shared.leaves.setdefault(key, [])
    if not known:
        known.append(scope.build(Join(parts, axis), "packed"))
    return known[0]
