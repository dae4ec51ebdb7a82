"""Feature maps: the places of an image as rows, channels as columns, convolutions between them."""

from __future__ import annotations

from dataclasses import replace

from mansard.core.dtypes import Encoding
from mansard.core.records import dataclass
from mansard.core.symbols import B, ExprLike
from mansard.ir.builder import Builder
from mansard.ir.mask import Mask
from mansard.ir.op import Op
from mansard.ir.ops import Linear, Reshape, Scores, Softmax, Transpose, Values
from mansard.ir.ops.tensor import Convolution, Elementwise, Move
from mansard.ir.value import Value

FULL = Mask("full")


@dataclass(frozen=True)
class Maps:
    """Where feature maps ``[B·places, channels]`` are computed.

    Args:
        build: collects the ops.
        path: how the names of tensors begin.
        label: how the names of ops begin.
        encoding: of what is stored.
    """

    build: Builder
    path: str
    label: str = ""
    encoding: Encoding = Encoding()

    def __call__(self, op: Op, name: str) -> Value:
        """Append an op under a name of this place."""
        return self.build(op, self.label + name)

    def inside(self, name: str, label: str | None = None) -> Maps:
        """Return where the tensors of a module lie; ops are named by it, or by ``label``."""
        own = f"{name}." if label is None else label
        return replace(self, path=f"{self.path}.{name}", label=self.label + own)

    def tensor(self, name: str, *shape: ExprLike) -> Value:
        """Return a weight by the checkpoint's name."""
        return self.build.leaf(f"{self.path}.{name}", *shape, encoding=self.encoding)

    def conv(
        self, x: Value, name: str, out: ExprLike, taps: int = 1, stride: int = 1, *,
        each: bool = False, bias: bool = False,
    ) -> Value:  # fmt: skip
        """Append a convolution of ``taps²`` taps with a result at every ``stride²`` places.

        One of a single tap is a linear. With ``each`` every channel is filtered by itself.
        """
        w = self.tensor(f"{name}.weight", out, 1 if each else x.shape[-1], taps, taps)
        b = (self.tensor(f"{name}.bias", out),) if bias else ()
        if taps == stride == 1 and not each:
            flat = self(Reshape(w, (w.shape[0], w.shape[1])), f"{name}.flat")
            return self(Linear(x, flat, *b), name)
        return self(Convolution((x, w, *b), (x.shape[0] / stride**2, w.shape[0])), name)

    def group_norm(
        self, x: Value, name: str, fn: str = "group_norm", *, bias: bool = True
    ) -> Value:
        """Append a norm over groups of channels and all places: 7 FLOP an element, as LayerNorm."""
        kinds = ("weight", "bias") if bias else ("weight",)
        params = (self.tensor(f"{name}.{kind}", x.shape[-1]) for kind in kinds)
        return self(Elementwise((x, *params), x.shape, fn=fn, per=7), name)

    def grown(self, x: Value, places: ExprLike, name: str) -> Value:
        """Append the map at so many places of an image, each a copy of the nearest."""
        return self(Move((x,), (B * places, x.shape[-1]), fn="nearest", taken=x.numel), name)

    def attended(self, q: Value, k: Value, v: Value, heads: int) -> Value:
        """Append attention of the places of ``q`` to those of ``k``, of one head."""
        keys, values = self._head(k, "k"), self._head(v, "v")
        scores = Scores(q, keys, heads, FULL, queries=q.shape[0] / B)
        weights = self(Softmax(self(scores, "scores")), "softmax")
        return self(Values(weights, values, (q.shape[0],), FULL), "values")

    def _head(self, x: Value, name: str) -> Value:
        rows = self(Reshape(x, (B, x.shape[0] / B, 1, x.shape[-1])), f"{name}_rows")
        return self(Transpose(rows, (0, 2, 1, 3)), f"{name}_heads")
