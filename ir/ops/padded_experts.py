"""Experts that all run on buffers of one size."""

from __future__ import annotations

import sympy as sp

from mansard.core.symbols import Expr
from mansard.ir.ops.linear import GroupedLinear


class PaddedGrouped(GroupedLinear):
    """``GroupedLinear`` as one batched product over all experts' buffers of equal capacity.

    FLOP  2·|x|·n     rows of padding included: they are rows of ``x``
    B     |x| + |w| + |y|: an expert nobody chose is multiplied with padding, so all are read
          [Fedus 2021, §2.2]
    """

    kind = "padded_grouped"

    def weights_read(self) -> Expr:
        """Every expert."""
        return sp.S.One
