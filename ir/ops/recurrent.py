"""Mixers that carry a state of fixed size, read and written once a step whatever the context.

Each is one launch. Its matrix work is stated for the blockwise form that serving kernels run, with
blocks of ``q = least(S, chunk)`` tokens; a step of one token has ``q = 1``: the recurrence itself.
"""

from __future__ import annotations

import sympy as sp

from mansard.core.symbols import Expr, S, ceil_div, least
from mansard.ir.cost import MATRIX, VECTOR, Cost
from mansard.ir.op import Op, like, require_size
from mansard.ir.value import TensorType, Value


class Recurrence(Op):
    """Base: tokens ``x[T, width]`` and a state in, tokens and the new state out.

    B     every operand and the state read once, tokens and the state written once
    """

    has_effect = True
    x: Value
    state: Value
    inputs: tuple[Value, ...] = ()
    params: tuple[Value, ...] = ()

    def infer(self) -> tuple[TensorType, ...]:
        """Tokens as wide as ``x``, and the state on its storage."""
        old = self.state.type
        carried = TensorType(old.shape, old.encoding, "state", old.storage, old.place)
        return (like(self.x, (*self.x.shape[:-1], self.width)), carried)

    @property
    def width(self) -> Expr:
        """Width of the tokens it makes."""
        return self.x.shape[-1]

    @property
    def tokens(self) -> Expr:
        """Tokens of the step."""
        return self.x.numel / self.x.shape[-1]

    @property
    def steps(self) -> Expr:
        """Elements of one sequence's state, times the tokens that each update all of them."""
        return self.tokens * self.state.numel / self.state.shape[0]

    def work(self, matrix: Expr, vector: Expr) -> Cost:
        """Return the cost of two amounts of arithmetic, everything streamed."""
        dtype = self.x.encoding.plain.dtype
        cost = self.streamed()
        flops = {(MATRIX, dtype, "dense"): matrix, (VECTOR, dtype, "dense"): vector}
        return Cost({k: v for k, v in flops.items() if v != 0}, cost.reads, cost.writes)

    def dims(self) -> dict[str, Expr | str]:
        """Batch, width of the tokens, elements of one sequence's state, new tokens."""
        b = self.state.shape[0]
        return {"batch": b, "width": self.x.shape[-1], "state": self.state.numel / b, "q_len": S}


class CausalConv(Recurrence):
    """``y[t, c] = Σ_k w[c, 1, k] · x[t - K + 1 + k, c]``: one short filter a channel.

    FLOP  2·K·|x| (+ |x| for a bias)   a multiply and an add per tap         [Gu 2023, §3.4]
    B     |x| + |w| + |y| + 2·|state|, the state being the last ``K`` inputs ``[B, c, K]``
    """

    kind = "causal_conv"

    def infer(self) -> tuple[TensorType, ...]:
        """See the class."""
        require_size(self, "channels of the filter", self.params[0].shape[0], self.x.shape[-1])
        return super().infer()

    def cost(self) -> Cost:
        """See the class."""
        taps = self.params[0].shape[-1]
        return self.work(sp.S.Zero, self.x.numel * (2 * taps + len(self.params) - 1))


class SelectiveScan(Recurrence):
    """Mamba-1: ``h = exp(Δ·A)·h + (Δ·x)·B``, ``y = C·h + D·x`` for each channel and state element.

    FLOP  7·|x|·N + 6·|x|   Δ·A, exp, decay, (Δx)·B, add, and multiply and add of C·h for each of N
                            state elements; softplus (3), Δ·x, D·x and its add a channel
                            [Gu 2023, alg. 2]
    B     x, Δ, B, C, the parameters and y once; the state ``[B, channels, N]`` in and out

    Args:
        x: ``[T, channels]``.
        inputs: Δ ``[T, channels]``, B and C together ``[T, 2·N]``.
        params: A ``[channels, N]``, D ``[channels]``.
    """

    kind = "selective_scan"

    def cost(self) -> Cost:
        """See the class."""
        return self.work(sp.S.Zero, 7 * self.steps + 6 * self.x.numel)


class StateSpaceDual(Recurrence):
    """Mamba-2: ``h = a·h + Δ·x ⊗ B``, ``y = C·h + D·x``; one decay ``a`` a head.

    FLOP  matrix  T·(q·(G·N + H·d)·2 + 4·H·d·N)    C·Bᵀ and its product with x inside a block of q,
                                                   and x ⊗ B and C·h through the state
          vector  |state|·⌈S/chunk⌉ + T·H·(q + 3·d)  decay of the state and the scores, Δ·x, D·x
                  [Dao 2024, §6, table 1; G groups share B and C]
    B     x, B, C, Δ and y once; the state ``[B, H, d, N]`` in and out

    Args:
        x: ``[T, H·d]``.
        inputs: B and C together ``[T, 2·G·N]``, Δ ``[T, H]``.
        groups: G.
        chunk: longest block.
    """

    kind = "state_space_dual"
    groups: Expr = sp.S.One
    chunk: Expr = sp.Integer(256)

    def cost(self) -> Cost:
        """See the class."""
        _, heads, d, n = self.state.shape
        q = least(S, self.chunk)
        matrix = 2 * q * (self.groups * n + heads * d) + 4 * heads * d * n
        decay = self.state.numel * ceil_div(S, self.chunk)
        return self.work(self.tokens * matrix, decay + self.tokens * heads * (q + 3 * d))


