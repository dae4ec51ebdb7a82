"""A linear layer whose weight is block-diagonal: each head mixes its own channels."""

from __future__ import annotations

from dataclasses import replace

from mansard.core.symbols import Expr
from mansard.ir.cost import MATRIX, VECTOR, Cost, add
from mansard.ir.op import Op, like, require_size
from mansard.ir.value import TensorType, Value, stored_parts


class BlockLinear(Op):
    """``y[t, g, :] = x[t, g, :] @ w[g] + bias[g]`` for each of ``groups`` heads.

    FLOP  2·|x|·n (+ |y| on the vector unit)   n outputs a head           [De 2024, app. A]
    B     |x| + |w| + |bias| + |y|

    Args:
        x: ``[T, groups·k]``.
        w: ``[groups, k, n]``.
        bias: ``[groups, n]``.
    """

    kind = "block_linear"
    x: Value
    w: Value
    bias: Value | None = None

    def infer(self) -> tuple[TensorType, ...]:
        """``[T, groups·n]``."""
        groups, k, n = self.w.shape
        require_size(self, "features of x", self.x.shape[-1], groups * k)
        return (like(self.x, (*self.x.shape[:-1], groups * n)),)

    def cost(self) -> Cost:
        """See the class."""
        cost = self.streamed(2 * self.x.numel * self.w.shape[2], unit=MATRIX)
        if self.bias is None:
            return cost
        extra = Cost({(VECTOR, self.out.encoding.dtype, "dense"): self.out.numel})
        return replace(add((cost, extra)), launches=cost.launches)

    def dims(self) -> dict[str, Expr | str]:
        """Sizes of one head's product, how many heads there are, and what is stored."""
        weight = stored_parts(self.w)[0].encoding
        groups, k, n = self.w.shape
        sizes = {"m": self.x.numel / self.x.shape[-1], "n": n, "k": k, "groups": groups}
        return {**sizes, "x_dtype": self.x.encoding.dtype, "w_dtype": weight.dtype}
