"""Keys that stand for several tokens: gated means of their keys, in a cache of their own."""

from __future__ import annotations

from mansard.core.symbols import B, Expr, S, least, product
from mansard.ir.cost import VECTOR, Cost
from mansard.ir.op import Op, like, require_size
from mansard.ir.ops.cache import Append
from mansard.ir.value import TensorType, Value


class Summarize(Op):
    """``y[w, :] = Σ_i softmax_i(g[w·m + i, :] + b[i, :]) · x[w·m + i, :]`` of windows of ``m``.

    Tokens of a window that a step leaves open wait in the state. How many windows a step completes
    counts by its mean, ``S/m``: one token completes a part of one. Where ``x`` is twice as wide as
    a summary, its halves are what a token gives the next window and its own: a window then is of
    ``2·m`` rows.

    FLOP  8·rows·d·B    add the bias, softmax (5), multiply and add, for each row of each window
                        that is completed                        [DeepSeek-AI 2026, eq. 9-12, 20-23]
    B     |x| + |g| + |b| + |y|; of the state, the rows of windows that earlier steps began, and
          those the step leaves

    Args:
        x: what tokens give, ``[T, d]`` or ``[T, 2·d]``.
        gate: as wide, a logit for each.
        bias: ``[m, …]``, of a row's place in its window.
        state: ``[B, m, …]``, tokens and their logits that wait.
        size: m.
        width: d.
    """

    kind = "summarize"
    has_effect = True
    x: Value
    gate: Value
    bias: Value
    state: Value
    size: Expr
    width: Expr

    @property
    def windows(self) -> Expr:
        """Windows a sequence completes in the step, by their mean."""
        return S / self.size

    def infer(self) -> tuple[TensorType, ...]:
        """Summaries ``[B·windows, d]``, and the state on its storage."""
        require_size(self, "rows of the bias", self.bias.shape[0], self.size)
        old = self.state.type
        carried = TensorType(old.shape, old.encoding, "state", old.storage, old.place)
        return (like(self.x, (B * self.windows, self.width)), carried)

    def cost(self) -> Cost:
        """See the class."""
        rows = self.size * self.x.shape[-1] / self.width
        flops = 8 * rows * self.windows * self.width * B
        row = self.state.bytes / self.size
        read = {v: v.bytes for v in (self.x, self.gate, self.bias)}
        waiting = row * least(S, self.size)
        read[self.state] = waiting
        written = {self.outs[0]: self.outs[0].bytes, self.outs[1]: waiting}
        return Cost({(VECTOR, self.x.encoding.plain.dtype, "dense"): flops}, read, written)


class AppendSummaries(Append):
    """Write the summaries a step completes to the end of their cache.

    FLOP  0
    B     |x| read, |x| elements of the cache written

    Args:
        cache: ``[B, 1, kept, d]``, those of earlier steps.
        x: ``[B·rows, d]``.
        rows: new summaries of a sequence.
    """

    kind = "append_summaries"
    rows: Expr = S

    def infer(self) -> tuple[TensorType, ...]:
        """``[B, 1, kept + rows, d]`` on the cache's storage."""
        b, heads, kept, d = self.cache.shape
        require_size(self, "elements appended", self.x.numel, B * self.rows * heads * d)
        old, shape = self.cache.type, (b, heads, kept + self.rows, d)
        return (TensorType(shape, old.encoding, "cache", old.storage, old.place),)

    def cost(self) -> Cost:
        """See the class."""
        b, heads, _, d = self.cache.shape
        written = product((b, heads, self.rows, d)) * self.cache.encoding.bits / 8
        return Cost({}, {self.x: self.x.bytes}, {self.out: written})
