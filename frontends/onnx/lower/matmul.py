"""Matrix products: with a weight a linear, of two activations a matmul."""

from __future__ import annotations

from mansard.core.dtypes import Encoding
from mansard.core.symbols import Expr, expr
from mansard.frontends.onnx.dtypes import BITS, encoded
from mansard.frontends.onnx.graph import Node
from mansard.frontends.onnx.lower.registry import lowers
from mansard.frontends.onnx.lower.scope import Scope
from mansard.frontends.onnx.lower.weights import origin, shared_leaf, stored
from mansard.ir.op import same_size
from mansard.ir.ops import Linear
from mansard.ir.ops.tensor import Elementwise, MatMul, Move, Reduce
from mansard.ir.value import Value

Turned = tuple[bool, bool]
"""Whether the last two axes of the left and of the right side are turned first."""


@lowers("MatMul", "MatMulInteger", reads=2)
def matmul(scope: Scope, node: Node) -> None:
    """Lower a product; integers that are products of quantized activations come out decoded."""
    product(scope, node, node.inputs[0], node.inputs[1])


@lowers("FusedMatMul", "TransposeMatMul", reads=2)
def fused_matmul(scope: Scope, node: Node) -> None:
    """Lower a product whose sides may be turned first."""
    product(
        scope,
        node,
        node.inputs[0],
        node.inputs[1],
        turned=(bool(scope.attr(node, "transA")), bool(scope.attr(node, "transB"))),
    )


@lowers("MatMulIntegerToFloat", "DynamicQuantizeMatMul")
def scaled_matmul(scope: Scope, node: Node) -> None:
    """Lower an integer product that decodes its result: scales are small and stay out."""
    product(scope, node, node.inputs[0], node.inputs[1])


@lowers("QLinearMatMul")
def qlinear_matmul(scope: Scope, node: Node) -> None:
    """Lower an integer product; its inputs are a and b, each with scale and zero point."""
    product(scope, node, node.inputs[0], node.inputs[3])


@lowers("QGemm")
def qgemm(scope: Scope, node: Node) -> None:
    """Lower an integer product with a bias; a and b each have scale and zero point."""
    turned = (bool(scope.attr(node, "transA")), bool(scope.attr(node, "transB")))
    bias = scope.input(node, 6)
    product(scope, node, node.inputs[0], node.inputs[3], bias=bias, turned=turned)


@lowers("Gemm", "FusedGemm")
def gemm(scope: Scope, node: Node) -> None:
    """Lower ``y = a @ b + c``, either side turned or not."""
    turned = (bool(scope.attr(node, "transA")), bool(scope.attr(node, "transB")))
    bias = scope.input(node, 2)
    product(scope, node, node.inputs[0], node.inputs[1], bias=bias, turned=turned)


def product(
    scope: Scope, node: Node, a: str, b: str, *, bias: str = "", turned: Turned = (False, False)
) -> Value:
    """Append the product of two names as the first output of a node."""
    constant = scope.tensor(b).constant and len(scope.tensor(b).shape or ()) == 2
    if constant and not turned[0] and scope.tensor(b).shape and not scope.tensor(a).constant:
        w = stored(scope, b, turned=not turned[1])
        x = scope.rows(a, w.shape[1])
        if x.shape and same_size(x.shape[-1], w.shape[1]):
            return linear(scope, node, x, w, bias, b)
    return act_by_act(scope, node, a, b, bias, turned)


def linear(scope: Scope, node: Node, x: Value, w: Value, bias: str, weight: str) -> Value:
    """Append a linear; a bias that is no vector of its outputs is added after it."""
    label = scope.label(node, weight_name(scope, weight))
    vector = bool(bias) and is_vector(scope, bias, w.shape[0])
    b = stored(scope, bias) if vector else None
    made = scope.emit(Linear(x, w, b), node, label)
    if bias and not vector and not scope.index.scalar(bias):
        xs = (made, *scope.operands((bias,)))
        made = scope.emit(Elementwise(xs, made.shape, fn="add"), node, f"{label}_bias")
    return made


def is_vector(scope: Scope, name: str, size: Expr) -> bool:
    """Whether a name is a constant vector of a size."""
    tensor = scope.tensor(name)
    return tensor.constant and len(tensor.shape or ()) == 1 and expr(tensor.dims[0]) == size


def weight_name(scope: Scope, name: str) -> str:
    """Return what the file calls the tensor behind a constant; of a join, the join's."""
    for _ in range(50):
        weight, node = origin(scope, name)
        if weight is not None or node is None or not node.inputs:
            return name
        if node.op == "Concat":
            return _packed(scope, node)
        if node.op == "Mul":
            return node.outputs[0]
        name = node.inputs[0]
    return name


