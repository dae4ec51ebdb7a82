"""The feed-forward blocks of a layer, by value: one, RWKV's, or a mixture of experts."""

from __future__ import annotations

from fractions import Fraction

from mansard.core.records import dataclass


@dataclass(frozen=True)
class Dense:
    """A feed-forward block: ``down(act(gate) * up)`` if gated, else ``down(act(up))``.

    Args:
        sub_norm: a norm before ``down``.
    """

    width: int
    gated: bool = True
    activation: str = "silu"
    up_bias: bool = False
    down_bias: bool = False
    fused: bool = False
    sub_norm: bool = False


@dataclass(frozen=True)
class ChannelMix:
    """RWKV's feed-forward block: ``sigmoid(r) · down(relu(up)²)`` of shifted tokens."""

    width: int


@dataclass(frozen=True)
class Moe:
    """``top_k`` of ``experts`` blocks, and a shared one where ``shared_width`` is not 0.

    Args:
        shared_gate: a sigmoid of one linear scales the shared block.
        shared_fused: its gate and up are one tensor.
        fused: the experts' gate and up are one tensor.
        correction: axes of a stored bias on the router's scores; 0 is none, or a buffer.
        norm: a norm on what all experts return.
        out_bias: a bias on it.
        scales: a scale on the router's input and one on each expert (Gemma 4).
        latent: width the experts work in, between two projections; 0 is the model's.
        zero: experts more that return what they read, and store nothing.
    """

    experts: int
    top_k: int
    width: int
    activation: str = "silu"
    shared_width: int = 0
    shared_gate: bool = False
    gated: bool = True
    fused: bool = True
    router_bias: bool = False
    expert_bias: bool = False
    shared_bias: bool = False
    shared_fused: bool = False
    correction: int = 0
    norm: bool = False
    out_bias: bool = False
    scales: bool = False
    latent: int = 0
    zero: int = 0

    @property
    def hit(self) -> Fraction:
        """Share of the tokens that need a given expert, all being as likely."""
        return Fraction(self.top_k, self.experts + self.zero)
