"""Moves and views: what changes where elements lie, not what they are."""

from __future__ import annotations

from mansard.core.dtypes import Encoding
from mansard.core.symbols import Expr, expr, product
from mansard.frontends.onnx.dtypes import BITS, encoded
from mansard.frontends.onnx.graph import Node
from mansard.frontends.onnx.lower.matmul import packed_leaf, weight_name
from mansard.frontends.onnx.lower.names import snake
from mansard.frontends.onnx.lower.registry import lowers
from mansard.frontends.onnx.lower.scope import Scope
from mansard.frontends.onnx.lower.weights import stored
from mansard.ir.op import same_size
from mansard.ir.ops import Cast, Embedding, Reshape, Slice
from mansard.ir.ops.tensor import Move, Scatter
from mansard.ir.value import Value

HEADS_LAST = (0, 2, 1, 3)
"""The order that splits heads off tokens, and its own inverse: folded by every attention kernel."""


@lowers("Reshape", "Unsqueeze", "Squeeze", "Flatten", reads=1)
def view(scope: Scope, node: Node) -> None:
    """Lower another shape of the same elements: nothing, unless a reader needs it spelled out."""
    out, x = node.outputs[0], scope.operand(node.inputs[0])
    if x is None:
        return
    if scope.shared.raised:
        scope.bind(out, x)
    elif same_size(x.numel, product(scope.shape(out))):
        scope.emit(Reshape(x, scope.shape(out)), node)
    else:  # sizes the file contradicts itself about
        moved(scope, node, first=1)


@lowers("Identity", "Dropout", "OptionalGetElement", "Optional", reads=1)
def same(scope: Scope, node: Node) -> None:
    """Lower what changes nothing."""
    x = scope.operand(node.inputs[0]) if node.inputs else None
    if x is not None:
        scope.bind(node.outputs[0], x)


@lowers("Transpose", reads=1)
def transpose(scope: Scope, node: Node) -> None:
    """Lower another order of axes; splitting heads is a view where patterns are raised."""
    order = tuple(node.attributes.get("perm", ()))
    if scope.shared.raised and order == HEADS_LAST:
        scope.bind(node.outputs[0], scope.value(node.inputs[0]))
    else:
        moved(scope, node)


@lowers("Pad", "Tile", "Expand", "DepthToSpace", "SpaceToDepth", "Trilu",
        "ReverseSequence", "Compress", "OneHot", "EyeLike", "Im2Col",
        "Col2Im", reads=1)  # fmt: skip
def padded(scope: Scope, node: Node) -> None:
    """Lower a copy whose other inputs are small: sizes, axes, pads."""
    moved(scope, node, first=1)


@lowers("CenterCropPad", reads=1)
def cropped(scope: Scope, node: Node) -> None:
    """Lower a cut or padded copy."""
    moved(scope, node, first=1)


@lowers("Concat", "QLinearConcat", "SequenceConstruct", "ConcatFromSequence")
def concat(scope: Scope, node: Node) -> None:
    """Lower a copy of several tensors into one."""
    moved(scope, node)


def moved(scope: Scope, node: Node, first: int | None = None) -> None:
    """Append a copy of a node's first inputs."""
    xs = scope.operands(node.inputs[:first])
    out = node.outputs[0]
    scope.emit(Move(xs, scope.shape(out), scope.encoding(out), fn=snake(node.op)), node)


@lowers("Slice", reads=1)
def sliced(scope: Scope, node: Node) -> None:
    """Lower part of a tensor: only what is taken is read."""
    part(scope, node, 0, None)


@lowers("Split", "SplitToSequence", reads=1)
def split(scope: Scope, node: Node) -> None:
    """Lower several parts of a tensor, one after another."""
    start = expr(0)
    for k, out in enumerate(node.outputs):
        if not out:
            continue
        part(scope, node, k, start)
        shape = scope.tensor(out).shape
        axis = scope.attr(node, "axis")
        start += expr(shape[axis]) if shape else 0


def part(scope: Scope, node: Node, k: int, start: Expr | None) -> None:
    """Append one part: of features a view, of anything else a copy."""
    out, x = node.outputs[k], scope.value(node.inputs[0])
    shape, whole = scope.tensor(out).shape or (), scope.tensor(node.inputs[0]).shape or ()
    features = len(shape) == len(whole) > 1 and shape[:-1] == whole[:-1]
    if scope.shared.raised and features and x.shape and same_size(x.shape[-1], whole[-1]):
        at = start if start is not None else _start(scope, node)
        axis = len(x.shape) - 1
        scope.emit(Slice(x, expr(axis), at, expr(shape[-1])), node, output=k)
        return
    to = scope.encoding(out)
    taken = product(scope.shape(out))
    scope.emit(Move((x,), scope.shape(out), to, fn=snake(node.op), taken=taken), node, output=k)


def _start(scope: Scope, node: Node) -> Expr:
    given = scope.tensor(scope.input(node, 1)).value
    first = given[0] if given and len(given) == 1 else 0
    return expr(first) if isinstance(first, int) and first >= 0 else expr(0)


