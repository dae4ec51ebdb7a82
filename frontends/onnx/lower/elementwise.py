"""Ops on the vector unit: element by element, reductions, softmax, sorting, pooling."""

from __future__ import annotations

from mansard.core.symbols import Expr, expr, product
from mansard.frontends.onnx.graph import Node
from mansard.frontends.onnx.lower.names import snake
from mansard.frontends.onnx.lower.registry import lowers
from mansard.frontends.onnx.lower.scope import Scope
from mansard.frontends.onnx.lower.weights import stored
from mansard.ir.op import same_size
from mansard.ir.ops import Activation, Add, Multiply, Scale
from mansard.ir.ops.elementwise import ACTIVATION_FLOPS
from mansard.ir.ops.tensor import Elementwise, Pool, Reduce
from mansard.ir.value import Value

ACTIVATIONS = {"Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Gelu": "gelu",
               "FastGelu": "gelu_tanh", "QuickGelu": "quick_gelu", "Silu": "silu",
               "Swish": "silu"}  # fmt: skip
"""Operators that are activation functions of mansard's own."""

FLOPS: dict[str, int] = {
    # a comparison, an add or a transcendental an element is 1; the rest are sums of those
    "HardSigmoid": 4,  # multiply, add, two comparisons
    "HardSwish": 5, "Shrink": 3, "Clip": 2, "Softplus": 3, "Softsign": 3, "Elu": 4, "Selu": 5,
    "Celu": 7, "LeakyRelu": 2, "PRelu": 2, "Mish": 5, "Mod": 4,
    "QLinearAdd": 7,  # two operands decoded (2 each), added, the sum encoded (2)
    "QLinearMul": 7, "QLinearSigmoid": 7, "QLinearLeakyRelu": 6,
    "BiasGelu": 6, "BiasAdd": 1, "BiasSplitGelu": 7,
}  # fmt: skip
"""FLOP per element where it is not 1."""

PLAIN = (
    "Sub", "Div", "Pow", "Sqrt", "Reciprocal", "Neg", "Where", "Min", "Max", "Exp", "Log", "Cos",
    "Sin", "Tan", "Acos", "Asin", "Atan", "Abs", "Sign", "Floor", "Ceil", "Round", "And", "Or",
    "Xor", "Not", "IsNaN", "IsInf", "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual",
    "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot", "Sum", "Mean", "Bernoulli", "Erf",
    "ThresholdedRelu", "BitShift", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh",
)  # fmt: skip


@lowers(*PLAIN, *FLOPS)
def elementwise(scope: Scope, node: Node) -> None:
    """Lower an element-by-element operator."""
    every(scope, node, FLOPS.get(node.op, 1) * _joints(node))


def _joints(node: Node) -> int:
    """Return how often an operator of any number of operands is done; a mean divides too."""
    joints = {"Sum": -1, "Min": -1, "Max": -1, "Mean": 0}
    return max(len(node.inputs) + joints[node.op], 1) if node.op in joints else 1


def every(scope: Scope, node: Node, per: int) -> None:
    """Append an op that is done to each element of a node's inputs."""
    out = node.outputs[0]
    xs = tuple(
        _operand(scope, name, out) for name in node.inputs if scope.operand(name) is not None
    )
    to = scope.encoding(out)
    scope.emit(Elementwise(xs, scope.shape(out), to, fn=snake(node.op), per=expr(per)), node)


def _operand(scope: Scope, name: str, out: str) -> Value:
    """Return an operand; a vector of floats as wide as the result is a weight (a bias, a scale)."""
    tensor, result = scope.tensor(name), scope.tensor(out).shape or ()
    vector = len([d for d in tensor.shape or () if d != 1]) == 1 and bool(result)
    if tensor.constant and vector and tensor.dtype in ("fp16", "bf16", "fp32"):
        sizes = tuple(d for d in tensor.shape or () if d != 1)
        if sizes[0] in result:
            return stored(scope, name, role="weight")
    return scope.value(name)


@lowers("Add")
def add(scope: Scope, node: Node) -> None:
    """Lower a sum: of two activations of one shape a residual connection."""
    pair = _alike(scope, node)
    if scope.shared.raised and pair is not None:
        scope.emit(Add(pair), node)
    else:
        every(scope, node, 1)


@lowers("Mul")
def multiply(scope: Scope, node: Node) -> None:
    """Lower a product: with a number a scale, of two activations of one shape a gate."""
    pair, xs = _alike(scope, node), scope.operands(node.inputs)
    if scope.shared.raised and pair is not None:
        scope.emit(Multiply(*pair), node)
    elif scope.shared.raised and len(xs) == 1 and len(node.inputs) == 2 and xs[0].type.live is None:
        scope.emit(Scale(xs[0]), node)
    else:
        every(scope, node, 1)


