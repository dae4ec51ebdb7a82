"""Which cached tokens to keep: sums of attention, and compression after a prompt."""

from __future__ import annotations

from mansard.core.dtypes import Encoding
from mansard.core.symbols import B, Expr, S, least
from mansard.ir.cost import MATRIX, VECTOR, Cost
from mansard.ir.op import Op
from mansard.ir.value import TensorType, Value, stored_parts


class AccumulateScores(Op):
    """Add each key's attention to a running sum a head; the smallest sum is evicted.

    FLOP  |p|                   one add a probability that exists        [Zhang 2023, alg. 1]
    B     |p| + 2·|sums|        probabilities are read, which fused attention would not store

    Args:
        p: attention probabilities ``[B, heads, S, keys]``.
        sums: ``[B, heads, kept]``, in fp32.
    """

    kind = "accumulate_scores"
    has_effect = True
    p: Value
    sums: Value

    def infer(self) -> tuple[TensorType, ...]:
        """The sums, on their storage."""
        old = self.sums.type
        return (TensorType(old.shape, old.encoding, "cache", old.storage, old.place),)

    def cost(self) -> Cost:
        """See the class."""
        return self.streamed(self.p.computed, unit=VECTOR, dtype=Encoding("fp32").dtype)


class CompressCache(Op):
    """Keep the keys that the last ``window`` tokens of a prompt attend to most.

    FLOP  2·d·B·heads·rows·keys on the matrix unit, 6 a score on the vector unit: softmax (5) and
          the sum over rows                                           [Li 2024 SnapKV]
    B     rows of q, K once, and the kept rows of K and V copied together; nothing in a step of
          one token, ``rows = least(S - 1, window)``

    Args:
        q: ``[T, heads·d]``.
        k: keys ``[B, kv_heads, keys, d]``.
        v: values ``[B, kv_heads, keys, d]``.
        heads: query heads.
        window: last queries that choose.
        kept: tokens a prompt is compressed to.
    """

    kind = "compress_cache"
    has_effect = True
    q: Value
    k: Value
    v: Value
    heads: Expr
    window: Expr
    kept: Expr

    def infer(self) -> tuple[TensorType, ...]:
        """Indices of the kept rows ``[B, kv_heads, kept]``."""
        b, heads, _, _ = self.k.shape
        shape = (b, heads, least(S - 1, self.kept))
        return (TensorType(shape, Encoding("int32"), "index"),)

    def cost(self) -> Cost:
        """See the class."""
        _, _, keys, d = self.k.shape
        rows = least(S - 1, self.window)
        scores = B * self.heads * rows * keys
        dtype = self.q.encoding.plain.dtype
        happens = least(S - 1, 1)
        copied = {p: n for x in (self.k, self.v) for p, n in x.rows(2, self.out.shape[2]).items()}
        keys_read = {p: p.bytes * happens for p in stored_parts(self.k)}
        reads = {v: keys_read.get(v, 0) + copied.get(v, 0) for v in (*keys_read, *copied)}
        queries = self.q.bytes / S * rows
        work = {(MATRIX, dtype, "dense"): 2 * d * scores, (VECTOR, "fp32", "dense"): 6 * scores}
        return Cost(
            work,
            {self.q: queries, **reads},
            {self.out: self.out.bytes, **copied},
            launches=happens,
        )
