"""Ops with a state: its bytes once in and once out, work linear in tokens, blocks of q tokens."""

from __future__ import annotations

import pytest
import sympy as sp

from mansard.core.errors import VerifyError
from mansard.core.symbols import B, Expr, P, S, T
from mansard.ir.builder import Builder
from mansard.ir.cost import MATRIX, VECTOR, Cost
from mansard.ir.op import Op
from mansard.ir.ops.block_linear import BlockLinear
from mansard.ir.ops.index import KeepChosen, WeighHeads
from mansard.ir.ops.recurrent import (
    CausalConv,
    GatedDelta,
    GatedRecurrence,
    LinearAttention,
    SelectiveScan,
    StateSpaceDual,
    TokenShift,
    Wkv,
)
from mansard.ir.ops.streams import MixStreams, SpreadStream
from mansard.ir.value import Value


def made(op: Op) -> Op:
    """Return the op as a builder finishes it."""
    g = Builder()
    return next(iter(g.done(*g.multiple(op, "y")).ops))


def leaf(name: str, *shape: Expr | int, role: str = "weight") -> Value:
    return Builder().leaf(name, *shape, role=role)


def token(width: int) -> Value:
    return leaf("x", T, width, role="activation")


def state(*shape: Expr | int) -> Value:
    return leaf("s", *shape, role="state")


def at(cost: Cost, unit: str, new: int, batch: int = 1) -> Expr:
    flops = sum(f for (u, *_), f in cost.flops.items() if u == unit)
    return sp.S(flops).xreplace(
        {T: sp.Integer(batch * new), B: sp.Integer(batch), S: sp.Integer(new)}
    )


SCANS = [
    SelectiveScan(token(8), state(B, 8, 4), (token(8), token(8)), (leaf("a", 8, 4), leaf("d", 8))),
    StateSpaceDual(token(12), state(B, 3, 4, 5), (token(10), token(3)), (leaf("a", 3),)),
    GatedDelta(token(20), state(B, 2, 4, 6), (token(2), token(2)), (leaf("a", 2),)),
    LinearAttention(token(24), state(B, 2, 4, 4)),
    GatedRecurrence(token(8), state(B, 8), (token(8), token(8)), (leaf("a", 8),)),
    Wkv(token(8), state(B, 8, 3), (token(8),), (leaf("w", 8), leaf("u", 8))),
    CausalConv(token(8), state(B, 8, 4), (), (leaf("w", 8, 1, 4), leaf("b", 8))),
    TokenShift(token(8), state(B, 8), (), (leaf("m", 1, 1, 8),)),
]


@pytest.mark.parametrize("op", SCANS, ids=lambda op: str(op.kind))
def test_a_state_is_read_once_and_written_once_whatever_the_context(op: Op) -> None:
    op = made(op)
    cost = op.cost()
    (carried,) = (v for v in op.operands if v.role == "state")
    written = op.outs[1]
    assert cost.reads[carried] == carried.bytes == cost.writes[written]
    assert (written.role, written.storage) == ("state", "s")
    quantities = (*cost.flops.values(), *cost.reads.values(), *cost.writes.values())
    assert not any(q.has(P) for q in quantities)
    assert op.has_effect


@pytest.mark.parametrize("op", SCANS, ids=lambda op: str(op.kind))
def test_a_second_sequence_doubles_the_work(op: Op) -> None:
    cost = made(op).cost()
    for unit in (MATRIX, VECTOR):
        assert at(cost, unit, 7, batch=2) == 2 * at(cost, unit, 7)


def test_mamba_1_by_hand() -> None:
    """8 channels of 4 states: 7 for each state element and 6 for each channel, a token."""
    cost = made(SCANS[0]).cost()
    assert at(cost, VECTOR, 10) == 10 * (7 * 8 * 4 + 6 * 8)
    assert at(cost, MATRIX, 10) == 0


def test_mamba_2_is_the_plain_recurrence_for_one_token() -> None:
    """x ⊗ B and C·h are 2·d·N each, of 3 heads; C·B and its product with x 2·N + 2·3·d."""
    d, n, heads = 4, 5, 3
    op = made(SCANS[1])
    assert at(op.cost(), MATRIX, 1) == heads * 4 * d * n + 2 * (n + heads * d)


def test_a_gated_delta_net_is_the_plain_recurrence_for_one_token() -> None:
    """k·S, the outer product and S·q are 2·dk·dv each; the block of one token is all products."""
    dk, dv, heads = 4, 6, 2
    assert at(made(SCANS[2]).cost(), MATRIX, 1) == heads * (6 * dk * dv + 6 * dk + 4 * dv)


@pytest.mark.parametrize("op", SCANS[1:4], ids=lambda op: str(op.kind))
def test_blocks_make_long_scans_linear(op: Op) -> None:
    """Once a block is full, more tokens cost in proportion; before, more than that."""
    cost = made(op).cost()
    assert at(cost, MATRIX, 2048) == 4 * at(cost, MATRIX, 512)
    assert at(cost, MATRIX, 32) > 2 * at(cost, MATRIX, 16)


def test_a_gated_delta_net_makes_as_many_features_as_its_values() -> None:
    assert made(SCANS[2]).out.shape == (T, 12)
    assert made(SCANS[3]).out.shape == (T, 8)


def test_a_filter_of_other_channels_is_refused() -> None:
    with pytest.raises(VerifyError, match="channels of the filter"):
        made(CausalConv(token(8), state(B, 8, 4), (), (leaf("w", 9, 1, 4),)))


def test_block_linear_multiplies_each_head_alone() -> None:
    """3 heads of 4 → 5 channels: 2·4·5 a head and token, and an add for each bias."""
    op = made(BlockLinear(token(12), leaf("w", 3, 4, 5), leaf("b", 3, 5)))
    assert op.out.shape == (T, 15)
    assert at(op.cost(), MATRIX, 2) == 2 * 3 * 2 * 4 * 5
    assert at(op.cost(), VECTOR, 2) == 2 * 15


def test_streams_by_hand() -> None:
    """4 streams of 6: every stream is a sum over 4, 2 FLOP a term."""
    x = token(24)
    mixed = made(MixStreams(x, token(16), sp.Integer(4))).cost()
    assert at(mixed, MATRIX, 3) == 3 * 2 * 4 * 4 * 6
    spread = made(SpreadStream(x, token(6), token(4))).cost()
    assert at(spread, VECTOR, 3) == 3 * 2 * 24
    assert at(made(SpreadStream(x, token(6))).cost(), VECTOR, 3) == 3 * 24
    with pytest.raises(VerifyError, match="coefficients"):
        made(MixStreams(x, token(15), sp.Integer(4)))


def test_an_indexer_weighs_its_heads_into_one_score() -> None:
    scores = leaf("s", B, 4, S, P + S, role="activation")
    op = made(WeighHeads(scores, token(4)))
    assert op.out.shape == (B, 1, S, P + S)
    assert op.cost().total_flops == 2 * scores.numel
    chosen = leaf("c", B, 1, S, 16, role="index")
    kept = made(KeepChosen(scores, chosen))
    assert kept.out.shape == scores.shape
    assert chosen in kept.cost().reads
