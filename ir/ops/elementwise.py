"""Ops that touch each element once, on the vector unit."""

from __future__ import annotations

from mansard.core.errors import unknown_name
from mansard.core.symbols import Expr, product
from mansard.ir.cost import VECTOR, Cost
from mansard.ir.op import Op, like, require_size
from mansard.ir.value import TensorType, Value

ACTIVATION_FLOPS: dict[str, int] = {
    "relu": 1,  # a comparison
    "relu2": 2,  # and a square
    "softplus": 3,  # exp, add, log
    "xielu": 7,  # a comparison and the longer branch: exp, two subtractions, two products, an add
    "silu": 4,  # exp, add, divide, multiply
    "tanh": 1,
    "sigmoid": 3,  # exp, add, divide
    "quick_gelu": 5,  # a scale before the sigmoid
    "gelu_tanh": 9,  # cube (2), scale, add, scale, tanh, add, multiply, halve
    "gelu": 5,  # divide, erf, add, scale, multiply
}
"""FLOP per element of each activation function; a transcendental counts as one."""


def _per_element(fn: str) -> int:
    if fn not in ACTIVATION_FLOPS:
        raise unknown_name("activation function", fn, ACTIVATION_FLOPS)
    return ACTIVATION_FLOPS[fn]


class Activation(Op):
    """``y = fn(x)``.

    FLOP  |x| times the function's own (``ACTIVATION_FLOPS``)
    B     |x| + |y|
    """

    is_elementwise = True
    x: Value
    fn: str = "gelu"

    def infer(self) -> tuple[TensorType, ...]:
        """The type of ``x``."""
        return (like(self.x),)

    def cost(self) -> Cost:
        """See the class."""
        return self.streamed(_per_element(self.fn) * self.x.numel, unit=VECTOR)


class GatedActivation(Op):
    """``y = fn(gate) · up``, both as wide as the feed-forward layer.

    FLOP  |gate|·(fn + 1)         [Shazeer 2020, eq. 5]
    B     |gate| + |up| + |y|
    """

    is_elementwise = True
    gate: Value
    up: Value
    fn: str = "silu"

    def infer(self) -> tuple[TensorType, ...]:
        """The type of ``gate``."""
        require_size(self, "width of up", self.up.shape[-1], self.gate.shape[-1])
        return (like(self.gate),)

    def cost(self) -> Cost:
        """See the class."""
        flops = product((_per_element(self.fn) + 1, self.gate.numel))
        return self.streamed(flops, unit=VECTOR)


class Add(Op):
    """``y = x₁ + x₂ (+ …)``: a residual connection reads every operand and writes one.

    FLOP  (n - 1)·|y|
    B     Σ|x| + |y|
    """

    is_elementwise = True
    xs: tuple[Value, ...]

    def infer(self) -> tuple[TensorType, ...]:
        """The type of the first operand."""
        for x in self.xs[1:]:
            require_size(self, "width of an operand", x.shape[-1], self.xs[0].shape[-1])
        return (like(self.xs[0]),)

    def cost(self) -> Cost:
        """See the class."""
        return self.streamed((len(self.xs) - 1) * self.out.numel, unit=VECTOR)


class Multiply(Op):
    """``y = x · by``, elementwise, ``by`` broadcast when it is smaller (a gate).

    FLOP  |x|
    B     |x| + |by| + |y|
    """

    is_elementwise = True
    x: Value
    by: Value

    def infer(self) -> tuple[TensorType, ...]:
        """The type of ``x``."""
        return (like(self.x),)

    def cost(self) -> Cost:
        """See the class."""
        return self.streamed(self.x.numel, unit=VECTOR)


class Scale(Op):
    """``y = c · x`` with a constant ``c``.

    FLOP  |x|
    B     |x| + |y|
    """

    is_elementwise = True
    x: Value

    def infer(self) -> tuple[TensorType, ...]:
        """The type of ``x``."""
        return (like(self.x),)

    def cost(self) -> Cost:
        """See the class."""
        return self.streamed(self.x.computed, unit=VECTOR)


class SoftCap(Op):
    """``y = c · tanh(x / c)``, on scores or logits.

    FLOP  3·|x|   divide, tanh, multiply      [Gemma 2 2024, §2]
    B     |x| + |y|
    """

    is_elementwise = True
    x: Value

    def infer(self) -> tuple[TensorType, ...]:
        """The type of ``x``, its masked elements still left out."""
        return (TensorType(self.x.shape, self.x.encoding.plain, live=self.x.type.live),)

    def cost(self) -> Cost:
        """See the class."""
        return self.streamed(3 * self.x.computed, unit=VECTOR)


class Rope(Op):
    """Rotate the first ``width`` elements of each of ``heads`` heads by the position's angle.

    FLOP  3·rows·heads·width      4 multiplies and 2 adds a pair       [Su 2021, eq. 34]
    B     |x| + |y|               the table of angles is small and stays on chip
    """

    is_elementwise = True
    x: Value
    heads: Expr
    width: Expr

    def infer(self) -> tuple[TensorType, ...]:
        """The type of ``x``."""
        return (like(self.x),)

    def cost(self) -> Cost:
        """See the class."""
        rows = self.x.numel / self.x.shape[-1]
        return self.streamed(3 * rows * self.heads * self.width, unit=VECTOR)

    def dims(self) -> dict[str, Expr | str]:
        """``heads`` and the rotated ``width`` of each."""
        return {"heads": self.heads, "width": self.width}
