"""Rotations: a Hadamard transform before a product spreads outliers over all channels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import sympy as sp

import mansard as ms
from mansard.core.symbols import Expr
from mansard.ir.op import Op
from mansard.ir.ops import Linear
from mansard.ir.pattern import Match
from mansard.passes.stored_weights import matches


class Hadamard(ms.Op):
    """``y = x·H/√d``, ``H`` a Hadamard matrix of the width ``d = 2^k·m``, ``m`` odd.

    FLOP  |x|·(k + m - 1)   k levels of the fast transform, and sums of m where d is no power of two
                            [Ashkboos 2024 QuaRot, §2]
    B     |x| + |y|         the matrix is generated on the fly
    """

    kind = "hadamard"
    is_elementwise = False
    x: ms.Value

    def infer(self) -> tuple[ms.TensorType, ...]:
        """The type of ``x``."""
        return (ms.TensorType(self.x.shape, self.x.encoding.plain),)

    def cost(self) -> ms.Cost:
        """See the class."""
        width = int(self.x.shape[-1])
        levels = (width & -width).bit_length() - 1
        return self.streamed(self.x.numel * (levels + width // 2**levels - 1))

    def dims(self) -> dict[str, Expr | str]:
        """Rows and width."""
        width = self.x.shape[-1]
        return {"rows": sp.cancel(self.x.numel / width), "width": width}


@dataclass(frozen=True)
class RotateActivations(ms.Pass):
    """Rotate what some products take, so that few bits hold it; their weights absorb the inverse.

    Rotations of the residual stream are absorbed by the weights around it and cost nothing; what
    remains online stands before the down and output projections, ``T·d·log2 d`` additions each.
    """

    name = "rotate-activations"
    noun = "rotation"
    source = "[Ashkboos 2024 QuaRot, §4; Liu 2024 SpinQuant]"
    assumes = ("rotations that weights can absorb are absorbed",)
    omits = ("rotations of queries and keys after their positions",)

    only: tuple[str, ...] = ms.option(("down_proj", "o_proj"), "products that take rotated rows")

    def rules(self) -> tuple[ms.Rule, ...]:
        """Insert a rotation before each."""
        chosen = ms.P(Linear, where=lambda op: matches(op.name, self.only)
                      and op.operands[0].shape[-1].is_Integer)  # fmt: skip
        return (ms.Rule(chosen, self._rotated, because=f"outliers spread {self.source}"),)

    def _rotated(self, match: Match) -> Op:
        op = match.root
        assert isinstance(op, Linear)
        x = match.add(Hadamard(op.x), f"{op.name}.rotate")
        return replace(op, x=x)

    def counts(self, op: Op) -> bool:
        """One rotation an op of its kind."""
        return isinstance(op, Hadamard)
