"""Experts over ranks: how many each reads, which rows travel, and what the busiest rank does."""

from __future__ import annotations

import pytest
import sympy as sp
from tests.passes.rewriting import model, numbers, ops, stored, through

from mansard.core.errors import SpecError
from mansard.core.symbols import T
from mansard.ir.cost import touched
from mansard.ir.footprint import storages
from mansard.ir.ops import Collective, Dispatch, GroupedLinear
from mansard.ir.program import Program
from mansard.passes.parallel.experts import Spread

MIXTRAL = "mixtral-8x7b-v0.1"


def experts_bytes(program: Program) -> sp.Expr:
    """Bytes of experts' weights that a call reads."""
    found = sp.S.Zero
    for op, trips in program.graph().walk():
        if isinstance(op, GroupedLinear):
            found += trips * op.cost().reads[op.w]
    return found


def test_256_experts_8_chosen_16_tokens_on_8_ranks_read_31_45_a_rank() -> None:
    program = through("deepseek-v3", "parallel{ep=8 dp=8}")
    gate = next(op for op in ops(program, GroupedLinear))
    assert gate.w.shape[0] == 32
    read = gate.w.shape[0] * gate.weights_read().xreplace({T: sp.Integer(16)})
    assert round(float(read), 2) == 31.45
    assert read == 32 * touched(sp.Rational(8, 256), 16 * 8)


def test_ranks_that_hold_all_experts_between_them_hold_mixtral_once() -> None:
    before, after = (
        storages(model(MIXTRAL).graph()),
        storages(through(MIXTRAL, "parallel{ep=8 dp=8}").graph()),
    )
    for key, whole in before.items():
        share = 8 if "experts" in key else 1
        assert share * after[key].value.numel == whole.value.numel, key
    experts = 32 * 8 * 3 * 4096 * 14336 * 2
    rest = stored(model(MIXTRAL), "weight") - experts
    assert stored(through(MIXTRAL, "parallel{ep=8 dp=8}"), "weight") == rest + experts // 8


def test_rows_travel_to_experts_and_back_with_the_imbalance_of_routing() -> None:
    program = through(MIXTRAL, "moe-routing:imbalance=1.3,parallel{ep=8 dp=8}")
    payload = program.graph().cost.payload["all_to_all", "ep", sp.Integer(8)]
    message = T * 2 * 4096 * 2 * sp.Rational(13, 10)
    assert sp.expand(payload - 32 * 2 * message) == 0
    (rank,) = {op.cost().total_flops for op in ops(program, GroupedLinear) if "gate_up" in op.name}
    assert sp.expand(rank - 2 * T * 2 * sp.Rational(13, 10) * 4096 * 2 * 14336) == 0


def test_tensor_ranks_hold_the_same_tokens_so_no_row_travels() -> None:
    program = through(MIXTRAL, "parallel{tp=8 ep=8}")
    kinds = {op.op for op in ops(program, Collective)}
    assert kinds == {"all_reduce", "all_gather"}
    (dispatch,) = ops(program, Dispatch)
    assert dispatch.factor == sp.Rational(1, 8)
    assert numbers(experts_bytes(program), B=4, S=1, P=0) * 8 == numbers(
        experts_bytes(model(MIXTRAL)), B=4, S=1, P=0
    )


LAYOUTS = [(8, 1, 2), (2, 4, 8), (2, 4, 4), (2, 4, 2), (1, 8, 4), (4, 2, 8), (4, 2, 1)]


@pytest.mark.parametrize(("tp", "dp", "ep"), LAYOUTS)
def test_work_and_weights_of_all_ranks_sum_to_the_whole(tp: int, dp: int, ep: int) -> None:
    rank = through(MIXTRAL, f"parallel{{tp={tp} dp={dp} ep={ep}}}")
    whole_gate, gate = (next(iter(ops(p, GroupedLinear))) for p in (model(MIXTRAL), rank))
    devices, replicas = tp * dp, tp * dp // (ep * Spread(ep, tp, dp).width)
    assert gate.w.numel * devices == whole_gate.w.numel * replicas
    flops = gate.cost().total_flops * devices
    assert sp.expand(flops - dp * whole_gate.cost().total_flops) == 0  # each of dp brings T tokens


def test_a_model_without_experts_and_a_number_that_does_not_divide_are_errors() -> None:
    with pytest.raises(SpecError, match="no experts to spread"):
        through("llama-3.1-8b", "parallel{tp=2 ep=2}")
    with pytest.raises(SpecError, match=r"ep=3 does not divide the 8 experts of layers\.experts"):
        through(MIXTRAL, "parallel{dp=3 ep=3}")
    with pytest.raises(SpecError, match=r"ep=3 does not divide tp·dp = 8"):
        through(MIXTRAL, "parallel{dp=8 ep=3}")


def test_dequantizing_experts_decodes_those_the_group_chose() -> None:
    first = through(MIXTRAL, "quantize{weights=int4 group=128},parallel{ep=8 dp=8}")
    last = through(MIXTRAL, "parallel{ep=8 dp=8},quantize{weights=int4 group=128}")
    assert first.graph().cost.flops.keys() == last.graph().cost.flops.keys()
    for work, n in first.graph().cost.flops.items():
        assert sp.expand(n - last.graph().cost.flops[work]) == 0
