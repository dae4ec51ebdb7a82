"""What crosses a link. An op says what is sent; how long a ring takes is the backend's."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from mansard.core.errors import unknown_name
from mansard.core.symbols import Expr
from mansard.ir.cost import Cost
from mansard.ir.op import Op
from mansard.ir.value import TensorType, Value

COLLECTIVES = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "broadcast", "send")


class Collective(Op):
    """Exchange ``x`` among the ranks of a mesh axis.

    FLOP  0       the additions of a reduction hide behind the link
    B     |x| handed to the link

    Args:
        op: one of ``COLLECTIVES``.
        axis: of the mesh.
        ranks: devices along it.
        shape: of the result, where it differs from that of ``x``.
    """

    x: Value
    op: str
    axis: str
    ranks: Expr
    shape: tuple[Expr, ...] = ()

    def infer(self) -> tuple[TensorType, ...]:
        """``x``, in ``shape`` when given."""
        if self.op not in COLLECTIVES:
            raise unknown_name("collective", self.op, COLLECTIVES)
        shape = self.shape or self.x.shape
        return (TensorType(shape, self.x.encoding),)

    def cost(self) -> Cost:
        """See the class."""
        return Cost(payload={(self.op, self.axis, self.ranks): self.x.bytes})

    def dims(self) -> dict[str, Expr | str]:
        """Message size and ranks."""
        return {"bytes": self.x.bytes, "ranks": self.ranks, "op": self.op}


class Copy(Op):
    """Move a value from where it lies to another place.

    FLOP  0
    B     |x|·share handed to the link between the two places

    Args:
        to: the place.
        share: of the elements that are moved: of experts, those some token chose.
    """

    x: Value
    to: str = "memory"
    share: Expr = 1

    def infer(self) -> tuple[TensorType, ...]:
        """``x`` in its new place, with no storage of its own."""
        return (replace(self.x.type, place=self.to, storage="", role="activation", parts=()),)

    def cost(self) -> Cost:
        """See the class."""
        link = ("copy", f"{self.x.place}>{self.to}", sp.Integer(2))
        return Cost(payload={link: self.x.bytes * self.share})

    def dims(self) -> dict[str, Expr | str]:
        """Message size."""
        return {"bytes": self.x.bytes * self.share, "ranks": sp.Integer(2), "op": "copy"}