@lowers("Gather", "GatherElements", "GatherND")
def gather(scope: Scope, node: Node) -> None:
    """Lower a lookup: rows of a stored table are an embedding, else what is taken is copied."""
    table, out = node.inputs[0], node.outputs[0]
    ids = scope.operand(node.inputs[1])
    rows = node.op == "Gather" and scope.attr(node, "axis") == 0
    if rows and ids is not None and scope.tensor(table).constant and is_table(scope, table):
        lookup(scope, node, ids, stored(scope, table, role=role_of(scope, node, table)))
        return
    xs = (scope.value(table), *(() if ids is None else (ids,)))
    taken = product(scope.shape(out))
    op = Move(xs, scope.shape(out), scope.encoding(out), fn=snake(node.op), taken=taken)
    scope.emit(op, node)


def is_table(scope: Scope, name: str) -> bool:
    """Whether a constant is a matrix of numbers."""
    tensor = scope.tensor(name)
    return len(tensor.shape or ()) == 2 and not tensor.dtype.startswith(("bool", "string"))


def role_of(scope: Scope, node: Node, table: str) -> str:
    """Return what a looked-up matrix is: angles of positions are a table, the rest weights."""
    name = weight_name(scope, table).lower()
    reader = [r.op for r in scope.index.readers.get(node.outputs[0], [])]
    angles = any(word in name for word in ("cos_cache", "sin_cache", "cos_cached", "sin_cached"))
    integers = scope.tensor(table).dtype.startswith(("int64", "int32"))
    return "table" if angles or integers or set(reader) == {"RotaryEmbedding"} else "weight"


def lookup(scope: Scope, node: Node, ids: Value, w: Value) -> None:
    """Append an embedding; a table of decoded integers is read as they lie."""
    label = scope.label(node, weight_name(scope, node.inputs[0]))
    label = "embed" if label == "lm_head" else label  # a tied table under the head's name
    made = scope.emit(Embedding(ids, w), node, label)
    scope.bind(node.outputs[0], scope.viewed(made, scope.shape(node.outputs[0])))


@lowers("GatherBlockQuantized")
def gather_block_quantized(scope: Scope, node: Node) -> None:
    """Lower a lookup in a packed table: its logical width is that of the result."""
    out, scale = node.outputs[0], scope.tensor(node.inputs[2])
    bits, group = scope.attr(node, "bits", 4), scope.attr(node, "block_size", 128)
    zero = scope.input(node, 3)
    of = encoded(scope.tensor(out).dtype or "fp32")
    encoding = Encoding(f"int{bits}", of, group, BITS.get(scale.dtype, 32), bits if zero else 0)
    rows = (scope.tensor(node.inputs[0]).shape or (1,))[0]
    width = (scope.tensor(out).shape or (1,))[-1]
    if not isinstance(rows, int) or not isinstance(width, int):
        moved(scope, node)
        return
    w = packed_leaf(scope, node.inputs[0], (rows, width), encoding)
    lookup(scope, node, scope.value(node.inputs[1]), w)


@lowers("ScatterND", "ScatterElements", "Scatter", "TensorScatter")
def scatter(scope: Scope, node: Node) -> None:
    """Lower a write into places of a tensor: the others stay where they are."""
    x, updates = scope.value(node.inputs[0]), node.inputs[2 if node.op != "TensorScatter" else 1]
    indices = node.inputs[1 if node.op != "TensorScatter" else 2 :]
    rest = scope.operands(n for n in indices if n != updates)
    written = scope.operand(updates)
    if written is None:
        scope.bind(node.outputs[0], x)
    else:
        scope.emit(Scatter(x, written, rest), node)


@lowers("Resize", "Upsample", "GridSample", "AffineGrid", "RoiAlign", reads=1)
def resize(scope: Scope, node: Node) -> None:
    """Lower an interpolation as the copy it is: 2 FLOP an element are left to the bound."""
    moved(scope, node, first=1)


@lowers("Range", "ConstantOfShape", "Constant", "RandomNormal", "RandomUniform",
        "RandomNormalLike", "RandomUniformLike", "HannWindow", "HammingWindow", "BlackmanWindow",
        reads=0)  # fmt: skip
def made_up(scope: Scope, node: Node) -> None:
    """Lower elements that come from nowhere: they are written once."""
    moved(scope, node, first=0)


@lowers("Shape", "Size", "SequenceLength", "SequenceAt", "SequenceEmpty", reads=0)
def nothing(scope: Scope, node: Node) -> None:
    """Lower what is known without running: an index of a few bytes."""
    moved(scope, node, first=0)


@lowers("Cast", "CastLike", "BitCast", reads=1)
def cast(scope: Scope, node: Node) -> None:
    """Lower another dtype of the same elements."""
    x, to = scope.operand(node.inputs[0]), scope.encoding(node.outputs[0])
    if x is None:
        return
    if x.encoding == to or (scope.shared.raised and x.encoding.plain == to):
        scope.bind(node.outputs[0], x)
    else:
        scope.emit(Cast(x, to), node)
