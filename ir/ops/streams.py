"""Several copies of the hidden state side by side, of which a layer computes with one."""

from __future__ import annotations

from mansard.core.symbols import Expr
from mansard.ir.cost import MATRIX, VECTOR, Cost
from mansard.ir.op import Op, like, require_size
from mansard.ir.value import TensorType, Value


class MixStreams(Op):
    """``y[t, i, :] = x[t, i, :] + Σ_j c[t, i, j] · x[t, j, :]``: streams predicted from each other.

    FLOP  2·n·|x| on the matrix unit and |x| for the sum      [Baykal 2023, alg. 1]
    B     |x| + |c| + |y|

    Args:
        x: ``n`` streams side by side, ``[T, n·h]``.
        coefs: ``[T, n·n]``.
        streams: n.
    """

    kind = "mix_streams"
    x: Value
    coefs: Value
    streams: Expr

    def infer(self) -> tuple[TensorType, ...]:
        """The type of ``x``."""
        require_size(self, "coefficients", self.coefs.shape[-1], self.streams**2)
        return (like(self.x),)

    def cost(self) -> Cost:
        """See the class."""
        cost, dtype = self.streamed(), self.x.encoding.plain.dtype
        flops = {(MATRIX, dtype, "dense"): 2 * self.streams * self.x.numel,
                 (VECTOR, dtype, "dense"): self.x.numel}  # fmt: skip
        return Cost(flops, cost.reads, cost.writes)


class RemixStreams(MixStreams):
    """``y[t, i, :] = Σ_j c[t, j, i] · x[t, j, :]``: streams made of each other.

    FLOP  2·n·|x|                                   [Xie 2025, eq. 1]
    B     |x| + |c| + |y|

    Args:
        x: ``n`` streams side by side, ``[T, n·h]``.
        coefs: ``[T, n·n]``.
        streams: n.
    """

    kind = "remix_streams"

    def cost(self) -> Cost:
        """See the class."""
        return self.streamed(2 * self.streams * self.x.numel, unit=MATRIX)


class GatherStreams(Op):
    """``y[t, :] = Σ_j c[t, j] · x[t, j, :]``: one hidden state of several.

    FLOP  2·|x|                                     [Xie 2025, eq. 1]
    B     |x| + |c| + |y|

    Args:
        x: ``n`` streams side by side, ``[T, n·h]``.
        coefs: ``[T, n]``.
    """

    kind = "gather_streams"
    x: Value
    coefs: Value

    def infer(self) -> tuple[TensorType, ...]:
        """``[T, h]``."""
        return (like(self.x, (*self.x.shape[:-1], self.x.shape[-1] / self.coefs.shape[-1])),)

    def cost(self) -> Cost:
        """See the class."""
        return self.streamed(2 * self.x.numel, unit=VECTOR)


class SpreadStream(Op):
    """``y[t, i, :] = x[t, i, :] + c[t, i] · d[t, :]``: one stream's change given to all.

    FLOP  2·|x|; |x| without coefficients           [Baykal 2023, alg. 1]
    B     |x| + |d| + |c| + |y|

    Args:
        x: streams side by side, ``[T, n·h]``.
        change: ``[T, h]``.
        coefs: ``[T, n]``, or none where all are 1.
    """

    kind = "spread_stream"
    x: Value
    change: Value
    coefs: Value | None = None

    def infer(self) -> tuple[TensorType, ...]:
        """The type of ``x``."""
        return (like(self.x),)

    def cost(self) -> Cost:
        """See the class."""
        return self.streamed((1 if self.coefs is None else 2) * self.x.numel, unit=VECTOR)
