"""Tables that tokens and positions look up."""

from __future__ import annotations

from mansard.core.symbols import Expr
from mansard.ir.cost import Cost
from mansard.ir.op import Op
from mansard.ir.value import TensorType, Value


class Embedding(Op):
    """``y[*ids, h] = w[ids]``: a gather, so only the rows that are looked up are read.

    FLOP  0
    B     |y| elements of the table + |y|, never the whole table
    """

    ids: Value
    w: Value

    def infer(self) -> tuple[TensorType, ...]:
        """One row of the table an index."""
        return (TensorType((*self.ids.shape, self.w.shape[1]), self.w.encoding.plain),)

    def cost(self) -> Cost:
        """See the class."""
        looked_up = self.out.numel * self.w.encoding.bits / 8
        return Cost(reads={self.w: looked_up}, writes={self.out: self.out.bytes})

    def dims(self) -> dict[str, Expr | str]:
        """``rows`` looked up, ``width`` of each."""
        return {"rows": self.ids.numel, "width": self.w.shape[1]}
