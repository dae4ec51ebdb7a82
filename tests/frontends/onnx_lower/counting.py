"""Operators as naive loops that count every operation on an element, one by one.

A product is a multiply and an add for each element of the result and of the contracted axis. A
comparison, an add, a multiply, a divide, a rounding, a bit operation and a transcendental count as
one each. Not counted: what is done once a row, a window or a vector (a root, the division of a
mean), moving elements, changing a sign, choosing between two values by a comparison that is
counted, and putting an integer product back on its scale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any

Shape = tuple[int, ...]


def each(shape: Iterable[int]) -> Iterator[Any]:
    """Yield every place of a tensor."""
    return product(*(range(d) for d in shape))


class Counted:
    """A number that counts what is done to it."""

    done = 0

    def _one(self, *_: object) -> Counted:
        Counted.done += 1
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _one
    __truediv__ = __rtruediv__ = __pow__ = __rpow__ = __and__ = __or__ = __xor__ = _one
    __lshift__ = __abs__ = __invert__ = __round__ = __floor__ = __lt__ = __gt__ = _one
    most = least = exp = log = tanh = erf = fn = _one

    def __neg__(self) -> Counted:
        return self


X = Counted()


def sigmoid(x: Any) -> Any:
    """``1 / (1 + e^-x)``."""
    return 1 / (1 + (-x).exp())


def decoded(x: Any) -> Any:
    """``(x - zero) · scale``."""
    return (x - 0) * 1


def encoded(x: Any) -> Any:
    """``round(x / scale)``; the zero point joins the rounding."""
    return round(x / 1)


def gelu(x: Any) -> Any:
    """``½·x·(1 + erf(x/√2))``."""
    return 0.5 * x * (1 + (x / 1.41).erf())


def gelu_tanh(x: Any) -> Any:
    """``½·x·(1 + tanh(√(2/π)·(x + 0.0447·x³)))``."""
    return 0.5 * x * (1 + (0.79 * (x + 0.0447 * (x * x * x))).tanh())


def function(x: Any, *_: Any) -> Any:
    """One transcendental, comparison or bit operation."""
    return x.fn()


def chained(*xs: Any) -> Any:
    """An operation between each two neighbours."""
    for x in xs[1:]:
        x.fn()


def mean(*xs: Any) -> Any:
    """Adds, and a division."""
    chained(*xs)
    return X / len(xs)


ONE = """
    Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Ceil Cos Cosh Erf Exp Floor Log Not Reciprocal
    Relu Round Sign Sin Sinh Sqrt Tan Tanh ThresholdedRelu IsNaN IsInf Neg Bernoulli Sub Div Pow
    BitShift BitwiseAnd BitwiseOr BitwiseXor And Or Xor Equal Greater GreaterOrEqual Less
    LessOrEqual Where Add Mul
