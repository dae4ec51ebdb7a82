"""A cache that lies in pages."""

from __future__ import annotations

import sympy as sp

from mansard.core.errors import VerifyError
from mansard.ir.cost import Cost
from mansard.ir.op import View
from mansard.ir.value import TensorType, Value


class Paged(View):
    """A cache whose rows lie in pages that a table locates: the same rows, found through it.

    FLOP  0
    B     |table|, one entry a page of each sequence; rows are read by whoever uses them
          [Kwon 2023, §4.1]

    Args:
        cache: ``[B, kv_heads, keys, d]``.
        table: page numbers ``[B, pages]``.
    """

    cache: Value
    table: Value

    def infer(self) -> tuple[TensorType, ...]:
        """The type of ``cache``."""
        if self.table.role != "table":
            raise VerifyError(f"paged {self.name or '?'}: {self.table!r} is no table")
        return (self.cache.type,)

    def cost(self) -> Cost:
        """See the class."""
        return Cost(reads={self.table: self.table.bytes}, launches=sp.S.Zero)
