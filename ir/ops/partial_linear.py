"""A linear layer of which only a share of the weights takes part."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from mansard.core.errors import VerifyError
from mansard.core.symbols import Expr
from mansard.ir.cost import MATRIX, Cost, touched
from mansard.ir.ops.linear import Linear
from mansard.ir.value import Value, stored_parts

AXES = ("", "out", "in")


class PartialLinear(Linear):
    """``y = x @ w.T`` where each row meets only ``share`` of the weights.

    FLOP  2·|x|·n·share      what is left out is not multiplied
    B     |x| + |w|·(1 - (1 - share)^tokens) + |y|: of weights that each of ``tokens`` independent
          tokens picks anew [Liu 2023, §3]; all of |w| as it is stored when ``tokens`` is not given,
          the share being one of zeros that no token needs. What is left out of x or y is not moved;
          what says which weights were picked is read.

    Args:
        share: of the weights one row meets.
        tokens: tokens that pick their share independently.
        axis: the side that picks: rows of ``w`` and so elements of ``y`` ("out"), columns and
            elements of ``x`` ("in"), or single weights ("").
        chosen: what a predictor says of each row's share, where there is one.
    """

    kind = "partial_linear"
    share: Expr = sp.S.One
    tokens: Expr | None = None
    axis: str = ""
    chosen: Value | None = None

    def cost(self) -> Cost:
        """See the class."""
        if self.axis not in AXES:
            raise VerifyError(f"partial_linear {self.name}: no axis {self.axis!r}")
        whole = super().cost()
        left = {"out": self.out, "in": self.x}.get(self.axis)
        blocks = set(stored_parts(self.w))

        def scaled(value: Value, size: Expr) -> Expr:
            if value in blocks:
                return size * self.weights_read()
            return size * self.share if value is left else size

        flops = {k: n * self.share if k[0] == MATRIX else n for k, n in whole.flops.items()}
        reads = {v: scaled(v, n) for v, n in whole.reads.items()}
        writes = {v: scaled(v, n) for v, n in whole.writes.items()}
        return replace(whole, flops=flops, reads=reads, writes=writes)

    def weight_share(self) -> Expr:
        """Of weights that tokens pick, what one of them uses."""
        return sp.S.One if self.tokens is None else self.share

    def weights_read(self) -> Expr:
        """The weights that some token picked."""
        return sp.S.One if self.tokens is None else touched(self.share, self.tokens)
