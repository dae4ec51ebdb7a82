"""Early exit, skipped and routed layers, dropped tokens, contextual sparsity: one lemma."""

from __future__ import annotations

import itertools

import pytest
import sympy as sp
from tests.passes.rewriting import flops, model, moved, numbers, ops, stored, through

from mansard.backends.chips import load as chip
from mansard.backends.roofline import estimate
from mansard.core.errors import MansardError
from mansard.core.symbols import P, S
from mansard.ir.cost import touched
from mansard.ir.footprint import storages
from mansard.ir.ops.partial_linear import PartialLinear
from mansard.ir.trim import Trim
from mansard.passes.prune_tokens import PruneTokens

LLAMA = "llama-3.1-8b"  # 32 layers
STEP = {"B": 1, "S": 1, "P": 100}


def layer(role: str) -> sp.Expr:
    """FLOP, or bytes moved, of one layer of a step."""
    two = [through(LLAMA, f"skip-layers:layers={n}") for n in (8, 9)]
    counts = [flops(p) if role == "flops" else moved(p, role) for p in two]
    return numbers(counts[0] - counts[1], **STEP)


def test_the_lemma_is_the_mean_over_every_outcome() -> None:
    q = sp.Rational(1, 3)
    mean = sum(
        int(any(way)) * q ** sum(way) * (1 - q) ** (4 - sum(way))
        for way in itertools.product((0, 1), repeat=4)
    )
    assert touched(q, 4) == mean


def test_skipped_layers_vanish_to_the_byte() -> None:
    before, after = model(LLAMA), through(LLAMA, "skip-layers:layers=8")
    for role in ("flops", "weight", "cache"):
        pair = [flops(p) if role == "flops" else moved(p, role) for p in (before, after)]
        assert numbers(pair[0] - pair[1], **STEP) == 8 * layer(role)
    assert storages(after.graph())["layers.{i}.k_cache"].copies == 24


def test_layers_some_tokens_run_cost_their_share_and_stay_stored() -> None:
    after = through(LLAMA, "skip-layers{layers=8 run-share=0.25}")
    assert numbers(flops(model(LLAMA)) - flops(after), **STEP) == 6 * layer("flops")
    assert stored(after, "weight") == stored(model(LLAMA), "weight")


def test_tokens_that_left_pay_for_the_layers_they_reached() -> None:
    text = "exit-early{after=[8 24] rates=[0.5 0.5] head=none kv=skip}"
    after = through(LLAMA, text)
    reached = 8 + 16 * sp.Rational(1, 2) + 8 * sp.Rational(1, 4)
    assert numbers(flops(model(LLAMA)) - flops(after), **STEP) == (32 - reached) * layer("flops")
    many = numbers(moved(model(LLAMA), "weight") - moved(after, "weight"), B=64, S=1, P=1)
    assert many < 10**-2 * layer("weight")  # a batch reads what a token saves


def test_heads_and_copied_states_are_paid_for() -> None:
    bare = through(LLAMA, "exit-early{after=16 rates=0.5 head=none kv=skip}")
    copied = through(LLAMA, "exit-early{after=16 rates=0.5 head=none}")
    asked = through(LLAMA, "exit-early{after=16 rates=0.5 kv=skip}")
    keys = 2 * 2 * 4096 * 1024 * 16 * sp.Rational(1, 2)
    assert numbers(flops(copied) - flops(bare), **STEP) == keys
    assert numbers(flops(asked) - flops(bare), **STEP) == 2 * 4096 * 128256


@pytest.mark.parametrize(
    "text", ["exit-early{after=8 rates=0.5 head=none phase=decode}",
             "skip-layers{layers=8 phase=decode}", "mixture-of-depths{phase=decode}"],
)  # fmt: skip
def test_a_variant_of_one_phase_stores_no_layer_twice(text: str) -> None:
    scenario = {"batch": 1, "prompt": 50, "output": 4}
    held = [
        estimate(p, chip("h100-sxm"), scenario).memory for p in (model(LLAMA), through(LLAMA, text))
    ]
    routers = 16 * 4096 * 2 if "depths" in text else 0
    assert held[1].weights == held[0].weights + routers


