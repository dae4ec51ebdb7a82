"""An indexer that picks keys: heads weighed into one score, and the scores that are kept."""

from __future__ import annotations

import sympy as sp

from mansard.ir.cost import MATRIX, VECTOR, Cost
from mansard.ir.op import Op, require_size
from mansard.ir.value import TensorType, Value


class WeighHeads(Op):
    """``y[b, 1, i, j] = Σ_h w[i, h] · x[b, h, i, j]``: one score a pair, of all heads.

    FLOP  2·|x|    multiply and add: a product of a row and a matrix   [DeepSeek-AI 2025, eq. 1]
    B     |x| + |w| + |y|

    Args:
        x: scores ``[B, heads, S, keys]``.
        w: ``[T, heads]``.
    """

    kind = "weigh_heads"
    x: Value
    w: Value

    def infer(self) -> tuple[TensorType, ...]:
        """``[B, 1, S, keys]``, its masked elements still left out."""
        b, heads, new, keys = self.x.shape
        require_size(self, "weights", self.w.shape[-1], heads)
        live = None if self.x.type.live is None else self.x.type.live / heads
        return (TensorType((b, sp.S.One, new, keys), self.x.encoding.plain, live=live),)

    def cost(self) -> Cost:
        """See the class."""
        return self.streamed(2 * self.x.computed, unit=MATRIX)


class KeepChosen(Op):
    """Leave out the scores of keys that were not chosen: they become ``-∞``.

    FLOP  |x|      an add
    B     |x| + |chosen| + |y|

    Args:
        x: scores ``[B, heads, S, keys]``.
        chosen: indices of the keys each query keeps, of all heads ``[B, 1, S, k]``.
    """

    kind = "keep_chosen"
    is_elementwise = True
    x: Value
    chosen: Value

    def infer(self) -> tuple[TensorType, ...]:
        """The type of ``x``, its masked elements still left out."""
        return (TensorType(self.x.shape, self.x.encoding.plain, live=self.x.type.live),)

    def cost(self) -> Cost:
        """See the class."""
        return self.streamed(self.x.computed, unit=VECTOR)
