"""A cache whose newest tokens lie wide and whose older ones lie narrow."""

from __future__ import annotations

import sympy as sp

from mansard.core.symbols import Expr, P, S, least, product
from mansard.ir.cost import VECTOR, Cost
from mansard.ir.op import require_size
from mansard.ir.ops.cache import Append
from mansard.ir.value import TensorType, Value


def at_most(kept: Expr, size: Expr) -> Expr:
    """Return ``least(kept, size)``, of a cache that is bounded already the shorter form.

    >>> at_most(least(P, sp.Integer(4095)), sp.Integer(128))
    least(P, 128)
    >>> at_most(least(P, sp.Integer(4095)), sp.Integer(5000))
    least(P, 4095)
    """
    if isinstance(kept, least) and kept.args[1].is_number:
        return least(kept.args[0], kept.args[1] if kept.args[1] <= size else size)
    return least(kept, size)


class AppendRecent(Append):
    """Write new rows to the wide part of a cache; what leaves the window is stored narrow.

    Of ``kept`` cached tokens the first ``sinks`` and the last ones, ``n = sinks + window`` in all,
    lie wide: ``least(kept, n)``. A step of ``S`` tokens makes ``m = wide + S - wide'`` rows leave,
    the oldest of the window first, ``old`` of which were stored before. (Where a mask bounds the
    cache, those that it forgets are neither read nor written.)

    FLOP  2·m·kv_heads·d·B     scale and round what leaves        [Liu 2024, alg. 1; Duanmu 2024]
    B     |x| + old rows read wide, S - m + old rows written wide, m rows written narrow

    Args:
        cache: ``[B, kv_heads, wide, d]``, the sinks and the window.
        x: ``[T, kv_heads·d]``, the new rows.
        older: ``[B, kv_heads, kept - wide, d]``, in the narrow encoding.
        window: tokens that stay wide besides the sinks.
        sinks: first tokens, which stay wide for ever.
    """

    kind = "append_recent"
    older: Value
    window: Expr
    sinks: Expr = sp.S.Zero

    def infer(self) -> tuple[TensorType, ...]:
        """The wide rows with the new ones after them, and the narrow ones after the step."""
        (recent,) = super().infer()
        b, heads, _, d = self.older.shape
        require_size(self, "heads of older rows", heads, self.cache.shape[1])
        rest = self.kept.xreplace({P: P + S}) - self._wide_after
        old = self.older.type
        rows = TensorType((b, heads, rest, d), old.encoding, "cache", old.storage, old.place)
        return recent, rows

    @property
    def kept(self) -> Expr:
        """Tokens that are cached before the step."""
        return self.older.shape[2] + self.cache.shape[2]

    @property
    def _wide_after(self) -> Expr:
        return at_most(self.kept.xreplace({P: P + S}), self.window + self.sinks)

    def cost(self) -> Cost:
        """See the class."""
        b, heads, wide, d = self.cache.shape
        leaving = wide + S - self._wide_after
        old = least(leaving, wide - at_most(self.kept, self.sinks)) if self.window != 0 else 0
        moved, read = leaving, old
        if self.kept.has(least):  # a bounded cache forgets some of what leaves its window
            moved = least(leaving, self.outs[1].shape[2])
            read = moved - least(moved, leaving - old)
        row = product((b, heads, d))
        bytes_wide, bytes_narrow = (row * v.encoding.bits / 8 for v in (self.cache, self.older))
        dtype = self.x.encoding.dtype
        return Cost(
            {(VECTOR, dtype, "dense"): 2 * moved * row},
            {self.x: self.x.bytes, self.cache: read * bytes_wide},
            {self.outs[0]: (S - leaving + old) * bytes_wide, self.outs[1]: moved * bytes_narrow},
        )
