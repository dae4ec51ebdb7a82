"""What stands before and after the layers: positions, inputs a layer, streams, a transform."""

from __future__ import annotations

from typing import Literal

from mansard.core.records import dataclass

PositionKind = Literal["rope", "learned", "alibi", "none"]


@dataclass(frozen=True)
class PerLayer:
    """A second embedding table of ``vocab`` rows that gives each layer ``width`` inputs a token."""

    width: int
    vocab: int


@dataclass(frozen=True)
class AltUp:
    """``streams`` copies of the hidden state, one of which a layer computes with.

    Args:
        rank: of the learned residual beside attention (LAuReL).
    """

    streams: int
    rank: int


@dataclass(frozen=True)
class Hyper:
    """``streams`` copies of the hidden state, of which each block reads one weighed sum.

    Args:
        iterations: that make the mixing of streams doubly stochastic; 0 does not mix them.
    """

    streams: int
    iterations: int


@dataclass(frozen=True)
class Positions:
    """How positions enter; ``rows`` is the length of a learned table, else 0."""

    kind: PositionKind
    rows: int = 0


@dataclass(frozen=True)
class Transform:
    """What a head does before its matrix: a linear to ``width``, an activation and a norm."""

    width: int
    activation: str
    bias: bool = True