class GatedDelta(Recurrence):
    """``S = a·S·(I - β·k·kᵀ) + β·v·kᵀ``, ``o = S·q`` for each value head.

    FLOP  matrix  T·H·(q·(6·dk + 4·dv) + (q-1)·(q-2)/3 + 6·dk·dv)
                  inside a block: K·Kᵀ, the inverse of its triangle (exact, n³/3), its products
                  with βK and βV, Q·Kᵀ and its product with the new values; through the state: W·S,
                  Q·S and Kᵀ·V                                       [Yang 2024 GDN, §3.3]
          vector  |state|·⌈S/chunk⌉ + T·H·(q + 4·(dk + dv)): decays, β, unit-length q and k
    B     q, k, v, the gates and o once; the state ``[B, H, dk, dv]`` in and out

    Args:
        x: q, k and v together, as the convolution leaves them.
        inputs: decay and β, one a head (or one a key channel: Kimi Delta Attention).
        chunk: longest block.
    """

    kind = "gated_delta"
    chunk: Expr = sp.Integer(64)

    @property
    def width(self) -> Expr:
        """``H·dv``."""
        return self.state.shape[1] * self.state.shape[3]

    def cost(self) -> Cost:
        """See the class."""
        _, heads, dk, dv = self.state.shape
        q = least(S, self.chunk)
        matrix = q * (6 * dk + 4 * dv) + (q - 1) * (q - 2) / 3 + 6 * dk * dv
        decay = self.state.numel * ceil_div(S, self.chunk)
        vector = decay + self.tokens * heads * (q + 4 * (dk + dv))
        return self.work(self.tokens * heads * matrix, vector)


class LinearAttention(Recurrence):
    """``S = λ·S + k ⊗ v``, ``o = q·S`` with a fixed decay a head (lightning attention).

    FLOP  matrix  T·H·(4·q·d + 4·d²)     Q·Kᵀ and its product with V inside a block of q; Kᵀ·V and
                                         Q·S through the state            [Qin 2024, alg. 1]
          vector  |state|·⌈S/chunk⌉ + T·H·(q + 2·d)   decays of state, scores, queries and keys
    B     q, k, v and o once; the state ``[B, H, d, d]`` in and out

    Args:
        x: q, k and v together ``[T, 3·H·d]``.
        chunk: longest block.
    """

    kind = "linear_attention"
    chunk: Expr = sp.Integer(256)

    @property
    def width(self) -> Expr:
        """``H·d``."""
        return self.state.shape[1] * self.state.shape[3]

    def cost(self) -> Cost:
        """See the class."""
        _, heads, dk, dv = self.state.shape
        q = least(S, self.chunk)
        matrix = 2 * q * (dk + dv) + 4 * dk * dv
        decay = self.state.numel * ceil_div(S, self.chunk)
        vector = decay + self.tokens * heads * (q + 2 * dk)
        return self.work(self.tokens * heads * matrix, vector)


class GatedRecurrence(Recurrence):
    """RG-LRU: ``a = exp(-c·softplus(Λ)·r)``, ``h = a·h + √(1 - a²)·(i·x)`` elementwise.

    FLOP  14·|x|   two sigmoids (3 each), scale and exp of a (2), 1 - a² and its root (3), i·x and
                   its scale (2), a·h and its add, less what the gates' projections already did
                   [De 2024, eq. 1-4]: 3 + 3 + 2 + 3 + 2 + 2 - 1
    B     x, both gates and y once; the state ``[B, width]`` in and out

    Args:
        x: ``[T, width]``.
        inputs: recurrence gate and input gate, each ``[T, width]``.
        params: Λ ``[width]``.
    """

    kind = "gated_recurrence"

    def cost(self) -> Cost:
        """See the class."""
        return self.work(sp.S.Zero, 14 * self.x.numel)


class Wkv(Recurrence):
    """RWKV-4: a decaying weighted mean of values, kept as numerator, denominator and maximum.

    FLOP  18·|k|   two maxima, four differences and exponentials (8), four products and sums for
                   output and update (6), one division, the decay's add      [Peng 2023, app. D]
    B     k, v and o once; the state ``[B, width, 3]`` in and out

    Args:
        x: keys ``[T, width]``.
        inputs: values ``[T, width]``.
        params: decay and first-token bonus ``[width]``.
    """

    kind = "wkv"

    def cost(self) -> Cost:
        """See the class."""
        return self.work(sp.S.Zero, 18 * self.x.numel)


class TokenShift(Recurrence):
    """``y = μ·x[t] + (1 - μ)·x[t - 1]`` for each of several mixes; the state is the last token.

    FLOP  3·|x| a mix   a difference, a product, a sum         [Peng 2023, eq. 11-13]
    B     x read once, a row written a mix; the state ``[B, width]`` in and out
    """

    kind = "token_shift"

    @property
    def width(self) -> Expr:
        """All mixes side by side."""
        return len(self.params) * self.x.shape[-1]

    def cost(self) -> Cost:
        """See the class."""
        return self.work(sp.S.Zero, 3 * self.x.numel * len(self.params))
