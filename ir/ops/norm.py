"""Normalizations."""

from __future__ import annotations

from mansard.core.symbols import Expr
from mansard.ir.cost import VECTOR, Cost
from mansard.ir.op import Op, like, require_size
from mansard.ir.value import TensorType, Value


class RMSNorm(Op):
    """``y = x / rms(x) · w`` over the last ``width`` elements.

    FLOP  4·|x|   square, add, scale, weight         [Zhang 2019, eq. 4]
    B     |x| + |w| + |y|

    Args:
        width: elements that are normalized together; the last axis unless given (a head).
    """

    kind = "rms_norm"
    x: Value
    w: Value | None = None
    width: Expr | None = None

    def infer(self) -> tuple[TensorType, ...]:
        """The type of ``x``, plain."""
        width = self.x.shape[-1] if self.width is None else self.width
        if self.w is not None:
            require_size(self, "weight", self.w.shape[0], width)
        return (like(self.x),)

    def cost(self) -> Cost:
        """See the class."""
        return self.streamed(4 * self.x.numel, unit=VECTOR, dtype=self.x.encoding.plain.dtype)


class LayerNorm(Op):
    """``y = (x - mean(x)) / std(x) · w + bias`` over the last ``width`` elements.

    FLOP  7·|x|   mean, subtract, square, add, scale, weight, bias   [Ba 2016, eq. 4]
    B     |x| + |w| + |bias| + |y|
    """

    kind = "layer_norm"
    x: Value
    w: Value | None = None
    bias: Value | None = None
    width: Expr | None = None

    def infer(self) -> tuple[TensorType, ...]:
        """The type of ``x``, plain."""
        width = self.x.shape[-1] if self.width is None else self.width
        for what, value in (("weight", self.w), ("bias", self.bias)):
            if value is not None:
                require_size(self, what, value.shape[0], width)
        return (like(self.x),)

    def cost(self) -> Cost:
        """See the class."""
        return self.streamed(7 * self.x.numel, unit=VECTOR, dtype=self.x.encoding.plain.dtype)