"""
"""Operators of one operation an element; ``Where`` and ``Neg`` as the kernels they are here."""

SCALAR: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(ONE.split(), function),
    **dict.fromkeys(("Sum", "Min", "Max"), chained),
    "Mean": mean,
    "Clip": lambda x, *_: x.most(0).least(1),
    "Celu": lambda x: x.most(0) + (((x / 1).exp() - 1) * 1).least(0),
    "Elu": lambda x: (x > 0) and (x.exp() - 1) * 1,
    "Selu": lambda x: ((x > 0) and (x.exp() - 1) * 1.67) * 1.05,
    "Gelu": gelu,
    "HardSigmoid": lambda x: (x * 0.2 + 0.5).most(0).least(1),
    "HardSwish": lambda x: x * (x / 6 + 0.5).most(0).least(1),
    "LeakyRelu": lambda x: (x > 0) and x * 0.01,
    "PRelu": lambda x, w: (x > 0) and x * w,
    "Mish": lambda x: x * (1 + x.exp()).log().tanh(),
    "Shrink": lambda x: (x < -0.5) and (x > 0.5) and x - 0,
    "Sigmoid": sigmoid,
    "Softplus": lambda x: (1 + x.exp()).log(),
    "Softsign": lambda x: x / (1 + abs(x)),
    "Swish": lambda x: x * sigmoid(x),
    "QuickGelu": lambda x: x * sigmoid(1.7 * x),
    "FastGelu": lambda x, *bias: gelu_tanh(x + bias[0] if bias else x),
    "BiasGelu": lambda x, bias: gelu(x + bias),
    "Mod": lambda x, n: x - (x / n).fn() * n,
    "QuantizeLinear": lambda x, *_: encoded(x),
    "DequantizeLinear": lambda x, *_: decoded(x),
    "QLinearAdd": lambda a, b: encoded(decoded(a) + decoded(b)),
    "QLinearMul": lambda a, b: encoded(decoded(a) * decoded(b)),
    "QLinearSigmoid": lambda a, *_: encoded(sigmoid(decoded(a))),
    "QLinearLeakyRelu": lambda a, *_: encoded((lambda x: (x > 0) and x * 0.01)(decoded(a))),
}
"""Operator → what is done to make one element of its result."""
OPERANDS = {"QLinearAdd": (0, 3), "QLinearMul": (0, 3), "QLinearSigmoid": (0,),
            "QLinearLeakyRelu": (0,)}  # fmt: skip
"""Inputs that are elements, where others are scales."""

ROWS: dict[str, Callable[[Any], Any]] = {
    "ReduceSum": lambda x: X + x,
    "ReduceMean": lambda x: X + x,
    "ReduceMax": lambda x: X.most(x),
    "ReduceMin": lambda x: X.least(x),
    "ReduceProd": lambda x: X * x,
    "ReduceL1": lambda x: X + abs(x),
    "ReduceL2": lambda x: X + x * x,
    "ReduceSumSquare": lambda x: X + x * x,
    "ReduceLogSum": lambda x: X + x,
    "ReduceLogSumExp": lambda x: X + (x - X.most(x)).exp(),
    "ArgMax": lambda x: X.most(x),
    "ArgMin": lambda x: X.least(x),
    "CumSum": lambda x: X + x,
    "GlobalAveragePool": lambda x: X + x,
    "GlobalMaxPool": lambda x: X.most(x),
    "GlobalLpPool": lambda x: X + x**2,
    "QLinearGlobalAveragePool": lambda x: X + x,
    "TopK": lambda x: x > X,
    "NonZero": lambda x: x > 0,
    "Unique": lambda x: x > X,
    "NonMaxSuppression": lambda x: x > X,
    "Softmax": lambda x: (X + (x - X.most(x)).exp()) / X,
    "LogSoftmax": lambda x: (X + (x - X.most(x)).exp()) - X,
    "Hardmax": lambda x: X.most(x),
    "QLinearSoftmax": lambda x: encoded((X + (decoded(x) - X.most(x)).exp()) / X),
    "LpNormalization": lambda x: (X + x * x) / X,
    "MeanVarianceNormalization": lambda x: (X + (x - (X + x)) ** 2) * X,
    "InstanceNormalization": lambda x: (X + (x - (X + x)) ** 2) * X * X + X,
    "GroupNormalization": lambda x: (X + (x - (X + x)) ** 2) * X * X + X,
    "LayerNormalization": lambda x: (X + (x - (X + x)) ** 2) * X * X + X,
    "SkipLayerNormalization": lambda x: (X + ((x + x) - (X + x)) ** 2) * X * X + X,
    "RMSNormalization": lambda x: (X + x * x) * X * X,
    "SimplifiedLayerNormalization": lambda x: (X + x * x) * X * X,
    "SkipSimplifiedLayerNormalization": lambda x: (X + (x + x) * x) * X * X,
    "BatchNormalization": lambda x: x * X + X,
    "DynamicQuantizeLinear": lambda x: encoded(x.most(X).least(X)),
    "NegativeLogLikelihoodLoss": lambda x: X + x,
    "Multinomial": lambda x: X + (x - X.most(x)).exp(),
    "SoftmaxCrossEntropyLoss": lambda x: X + (x - X.most(x)).exp(),
    "MaxRoiPool": lambda x: X.most(x),
    "TfIdfVectorizer": lambda x: X + x,
}
"""Operator → what is done to each element of its first input, on the way along its row."""

_MOVES = """
    Identity Cast CastLike Constant Shape Size ConstantOfShape Range Expand Tile EyeLike Trilu
    RandomNormal RandomUniform RandomNormalLike RandomUniformLike Reshape Flatten Squeeze Unsqueeze
    Transpose SpaceToDepth DepthToSpace ReverseSequence Concat Split Slice Pad Col2Im QLinearConcat
    Gather GatherElements GatherND GatherBlockQuantized Compress OneHot ScatterElements Scatter
    ScatterND TensorScatter CenterCropPad Dropout HannWindow HammingWindow BlackmanWindow
    MelWeightMatrix Resize Upsample GridSample AffineGrid RoiAlign
