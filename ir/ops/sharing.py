"""One stored thing seen by every sequence of the batch."""

from __future__ import annotations

from dataclasses import replace

from mansard.core.symbols import Expr
from mansard.ir.op import View
from mansard.ir.value import TensorType, Value


class Spread(View):
    """``x[0]`` seen by each of ``copies`` sequences: stored once, read by every reader."""

    x: Value
    copies: Expr

    def infer(self) -> tuple[TensorType, ...]:
        """``x`` with ``copies`` along its first axis."""
        return (replace(self.x.type, shape=(self.copies, *self.x.shape[1:])),)
