"""Values over parts of the keys or of the width, and the merge of such parts."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from mansard.core.dtypes import Encoding
from mansard.core.symbols import Expr, S, ceil_div, least, product
from mansard.ir.cost import MATRIX, VECTOR, Cost
from mansard.ir.op import Op
from mansard.ir.ops.attention import Values
from mansard.ir.value import TensorType, Value, stored_parts

STATISTICS = 2
"""A row's running maximum and sum, kept beside its partial output [Dao 2023 decoding]."""


def partials(splits: Expr) -> Expr:
    """Return how many partial results a step leaves: ``splits``, none once ``S`` fills them.

    Long queries occupy the chip by themselves, so kernels split the keys of short ones only.
    """
    return splits * least(sp.S.One, ceil_div(splits, S) - 1)


class PartialValues(Values):
    """``o = p · v`` over the first ``width`` columns of ``v``, by ``splits`` groups of keys.

    FLOP  2·width·|p|        as ``Values``
    B     |p| + reach·kv_heads·width of V + |o|; of split keys instead of |o| each group's rows
          with their maximum and sum in fp32, ``4·splits·|rows|·heads·(width + 2)``
          [Dao 2023 decoding]

    Args:
        width: columns of ``v`` that are values; all of them unless given (a latent cache keeps
            rotated keys in the others).
        splits: groups of keys that different blocks of the chip take.
    """

    kind = "partial_values"
    width: Expr | None = None
    splits: Expr = sp.S.One

    def infer(self) -> tuple[TensorType, ...]:
        """``[*rows, heads·width]``."""
        (whole,) = super().infer()
        shape = (*self.rows, self.p.shape[1] * self._width)
        if self.splits == 1:
            return (replace(whole, shape=shape),)
        parts = partials(self.splits)
        heads = product(self.rows) * self.p.shape[1]
        written = 32 * parts * heads * (self._width + STATISTICS) / whole.encoding.bits
        direct = product(shape) * (1 - least(sp.S.One, parts))
        return (replace(whole, shape=shape, live=written + direct),)

    def cost(self) -> Cost:
        """See the class."""
        whole, share = super().cost(), self._width / self.v.shape[3]
        keys = set(stored_parts(self.v))
        flops = {k: n * share if k[0] == MATRIX else n for k, n in whole.flops.items()}
        reads = {v: n * share if v in keys else n for v, n in whole.reads.items()}
        return replace(whole, flops=flops, reads=reads)

    def dims(self) -> dict[str, Expr | str]:
        """As ``Values``, of the columns that are values."""
        return {**super().dims(), "head_dim": self._width}

    @property
    def _width(self) -> Expr:
        return self.v.shape[3] if self.width is None else self.width


class MergePartials(Op):
    """Rescale the partial outputs of split keys to one maximum and add them.

    FLOP  splits·|heads of x|·(2·d + 3)    a product and a sum an element; of each part's
                                           statistics a difference, an exponential, a sum
    B     every part and its statistics in fp32 read, |y| written; nothing of unsplit keys
          [Dao 2023 decoding]

    Args:
        x: ``[*rows, heads·d]`` as ``PartialValues`` made it.
        heads: query heads.
        splits: groups of keys.
    """

    kind = "merge_partials"
    x: Value
    heads: Expr
    splits: Expr

    def infer(self) -> tuple[TensorType, ...]:
        """The type of ``x``."""
        return (TensorType(self.x.shape, self.x.encoding),)

    def cost(self) -> Cost:
        """See the class."""
        parts = partials(self.splits)
        rows = self.x.numel / self.x.shape[-1] * self.heads
        d = self.x.shape[-1] / self.heads
        happens = least(sp.S.One, parts)
        return Cost(
            {(VECTOR, Encoding("fp32").dtype, "dense"): parts * rows * (2 * d + 3)},
            {self.x: 4 * parts * rows * (d + STATISTICS)},
            {self.out: self.out.bytes * happens},
            launches=happens,
        )

    def dims(self) -> dict[str, Expr | str]:
        """Heads, their width and the parts."""
        return {"heads": self.heads, "width": self.x.shape[-1], "splits": self.splits}
