"""Attention as written: scores, softmax, values, and what is added to scores."""

from __future__ import annotations

from mansard.core.dtypes import widest
from mansard.core.symbols import B, Expr, P, S
from mansard.ir.cost import MATRIX, VECTOR, Cost, touched
from mansard.ir.mask import Mask
from mansard.ir.op import Op, require_size
from mansard.ir.value import TensorType, Value, stored_parts


class Scores(Op):
    """``s[b, h, i, j] = q[b, i, h, :] · k[b, h//(heads/kv_heads), j, :] / √d`` per sequence.

    FLOP  2·d·pairs    the pairs the mask computes: all, or what it does not skip
                       [Vaswani 2017, eq. 1]
    B     |q| + reach·kv_heads·d of K + |s|: K is read once per KV head, however many query heads
          share it [Ainslie 2023]; of heads that each token picks anew, those of KV heads that some
          query of the sequence needs: ``1 - (1 - share)^(S·heads/kv_heads)`` [Liu 2023, §3]

    Args:
        q: ``[T, heads·d]`` (any leading shape).
        k: ``[B, kv_heads, keys, d]``.
        heads: query heads.
        sweeps: how often K is streamed past blocks of queries.
        queries: of each sequence, where they are not its new tokens: places of an image, of which
            a deeper layer has fewer. No mask but the full one knows what that means.
    """

    q: Value
    k: Value
    heads: Expr
    mask: Mask = Mask()
    sweeps: Expr = 1
    queries: Expr = S

    def infer(self) -> tuple[TensorType, ...]:
        """``[B, heads, queries, keys]``, of which the mask leaves ``pairs``."""
        b, _, keys, d = self.k.shape
        require_size(self, "width of q", self.q.numel, B * self.queries * self.heads * d)
        live = b * self.heads * self.mask.pairs(self.queries, P, keys)
        shape = (b, self.heads, self.queries, keys)
        return (TensorType(shape, self.q.encoding.plain, live=live),)

    def cost(self) -> Cost:
        """See the class."""
        d = self.k.shape[3]
        dtype = widest(self.q.encoding.dtype, *(p.encoding.dtype for p in stored_parts(self.k)))
        return Cost(
            {(MATRIX, dtype, "dense"): 2 * d * self.out.computed},
            {self.q: self.q.bytes, **_swept(self.k, self.mask, self.sweeps, self.heads)},
            {self.out: self.out.bytes},
        )

    def dims(self) -> dict[str, Expr | str]:
        """The sizes attention kernels are keyed by."""
        return _dims(self.heads, self.k, self.mask, self.queries)


class Softmax(Op):
    """``p = exp(s - max s) / Σ exp(s - max s)`` over the last axis.

    FLOP  5·|s|   max, subtract, exp, sum, divide
    B     |s| + |p|

    Args:
        sinks: a learned logit per head that joins each row's sum; it is read.
    """

    x: Value
    sinks: Value | None = None

    def infer(self) -> tuple[TensorType, ...]:
        """The type of ``x``, its masked elements still left out."""
        return (TensorType(self.x.shape, self.x.encoding.plain, live=self.x.type.live),)

    def cost(self) -> Cost:
        """See the class."""
        return self.streamed(5 * self.x.computed, unit=VECTOR, dtype=self.x.encoding.dtype)


class Values(Op):
    """``o[b, i, h, :] = Σ_j p[b, h, i, j] · v[b, h//(heads/kv_heads), j, :]`` per sequence.

    FLOP  2·d·|p|      over the pairs that exist         [Vaswani 2017, eq. 1]
    B     |p| + reach·kv_heads·d of V + |o|

    Args:
        p: ``[B, heads, S, keys]``.
        v: ``[B, kv_heads, keys, d]``.
        rows: the leading shape of the result, ``(T,)`` or ``(B, S)``.
        sweeps: how often V is streamed past blocks of queries.
    """

    p: Value
    v: Value
    rows: tuple[Expr, ...]
    mask: Mask = Mask()
    sweeps: Expr = 1

    def infer(self) -> tuple[TensorType, ...]:
        """``[*rows, heads·d]``."""
        require_size(self, "keys of v", self.v.shape[2], self.p.shape[3])
        shape = (*self.rows, self.p.shape[1] * self.v.shape[3])
        return (TensorType(shape, self.p.encoding.plain),)

    def cost(self) -> Cost:
        """See the class."""
        d = self.v.shape[3]
        dtype = widest(self.p.encoding.dtype, *(p.encoding.dtype for p in stored_parts(self.v)))
        return Cost(
            {(MATRIX, dtype, "dense"): 2 * d * self.p.computed},
            {self.p: self.p.bytes, **_swept(self.v, self.mask, self.sweeps, self.p.shape[1])},
            {self.out: self.out.bytes},
        )

    def dims(self) -> dict[str, Expr | str]:
        """The sizes attention kernels are keyed by."""
        return _dims(self.p.shape[1], self.v, self.mask, self.p.shape[2])


class Alibi(Op):
    """``s[b, h, i, j] + m_h·(j - i)``: a linear bias in place of position embeddings.

    FLOP  |s|     one add; slopes and distances are generated on the fly   [Press 2021, §3]
    B     2·|s|
    """

    x: Value
    is_elementwise = True

    def infer(self) -> tuple[TensorType, ...]:
        """The type of ``x``, its masked elements still left out."""
        return (TensorType(self.x.shape, self.x.encoding.plain, live=self.x.type.live),)

    def cost(self) -> Cost:
        """See the class."""
        return self.streamed(self.x.computed, unit=VECTOR)


class RelativeBias(Alibi):
    """``s[b, h, i, j] + w[bucket(j - i), h]``: a learned bias a bucket of distances and head.

    FLOP  |s|     one add; buckets of distances are the same in every layer    [Raffel 2019, §2.1]
    B     2·|s| + |w|

    Args:
        x: the scores.
        w: ``[buckets, heads]``.
    """

    w: Value


def _keys(cache: Value, mask: Mask) -> Expr:
    return cache.shape[2] if mask.size is None else mask.reach(S, P)


def _swept(cache: Value, mask: Mask, sweeps: Expr, heads: Expr) -> dict[Value, Expr]:
    rows = cache.rows(2, _keys(cache, mask))
    if mask.heads != 1:
        sweeps = sweeps * touched(mask.heads, S * heads / cache.shape[1])
    return {part: size * sweeps for part, size in rows.items()}


def _dims(heads: Expr, cache: Value, mask: Mask, queries: Expr) -> dict[str, Expr | str]:
    b, kv_heads, _, d = cache.shape
    return {
        "batch": b,
        "heads": heads,
        "kv_heads": kv_heads,
        "head_dim": d,
        "q_len": queries,
        "kv_len": _keys(cache, mask),
        "kv_dtype": stored_parts(cache)[0].encoding.dtype,
        "mask": mask.kind,
    }
