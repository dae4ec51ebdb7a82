"""The key-value cache: appended to once per step, read by every later one."""

from __future__ import annotations

from mansard.core.dtypes import BITS
from mansard.core.symbols import B, S, product
from mansard.ir.cost import VECTOR, Cost
from mansard.ir.op import Op, require_size
from mansard.ir.value import TensorType, Value


class Append(Op):
    """Write the rows a projection made to the end of a cache.

    FLOP  0; 2·|x| into a cache that is stored narrower: scale and round, as ``Quantize``
    B     |x| read, |x| elements of the cache written: earlier rows stay where they are

    Args:
        cache: ``[B, kv_heads, kept, d]``, what earlier steps left.
        x: ``[T, kv_heads·d]``, the new rows (any leading shape).
    """

    has_effect = True
    is_elementwise = True
    cache: Value
    x: Value

    def infer(self) -> tuple[TensorType, ...]:
        """``[B, kv_heads, kept + S, d]`` on the cache's storage."""
        b, heads, kept, d = self.cache.shape
        require_size(self, "elements appended", self.x.numel, B * S * heads * d)
        old = self.cache.type
        return (TensorType((b, heads, kept + S, d), old.encoding, "cache", old.storage, old.place),)

    def cost(self) -> Cost:
        """See the class."""
        b, heads, _, d = self.cache.shape
        written = product((b, heads, S, d)) * self.cache.encoding.bits / 8
        narrower = BITS[self.cache.encoding.dtype] < BITS[self.x.encoding.dtype]
        work = {(VECTOR, self.x.encoding.dtype, "dense"): 2 * self.x.numel} if narrower else {}
        return Cost(work, {self.x: self.x.bytes}, {self.out: written})


class Store(Append):
    """Write every row of a memory once: what an encoder leaves for a decoder's cross-attention.

    FLOP  0
    B     |x| read, |cache| written

    Args:
        cache: ``[B, kv_heads, S, d]``: as long as the memory, and never extended.
        x: ``[T, kv_heads·d]``, its keys or values.
    """

    def infer(self) -> tuple[TensorType, ...]:
        """The cache itself."""
        b, heads, kept, d = self.cache.shape
        require_size(self, "elements stored", self.x.numel, b * heads * kept * d)
        return (self.cache.type,)