def _alike(scope: Scope, node: Node) -> tuple[Value, Value] | None:
    """Return the operands, when they are two floating activations of one shape."""
    a, b = (scope.tensor(name) for name in node.inputs[:2])
    if a.constant or b.constant or a.shape is None or a.shape != b.shape or not a.shape:
        return None
    if "int" in a.dtype or a.dtype == "bool":
        return None
    x, y = (scope.value(name) for name in node.inputs[:2])
    if len(x.shape) != len(y.shape) or not all(map(same_size, x.shape, y.shape)):
        x, y = (scope.shaped(name) for name in node.inputs[:2])
    return x, y


@lowers(*ACTIVATIONS, reads=1)
def activation(scope: Scope, node: Node) -> None:
    """Lower an activation function."""
    fn = ACTIVATIONS[node.op]
    if fn == "gelu" and scope.text(node, "approximate", "none") == "tanh":
        fn = "gelu_tanh"
    if len(node.inputs) > 1 and node.inputs[1]:  # a bias joined it
        every(scope, node, ACTIVATION_FLOPS[fn] + 1)
        return
    scope.emit(Activation(scope.value(node.inputs[0]), fn), node)


@lowers("Softmax", "QLinearSoftmax", "LogSoftmax", reads=1)
def softmax(scope: Scope, node: Node) -> None:
    """Lower a softmax over any axis: 5 FLOP an element, and 2 to decode and to encode each."""
    reduced(scope, node, 9 if node.op == "QLinearSoftmax" else 5)


@lowers("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ArgMax", "ArgMin",
        "CumSum", "GlobalAveragePool", "GlobalMaxPool", "QLinearGlobalAveragePool", "CumProd",
        "Hardmax", "ReduceLogSum", "MaxRoiPool", "TfIdfVectorizer", "NegativeLogLikelihoodLoss",
        reads=1)  # fmt: skip
def reduction(scope: Scope, node: Node) -> None:
    """Lower a reduction: an add or a comparison an element."""
    reduced(scope, node, 1)


@lowers("ReduceL1", "ReduceL2", "ReduceSumSquare", "GlobalLpPool", "LpNormalization", reads=1)
def reduction_of_two(scope: Scope, node: Node) -> None:
    """Lower a reduction of squares or magnitudes; a norm divides by it."""
    reduced(scope, node, 3 if node.op == "LpNormalization" else 2)


@lowers("Multinomial", "ReduceLogSumExp", "SoftmaxCrossEntropyLoss", reads=1)
def log_sum_exp(scope: Scope, node: Node) -> None:
    """Lower a sum of exponentials and what is like it: shift, exponential, sum, comparison."""
    reduced(scope, node, 4)


def reduced(scope: Scope, node: Node, per: int) -> None:
    """Append a reduction of a node's first input."""
    x, out = scope.operand(node.inputs[0]), node.outputs[0]
    if x is None:
        return
    op = Reduce((x,), scope.shape(out), scope.encoding(out), fn=snake(node.op), per=expr(per))
    scope.emit(op, node)


@lowers("TopK", "NonZero", "Unique", "NonMaxSuppression", reads=1)
def selection(scope: Scope, node: Node) -> None:
    """Lower a choice among elements: a comparison each; positions come beside values."""
    x = scope.operand(node.inputs[0])
    for k, out in enumerate(node.outputs):
        if out and x is not None:
            per = 1 if k == 0 else 0  # one pass finds both
            op = Reduce(
                (x,), scope.shape(out), scope.encoding(out), fn=snake(node.op), per=expr(per)
            )
            scope.emit(op, node, output=k)


@lowers("MaxPool", "AveragePool", "LpPool", "QLinearAveragePool", "MaxUnpool", reads=1)
def pool(scope: Scope, node: Node) -> None:
    """Lower a pooling: an add or a comparison for each element of each window."""
    taps: Expr = product(node.attributes.get("kernel_shape", (1,)))
    taps *= 2 if node.op == "LpPool" else 1  # a power, then an add
    x, out = scope.value(node.inputs[0]), node.outputs[0]
    scope.emit(Pool((x,), scope.shape(out), scope.encoding(out), taps), node)
    for k, more in enumerate(node.outputs[1:], 1):
        if more:
            scope.emit(Pool((x,), scope.shape(more), scope.encoding(more), expr(0)), node, output=k)
