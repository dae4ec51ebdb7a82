"""From wide to narrow elements and back, on the vector unit."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from mansard.core.dtypes import Encoding
from mansard.core.symbols import Expr
from mansard.ir.cost import VECTOR, Cost
from mansard.ir.op import Op
from mansard.ir.value import TensorType, Value


class Quantize(Op):
    """Store activations narrower: ``q = round(x / scale)``.

    FLOP  2·|x|   scale and round; finding the scale is folded into the producer
    B     |x| + |q|
    """

    is_elementwise = True
    x: Value
    to: Encoding

    def infer(self) -> tuple[TensorType, ...]:
        """``x`` in the narrow encoding."""
        return (TensorType(self.x.shape, self.to),)

    def cost(self) -> Cost:
        """See the class."""
        return self.streamed(2 * self.x.numel, unit=VECTOR, dtype=self.x.encoding.dtype)


class Dequantize(Op):
    """Decode stored elements to the dtype arithmetic runs in: ``x = (q - zero)·scale``.

    FLOP  2·|q|·share·times   subtract and scale, once for each tile of rows that needs the weights
    B     |q|·share read, |x|·share written (on chip when one kernel with the product)

    Args:
        times: how often a tiled kernel repeats it, ``ceil_div(T, tile)``.
        share: of the elements that are decoded: of experts, those some token chose.
    """

    x: Value
    times: Expr = sp.S.One
    share: Expr = sp.S.One

    def infer(self) -> tuple[TensorType, ...]:
        """``x`` decoded; no storage of its own."""
        encoding = replace(self.x.encoding.plain, structure=self.x.encoding.structure)
        return (TensorType(self.x.shape, encoding, live=self.x.type.live),)

    def cost(self) -> Cost:
        """See the class."""
        flops = 2 * self.x.numel * self.times * self.share
        whole = self.streamed(flops, unit=VECTOR, dtype=self.out.encoding.dtype)
        if self.share == 1:
            return whole
        reads = {v: size * self.share for v, size in whole.reads.items()}
        return replace(whole, reads=reads, writes={self.out: self.out.bytes * self.share})


class Cast(Op):
    """Change the dtype of elements.

    FLOP  0       a conversion, not arithmetic
    B     |x| + |y|
    """

    is_elementwise = True
    x: Value
    to: Encoding

    def infer(self) -> tuple[TensorType, ...]:
        """``x`` in another dtype."""
        return (replace(self.x.type, encoding=self.to, storage="", role="activation", parts=()),)

    def cost(self) -> Cost:
        """See the class."""
        return self.streamed()
