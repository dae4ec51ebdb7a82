"""Ops of any tensor program: what an exported graph holds besides a transformer's own operators.

Each is given the shape of its result, since who makes it has inferred it already.
"""

from __future__ import annotations

import sympy as sp

from mansard.core.dtypes import Encoding
from mansard.core.symbols import Expr
from mansard.ir.cost import FREE, MATRIX, VECTOR, Cost
from mansard.ir.op import Op
from mansard.ir.value import Shape, TensorType, Value, stored_parts


class TensorOp(Op):
    """Base: the result has a stated shape, and the dtype of the first operand unless stated."""

    xs: tuple[Value, ...]
    shape: Shape
    to: Encoding | None = None

    def infer(self) -> tuple[TensorType, ...]:
        """``shape`` in ``to``, else in the first operand's dtype."""
        own = self.xs[0].encoding.plain if self.xs else Encoding()
        return (TensorType(tuple(map(sp.S, self.shape)), self.to or own),)

    @property
    def compute_dtype(self) -> str:
        """The widest operand's that holds numbers, or the result's own where there is none."""
        numbers = any(v.role != "index" for v in self.xs)
        return super().compute_dtype if numbers else self.out.encoding.dtype


class MatMul(TensorOp):
    """``y[*b, m, n] = Σ_k a[*b, m, k] · b[*b, k, n]``: a product in which neither side is a weight.

    FLOP  2·|y|·k      a multiply and an add per element and k
    B     |a| + |b| + |y|, each once; a side that is broadcast is read as it lies

    Args:
        k: the contracted size.
    """

    kind = "matmul"
    k: Expr = sp.S.One

    def cost(self) -> Cost:
        """See the class."""
        return self.streamed(2 * self.out.numel * self.k, unit=MATRIX)

    def dims(self) -> dict[str, Expr | str]:
        """``m``, ``n`` and ``k`` of one product; the rest are ``groups``."""
        m, n = (sp.S.One, sp.S.One, *self.out.shape)[-2:]
        return {"m": m, "n": n, "k": self.k, "groups": self.out.numel / (m * n)}


class Convolution(TensorOp):
    """``y[b, o, *p] = Σ_(c, t) w[o, c, *t] · x[b, c, *(p + t)]``, first operand x, second w.

    FLOP  2·|y|·|w|/outputs     a multiply and an add per tap and channel of a group
          2·|x|·|w|/inputs      transposed: every input element is spread over the taps
          (+ |y| on the vector unit for a bias, the third operand)
    B     |x| + |w| + |bias| + |y|

    Args:
        transposed: whether it is a transposed one, its weight ``[inputs, outputs/groups, *taps]``.
    """

    transposed: bool = False

    def cost(self) -> Cost:
        """See the class."""
        x, w = self.xs[:2]
        met = (x if self.transposed else self.out).numel
        whole = self.streamed(2 * met * w.numel / w.shape[0], unit=MATRIX)
        bias = {(VECTOR, self.out.encoding.dtype, "dense"): self.out.numel}
        return Cost({**whole.flops, **(bias if len(self.xs) > 2 else {})}, whole.reads,
                    whole.writes)  # fmt: skip

    def dims(self) -> dict[str, Expr | str]:
        """As a product of matrices: ``m`` places, ``n`` channels, ``k`` taps and channels."""
        x, w = self.xs[:2]
        met = x if self.transposed else self.out
        return {"m": met.numel / w.shape[0], "n": w.shape[0], "k": w.numel / w.shape[0]}


class Elementwise(TensorOp):
    """``y = fn(x₁, x₂, …)``, operands broadcast: each element of the result by itself.

    FLOP  per·|y|
    B     Σ|x| + |y|, an operand that is broadcast as it lies

    Args:
        fn: what people call it.
        per: FLOP per element; a transcendental counts as one, as does a comparison.
    """

    is_elementwise = True
    fn: str = ""
    per: Expr = sp.S.One

    def cost(self) -> Cost:
        """See the class."""
        return self.streamed(self.per * self.out.numel, unit=VECTOR)


class Reduce(TensorOp):
    """A sum, mean, maximum, norm or scan along some axes.

    FLOP  per·|x|     of the first operand: one add or comparison an element
    B     Σ|x| + |y|

    Args:
        fn: what people call it.
        per: FLOP per element of the first operand.
    """

    fn: str = ""
    per: Expr = sp.S.One

    def cost(self) -> Cost:
        """See the class."""
        return self.streamed(self.per * self.xs[0].numel, unit=VECTOR)