"""
NOTHING = frozenset(_MOVES.split())
"""Operators that move elements, or make them once; interpolation is left to the bytes it moves."""


@dataclass(frozen=True)
class Shapes:
    """An operator at one binding: its attributes, and shapes by place; none where left out."""

    attributes: dict[str, Any]
    inputs: tuple[Shape | None, ...]
    outputs: tuple[Shape | None, ...]
    extra: dict[str, Any] = field(default_factory=dict)

    def attr(self, name: str, default: Any) -> Any:
        """Return an attribute."""
        return self.attributes.get(name, default)

    def given(self, k: int) -> bool:
        """Whether an input is there."""
        return k < len(self.inputs) and self.inputs[k] is not None

    def x(self, k: int) -> Shape:
        """Return the shape of an input."""
        return self.inputs[k] or ()

    def y(self, k: int = 0) -> Shape:
        """Return the shape of a result."""
        return self.outputs[k] or ()


def count(op: str, s: Shapes) -> int:
    """Return how many operations an operator does, counted one by one."""
    Counted.done = 0
    if op in SCALAR:
        xs = OPERANDS.get(op, range(len(s.inputs)))
        given = [X for k in xs if s.given(k)]
        for _ in each(s.y()):
            SCALAR[op](*given)
    elif op in ROWS:
        for _ in each(s.x(0)):
            ROWS[op](X)
    elif op not in NOTHING:
        LOOPS[op](s)
    return Counted.done


def matmul(s: Shapes) -> None:
    """``y[…, m, n] += a[…, m, k] · b[…, k, n]``; a vector is a matrix of one row or column."""
    a = s.x(0)
    k = a[-2] if s.attr("transA", 0) else a[-1]
    for _ in product(each(s.y()), range(k)):
        X + X * X


def gemm(s: Shapes) -> None:
    """A product and a bias."""
    matmul(s)
    if s.given(2):
        for _ in each(s.y()):
            X + X


def qgemm(s: Shapes) -> None:
    """A product of integers and a bias."""
    matmul(s)
    if s.given(6):
        for _ in each(s.y()):
            X + X


def einsum(s: Shapes) -> None:
    """A multiply and an add for each place of every axis; a transpose does nothing."""
    left, _, _ = s.attributes["equation"].decode().replace("...", "_").partition("->")
    terms = left.split(",")
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, s.inputs, strict=True):
        sizes.update(zip(term, shape or (), strict=True))
    if len(terms) > 1:
        for _ in each(sizes.values()):
            X + X * X


def convolution(s: Shapes) -> None:
    """Each place and channel of the result, each tap and channel of its group."""
    w = s.x(s.extra.get("w", 1))
    for _ in product(each(s.y()), each(w[1:])):
        X + X * X
    if s.given(s.extra.get("bias", 2)):
        for _ in each(s.y()):
            X + X


def transposed(s: Shapes) -> None:
    """Each element of the input, spread over taps and channels of its group."""
    for _ in product(each(s.x(0)), each(s.x(1)[1:])):
        X + X * X


def pool(s: Shapes) -> None:
    """Each element of each window."""
    for _ in product(each(s.y()), each(s.attributes["kernel_shape"])):
        X.most(X)


def power_pool(s: Shapes) -> None:
    """Each element of each window, raised to a power."""
    for _ in product(each(s.y()), each(s.attributes["kernel_shape"])):
        X + X**2


def response(s: Shapes) -> None:
    """LRN: a square, its neighbours' sum, ``x / (bias + alpha·sum)^beta``."""
    for _ in each(s.y()):
        X * X
        for _ in range(s.attributes["size"]):
            X + X
        X / (1 + 1 * X) ** 1