def _packed(scope: Scope, node: Node) -> str:
    names = [weight_name(scope, i) for i in node.inputs]
    ends = [n.removesuffix(".weight").rsplit(".", 1) for n in names]
    if not all(len(e) == 2 for e in ends) or len({e[0] for e in ends}) != 1:
        return names[0]
    modules = [e[1] for e in ends]
    if modules == ["q_proj", "k_proj", "v_proj"]:
        return f"{ends[0][0]}.qkv_proj"
    if modules == ["gate_proj", "up_proj"]:
        return f"{ends[0][0]}.gate_up_proj"
    return f"{ends[0][0]}.{'_'.join(modules)}"


def act_by_act(
    scope: Scope, node: Node, a: str, b: str, bias: str = "", turned: Turned = (False, False)
) -> Value:
    """Append a product neither side of which is a matrix of weights."""
    left = scope.tensor(a).shape or (1,)
    k = left[-2] if turned[0] and len(left) > 1 else left[-1]
    xs = tuple(scope.value(n) for n in (a, b))
    to = scope.encoding(node.outputs[0])
    made = scope.emit(MatMul(xs, scope.shape(node.outputs[0]), to, expr(k)), node)
    if bias and not scope.index.scalar(bias):
        more = (made, *scope.operands((bias,)))
        made = scope.emit(Elementwise(more, made.shape, fn="add"), node)
    return made


@lowers("MatMulNBits", reads=1)
def matmul_nbits(scope: Scope, node: Node) -> None:
    """Lower a linear whose weight is packed: N outputs, K inputs, ``bits`` an element."""
    packed_linear(scope, node, scope.input(node, 5))


def packed_linear(scope: Scope, node: Node, bias: str) -> Value:
    """Append the linear of a packed weight."""
    n, k = scope.attr(node, "N"), scope.attr(node, "K")
    of = encoded(scope.tensor(node.inputs[0]).dtype or "fp32")
    scale, zero = scope.tensor(node.inputs[2]), scope.input(node, 3)
    bits, group = scope.attr(node, "bits", 4), scope.attr(node, "block_size", 32)
    zero_bits = 0
    if zero:
        packed = scope.tensor(zero).dtype == "uint8"
        zero_bits = bits if packed else BITS.get(scope.tensor(zero).dtype, bits)
    encoding = Encoding(f"int{bits}", of, group, BITS.get(scale.dtype, 32), zero_bits)
    w = packed_leaf(scope, node.inputs[1], (n, k), encoding)
    return linear(scope, node, scope.rows(node.inputs[0], k), w, bias, node.inputs[1])


def packed_leaf(
    scope: Scope, name: str, shape: tuple[int, ...], encoding: Encoding, role: str = "weight"
) -> Value:
    """Return the leaf of a packed tensor under its logical shape."""
    for _ in range(50):
        weight, node = origin(scope, name)
        if weight is not None:
            return shared_leaf(scope, weight.storage, tuple(map(expr, shape)), encoding, role)
        if node is None or not node.inputs:
            break
        name = node.inputs[0]
    return shared_leaf(scope, name, tuple(map(expr, shape)), encoding, role)


@lowers("Einsum")
def einsum(scope: Scope, node: Node) -> None:
    """Lower a sum of products: the axes of the inputs that the output lacks are contracted."""
    left, arrow, result = scope.text(node, "equation").replace(" ", "").partition("->")
    terms = left.split(",")
    if not arrow:  # then every letter that occurs once stays
        result = "".join(c for c in left if c.isalpha() and left.count(c) == 1)
    sizes: dict[str, Expr] = {}
    for term, name in zip(terms, node.inputs, strict=False):
        shape = tuple(map(expr, scope.tensor(name).shape or ()))
        front, _, back = term.partition("...")
        sizes.update(zip(front, shape, strict=False))
        sizes.update(zip(reversed(back), reversed(shape), strict=False))
    k: Expr = expr(1)
    for letter, size in sizes.items():
        k = k if letter in result else k * size
    xs, out = tuple(scope.value(n) for n in node.inputs), node.outputs[0]
    shape, to = scope.shape(out), scope.encoding(out)
    if len(xs) > 1:
        scope.emit(MatMul(xs, shape, to, k), node)
    elif k == 1:
        scope.emit(Move(xs, shape, to, fn="einsum"), node)
    else:
        scope.emit(Reduce(xs, shape, to, fn="einsum"), node)