def test_every_second_layer_takes_a_share_of_the_tokens() -> None:
    after = through(LLAMA, "mixture-of-depths{every=2 capacity=0.25}")
    router = 16 * 2 * 4096
    saved = numbers(flops(model(LLAMA)) - flops(after), **STEP)
    assert saved == 16 * sp.Rational(3, 4) * layer("flops") - router
    one = storages(after.graph())
    assert numbers(one["layers.{2i+1}.k_cache"].bytes * 4, **STEP) == numbers(
        one["layers.{2i}.k_cache"].bytes, **STEP
    )


@pytest.mark.parametrize("past", [0, 10, 287, 288, 5000])
@pytest.mark.parametrize("new", [1, 288, 700])
def test_dropped_tokens_are_gone_for_later_layers(past: int, new: int) -> None:
    (region,) = ops(through(LLAMA, "prune-tokens{tokens=576 keep=0.5 layer=2}"), Trim)
    seen = [n for n in range(past + new) if n >= 288]
    left = {k: numbers(v, B=1, S=new, P=past) for k, v in region.left.items()}
    assert left[S] == sum(n >= past for n in seen)
    assert left[P] == sum(n < past for n in seen)


def test_a_decode_step_reads_a_shorter_cache_in_later_layers_and_holds_it() -> None:
    before, after = model(LLAMA), through(LLAMA, "prune-tokens{tokens=576 keep=0.5 layer=2}")
    step = {"B": 1, "S": 1, "P": 1000}
    assert numbers(moved(before, "cache") - moved(after, "cache"), **step) == 288 * 4096 * 30
    assert numbers(stored(before, "cache") - stored(after, "cache"), **step) == 288 * 4096 * 30


def test_neurons_that_tokens_need_are_read_and_the_gain_vanishes_with_the_batch() -> None:
    after = through(LLAMA, "contextual-sparsity{density=0.2 predictor=0}")
    ffn = 3 * 4096 * 14336 * 32
    assert numbers(flops(model(LLAMA)) - flops(after), **STEP) == sp.Rational(4, 5) * 2 * ffn
    read = moved(model(LLAMA), "weight") - moved(after, "weight")
    for batch in (1, 2, 16):
        share = (1 - sp.Rational(1, 5)) ** batch
        assert numbers(read, B=batch, S=1, P=0) == share * 2 * ffn
    assert {op.axis for op in ops(after, PartialLinear)} == {"out", "in"}


def test_a_predictor_is_two_thin_products() -> None:
    oracle, real = (through(LLAMA, f"contextual-sparsity:predictor={r}") for r in (0, 256))
    thin = 256 * (4096 + 14336) * 32
    assert numbers(flops(real) - flops(oracle), **STEP) == 2 * thin
    assert stored(real, "weight") - stored(oracle, "weight") == 2 * thin


@pytest.mark.parametrize(
    "text", ["exit-early", "exit-early{after=[8] rates=[2]}", "exit-early{after=[9 8] rates=[0 1]}",
             "exit-early{after=32 rates=0.5}", "skip-layers:layers=33", "skip-layers:layers=32",
             "mixture-of-depths:every=40", "mixture-of-depths:capacity=0",
             "prune-tokens{tokens=10 layer=32}", "prune-tokens{tokens=10 phase=decode}",
             "contextual-sparsity:density=0", "exit-early{after=8 rates=0.5},skip-layers:layers=2"],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(MansardError) as error:
        through(LLAMA, text)
    assert error.value.hint


@pytest.mark.parametrize(
    "text", ["skip-layers", "exit-early{after=8 rates=0}", "mixture-of-depths:capacity=1",
             "prune-tokens", "contextual-sparsity:density=1"],
)  # fmt: skip
def test_a_technique_of_degree_one_is_the_input(text: str) -> None:
    assert through(LLAMA, text) is model(LLAMA)


def test_dropping_tokens_without_saying_how_many_may_go_is_said() -> None:
    outcome = PruneTokens(keep=0.5).run(model(LLAMA))
    assert outcome.matches == 0
    (note,) = outcome.notes
    assert note.code == "M022"
    assert "tokens is 0" in note.message