def embedded_norm(s: Shapes) -> None:
    """Three rows looked up, added and normalized."""
    for _ in each(s.y()):
        ROWS["LayerNormalization"](X + X + X)


def attention(s: Shapes) -> None:
    """Scores of every query and key, a softmax over the keys, a weighted sum of values."""
    e = s.extra
    for _ in each((e["batch"], e["heads"], e["queries"], e["keys"])):
        for _ in range(e["dim"]):
            X + X * X
        ROWS["Softmax"](X)
        for _ in range(e["v_dim"]):
            X + X * X


def fused_attention(s: Shapes) -> None:
    """Attention, in onnxruntime's own after the projection of queries, keys and values."""
    (projected if s.extra.get("projects") else attention)(s)


def projected(s: Shapes) -> None:
    """A product and a bias, and attention over its parts."""
    rows, width = s.x(0)[:-1], s.x(1)
    for _ in product(each(rows), range(width[1])):
        for _ in range(width[0]):
            X + X * X
        X + X
    attention(s)


def rotary(s: Shapes) -> None:
    """Each pair of elements turned: four multiplies and two adds."""
    for _ in range(prod(s.x(0)) // 2):
        X * X + X * X
        X * X + X * X


def lstm(s: Shapes) -> None:
    """Four gates a step, the cell and the state."""
    _recurrent(s, 4, lambda: (sigmoid(X), sigmoid(X), sigmoid(X), X.tanh(), X * X + X * X,
                              X * X.tanh()))  # fmt: skip


def gru(s: Shapes) -> None:
    """Three gates a step: ``h = (1 - z)·n + z·h``, ``n = tanh(… + r·…)``."""
    _recurrent(s, 3, lambda: (sigmoid(X), sigmoid(X), X * X, X.tanh(), (1 - X) * X + X * X))


def rnn(s: Shapes) -> None:
    """One gate a step."""
    _recurrent(s, 1, lambda: X.tanh())


def _recurrent(s: Shapes, gates: int, step: Callable[[], Any]) -> None:
    time, batch, width = s.x(0)
    hidden, ways = s.attributes["hidden_size"], s.x(1)[0]
    for _ in each((time, batch, ways, hidden)):
        for _ in range(gates):
            for _ in range(width):
                X + X * X
            for _ in range(hidden):
                X + X * X
            X + X
            if s.given(3):
                X + X
        step()


def mixture(s: Shapes) -> None:
    """A choice among experts, then each token's: up, activation, down, weighted sum."""
    tokens, experts = s.x(1)
    width, inner, k = s.x(0)[-1], s.extra["inner"], s.attributes["k"]
    for _ in each((tokens, experts)):
        X > X  # noqa: B015 - counted
    for _ in each((tokens, k)):
        for _ in each((inner, width)):
            X + X * X
        for _ in range(inner):
            X.most(0)
        for _ in each((width, inner)):
            X + X * X
        for _ in range(width):
            X + X * X


LOOPS: dict[str, Callable[[Shapes], None]] = {
    **dict.fromkeys(
        ("MatMul", "MatMulInteger", "QLinearMatMul", "MatMulIntegerToFloat", "FusedMatMul",
         "DynamicQuantizeMatMul", "MatMulNBits"), matmul),
    "Gemm": gemm, "QGemm": qgemm, "Einsum": einsum,
    **dict.fromkeys(("Conv", "ConvInteger", "QLinearConv", "FusedConv"), convolution),
    "ConvTranspose": transposed,
    **dict.fromkeys(("MaxPool", "AveragePool", "QLinearAveragePool", "MaxUnpool"), pool),
    "LpPool": power_pool, "LRN": response, "EmbedLayerNormalization": embedded_norm,
    **dict.fromkeys(("GroupQueryAttention", "MultiHeadAttention"), attention),
    "Attention": fused_attention,
    "QAttention": projected, "RotaryEmbedding": rotary,
    "LSTM": lstm, "DynamicQuantizeLSTM": lstm, "GRU": gru, "RNN": rnn,
    **dict.fromkeys(("MoE", "QMoE"), mixture),
}  # fmt: skip
"""Operator → loops over whatever it contracts."""