class Pool(TensorOp):
    """Each element of the result is the maximum or mean of a window.

    FLOP  taps·|y|
    B     |x| + |y|

    Args:
        taps: elements of a window.
    """

    taps: Expr = sp.S.One

    def cost(self) -> Cost:
        """See the class."""
        return self.streamed(self.taps * self.out.numel, unit=VECTOR)


class Move(TensorOp):
    """Copy elements to other places: gather, slice, concatenate, expand, pad, transpose.

    FLOP  0
    B     taken elements of the first operand, the other operands whole, and |y|

    Args:
        fn: what people call it.
        taken: elements read of the first operand, where that is not all of them: a gather and a
            slice read what they select, an expansion its small operand.
    """

    fn: str = ""
    taken: Expr | None = None

    def cost(self) -> Cost:
        """See the class."""
        whole = self.streamed()
        if self.taken is None or not self.xs:
            return whole
        first = self.xs[0]
        share = self.taken / first.numel
        reads = {p: p.bytes * share for p in stored_parts(first)}
        return Cost(reads={**whole.reads, **reads}, writes=whole.writes)


class Either(TensorOp):
    """One of several results, whichever branch made it: nothing moves.

    FLOP  0
    B     0    what reads the result reads the branch's own
    """

    is_view = True

    def cost(self) -> Cost:
        """See the class."""
        return FREE


class Scatter(Op):
    """Write ``updates`` into some places of ``x``; the others stay where they are.

    FLOP  0
    B     |updates| + |indices| read, |updates| elements written

    Args:
        x: what is written into.
        updates: the new elements.
        indices: where they go.
    """

    x: Value
    updates: Value
    indices: tuple[Value, ...] = ()

    @property
    def has_effect(self) -> bool:  # type: ignore[override]
        """Whether it writes into something stored; what an op made is gone when nobody reads it."""
        return bool(self.x.storage)

    def infer(self) -> tuple[TensorType, ...]:
        """The type of ``x``, on its storage."""
        return (self.x.type,)

    def cost(self) -> Cost:
        """See the class."""
        read = {v: v.bytes for v in (self.updates, *self.indices)}
        return Cost(reads=read, writes={self.out: self.updates.numel * self.x.encoding.bits / 8})


class RecurrentCell(Op):
    """An LSTM or GRU over time: ``gates`` products with the input and with the last state a step.

    FLOP  2·rows·gates·h·(in + h) on the matrix unit, rows = |x|/in · directions: each time step of
          each sequence in each direction             [Hochreiter 1997, eq. 1-9; Cho 2014, eq. 5-8]
          per·rows·h on the vector unit: sums, sigmoids and tanhs of the gates, the state
    B     |x| + the weights once + the states in and out + |y|

    Args:
        x: ``[time, batch, in]``.
        params: weights and biases.
        states: hidden (and cell) state, ``[directions, batch, h]``.
        hidden: h.
        gates: 4 of an LSTM, 3 of a GRU, 1 of a plain cell.
        directions: 2 when time is walked both ways.
        shapes: of the results: every step's output, then the last states.
        per: operations an element of the state and step, products left out.
    """

    x: Value
    params: tuple[Value, ...]
    states: tuple[Value, ...]
    hidden: Expr
    gates: Expr
    directions: Expr = sp.S.One
    shapes: tuple[Shape, ...] = ()
    per: Expr = sp.Integer(19)

    def infer(self) -> tuple[TensorType, ...]:
        """``shapes`` in the dtype of ``x``."""
        own = self.x.encoding.plain
        return tuple(TensorType(tuple(map(sp.S, shape)), own) for shape in self.shapes)

    def cost(self) -> Cost:
        """See the class."""
        width = self.x.shape[-1]
        rows = self.x.numel / width * self.directions
        whole, dtype = self.streamed(), self.x.encoding.plain.dtype
        products = 2 * rows * self.gates * self.hidden * (width + self.hidden)
        flops = {(MATRIX, dtype, "dense"): products,
                 (VECTOR, dtype, "dense"): self.per * rows * self.hidden}  # fmt: skip
        return Cost(flops, whole.reads, whole.writes)

    def dims(self) -> dict[str, Expr | str]:
        """Sizes of the products of all steps: ``m`` rows, ``n`` gates' outputs, ``k`` inputs."""
        width = self.x.shape[-1]
        n = self.gates * self.hidden
        return {"m": self.x.numel / width * self.directions, "n": n, "k": width + self.hidden}
