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
    """Copy each token's row once for each expert it goes to: ``[T, h] → [T·k·factor, h]``.

    FLOP  0
    B     |x| read, k·factor·|x| written

    Args:
        routes: routing weights ``[T, k]``; they say where rows go.
        factor: rows of the most loaded rank over the mean (imbalance, padding).
    """

    x: Value
    routes: Value
    factor: Expr = 1

    def infer(self) -> tuple[TensorType, ...]:
        """Rows grouped by expert."""
        rows = self.x.shape[0] * self.routes.shape[-1] * self.factor
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
