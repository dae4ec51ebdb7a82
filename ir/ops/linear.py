"""Matrix products with weights."""

from __future__ import annotations

from dataclasses import replace

from mansard.core.dtypes import widest
from mansard.core.symbols import Expr, product
from mansard.ir.cost import MATRIX, VECTOR, Cost, add, touched
from mansard.ir.op import Op, like, require_size
from mansard.ir.value import TensorType, Value, stored_parts


class Linear(Op):
    """``y[*b, n] = x[*b, k] @ w[n, k].T (+ bias[n])``: every weight meets every row once.

    FLOP  2·|x|·n (+ |y| on the vector unit)   a multiply and an add per (row, k, n)
                                               [Kaplan 2020, §2.1]
    B     |x| + |w| + |bias| + |y|             each moved once: tiling reuse is on-chip
    """

    x: Value
    w: Value
    bias: Value | None = None

    def infer(self) -> tuple[TensorType, ...]:
        """``x`` with its last axis replaced by ``n``."""
        require_size(self, "features of x", self.x.shape[-1], self.w.shape[1])
        if self.bias is not None:
            require_size(self, "bias", self.bias.shape[0], self.w.shape[0])
        return (like(self.x, (*self.x.shape[:-1], self.w.shape[0])),)

    def cost(self) -> Cost:
        """See the class."""
        structure = stored_parts(self.w)[0].encoding.structure
        flops = product((2, self.x.numel, self.w.shape[0]))
        dtype = _product_dtype(self.x, self.w)
        cost = self.streamed(flops, unit=MATRIX, dtype=dtype, structure=structure)
        if self.bias is None:
            return cost
        extra = Cost({(VECTOR, self.out.encoding.dtype, "dense"): self.out.numel})
        return replace(add((cost, extra)), launches=cost.launches)

    def dims(self) -> dict[str, Expr | str]:
        """``m`` rows, ``n`` outputs, ``k`` inputs, stored dtypes."""
        m = product(self.x.shape[:-1])
        return {"m": m, "n": self.w.shape[0], "k": self.w.shape[1], **_stored(self.x, self.w)}


class GroupedLinear(Op):
    """``y[r, n] = x[r, k] @ w[e(r), n, k].T``: each row meets the weights of one of E experts.

    FLOP  2·|x|·n (+ |y| for a bias)
    B     |x| + |w|·(1 - (1 - hit)^tokens) + |y|: only the experts that some of ``tokens``
          independent tokens chose, each with probability ``hit = k/E``, are read
          [Fedus 2021; expectation under uniform routing]

    Args:
        hit: probability that a token needs a given expert.
        tokens: tokens that share the weights, of the whole expert-parallel group.
    """

    x: Value
    w: Value
    hit: Expr
    tokens: Expr
    bias: Value | None = None

    def infer(self) -> tuple[TensorType, ...]:
        """``[r, n]``."""
        require_size(self, "features of x", self.x.shape[-1], self.w.shape[2])
        if self.bias is not None:
            require_size(self, "bias", self.bias.shape[1], self.w.shape[1])
        return (like(self.x, (*self.x.shape[:-1], self.w.shape[1])),)

    def cost(self) -> Cost:
        """See the class."""
        structure = stored_parts(self.w)[0].encoding.structure
        flops = 2 * self.x.numel * self.w.shape[1]
        dtype = _product_dtype(self.x, self.w)
        whole = self.streamed(flops, unit=MATRIX, dtype=dtype, structure=structure)
        if self.bias is not None:
            extra = Cost({(VECTOR, self.out.encoding.dtype, "dense"): self.out.numel})
            whole = replace(add((whole, extra)), launches=whole.launches)
        share = self.weights_read()
        blocks = {p for v in (self.w, self.bias) if v is not None for p in stored_parts(v)}
        reads = {v: size * share if v in blocks else size for v, size in whole.reads.items()}
        return replace(whole, reads=reads)

    def weight_share(self) -> Expr:
        """One token goes to ``hit`` of the experts."""
        return self.hit

    def weights_read(self) -> Expr:
        """The experts that some token chose."""
        return touched(self.hit, self.tokens)

    def dims(self) -> dict[str, Expr | str]:
        """``m`` rows over all ``groups``, ``n`` outputs, ``k`` inputs, stored dtypes."""
        groups, n, k = self.w.shape
        m = product(self.x.shape[:-1])
        return {"m": m, "n": n, "k": k, "groups": groups, **_stored(self.x, self.w)}


def _product_dtype(x: Value, w: Value) -> str:
    """Return the dtype a product runs in; a bias is added afterwards."""
    return widest(*(p.encoding.dtype for v in (x, w) for p in stored_parts(v)))


def _stored(x: Value, w: Value) -> dict[str, Expr | str]:
    weight = stored_parts(w)[0].encoding
    return {"x_dtype": x.encoding.dtype, "w_dtype": weight.dtype}
