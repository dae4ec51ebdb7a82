"""Mixture of experts: choose, dispatch, combine. The experts are ``GroupedLinear``s."""

from __future__ import annotations

from mansard.core.symbols import Expr
from mansard.ir.cost import VECTOR, Cost
from mansard.ir.op import Op, like
from mansard.ir.value import TensorType, Value


class TopK(Op):
    """Normalize router logits ``[T, E]`` and keep the ``k`` largest of each row.

    FLOP  |x|      a comparison per logit; the normalization of k values is left out
    B     |x| + |weights|
    """

    kind = "top_k"
    x: Value
    k: Expr

    def infer(self) -> tuple[TensorType, ...]:
        """Routing weights ``[T, k]``."""
        return (like(self.x, (*self.x.shape[:-1], self.k)),)

    def cost(self) -> Cost:
        """See the class."""
        return self.streamed(self.x.numel, unit=VECTOR)

    def dims(self) -> dict[str, Expr | str]:
        """``experts`` and the ``k`` chosen."""
        return {"experts": self.x.shape[-1], "k": self.k}


class Dispatch(Op):
    """Copy each token's row once for each expert it goes to: ``[T, h] → [T·k·s, h]``.

    ``s = factor·padding·least(imbalance, ranks)``: where all experts lie on one rank it gets every
    row, whatever the imbalance, and one of ``ranks`` gets at most all of them.

    FLOP  0
    B     |x| read, k·s·|x| written

    Args:
        routes: routing weights ``[T, k]``; they say where rows go.
        factor: rows of a rank over those its own tokens make.
        padding: rows of a buffer over the rows in it.
        imbalance: rows of the most loaded rank over the mean.
        ranks: that hold different experts.
    """

    x: Value
    routes: Value
    factor: Expr = 1
    padding: Expr = 1
    imbalance: Expr = 1
    ranks: Expr = 1

    @property
    def scale(self) -> Expr:
        """Rows over ``T·k``."""
        return self.factor * self.padding * min(self.imbalance, self.ranks)

    def infer(self) -> tuple[TensorType, ...]:
        """Rows grouped by expert."""
        rows = self.x.shape[0] * self.routes.shape[-1] * self.scale
        return (like(self.x, (rows, *self.x.shape[1:])),)

    def cost(self) -> Cost:
        """See the class."""
        return Cost(reads={self.x: self.x.bytes}, writes={self.out: self.out.bytes})


class Combine(Op):
    """Sum each token's expert outputs, weighted: ``[T·k·factor, h] → [T, h]``.

    FLOP  2·|x|    multiply and add
    B     |x| + |routes| + |y|
    """

    x: Value
    routes: Value

    def infer(self) -> tuple[TensorType, ...]:
        """``[T, h]``."""
        tokens = self.routes.shape[0]
        return (TensorType((tokens, *self.x.shape[1:]), self.x.encoding.plain),)

    def cost(self) -> Cost:
        """See the class."""
        return self.streamed(2 * self.x.numel, unit=VECTOR)
