"""``fuse-elementwise`` removes two moves of each value that no longer leaves the chip."""

from __future__ import annotations

import pytest
from tests.ir.examples import linear_chain
from tests.passes.models import FAMILIES, difference, model, ops, plain, through

from mansard.core.symbols import T
from mansard.frontends.hf.bundled import names
from mansard.ir import parse_graph
from mansard.ir.builder import Builder
from mansard.ir.ops import Activation, Add, Linear, RMSNorm

BEFORE = """
graph(%x: bf16[T, 64]) {
  weight %norm.weight: bf16[64]
  weight %up.weight: bf16[256, 64]
  weight %down.weight: bf16[64, 256]
  %norm: bf16[T, 64] = rms_norm(%x, %norm.weight)
  %up: bf16[T, 256] = linear(%norm, %up.weight)
  %act: bf16[T, 256] = activation(%up)
  %down: bf16[T, 64] = linear(%act, %down.weight)
  %add: bf16[T, 64] = add(%x, %down)
  return %add
}
"""
AFTER = """
graph(%x: bf16[T, 64]) {
  weight %norm.weight: bf16[64]
  weight %up.weight: bf16[256, 64]
  weight %down.weight: bf16[64, 256]
  %norm: bf16[T, 64] = rms_norm(%x, %norm.weight)
  %up: bf16[T, 256] = linear(%norm, %up.weight) #up
  %act: bf16[T, 256] = activation(%up) #up
  %down: bf16[T, 64] = linear(%act, %down.weight) #down
  %add: bf16[T, 64] = add(%x, %down) #down
  return %add
}
"""


def test_an_op_joins_the_product_before_it_and_a_norm_stays_apart() -> None:
    after = through(parse_graph(BEFORE), "fuse-elementwise").graph()
    assert str(after).strip() == AFTER.strip()


def test_two_moves_of_the_value_between_are_saved_and_nothing_else() -> None:
    graph = linear_chain()
    moves = 2 * 2 * 256 * T  # written and read, two bytes an element
    assert difference(graph, through(graph, "fuse-elementwise")) == {
        ("memory", "activation"): plain(-moves),
        ("onchip", "activation"): plain(moves),
        "launches": -1,
    }


def test_a_value_that_somebody_else_reads_still_leaves_the_chip() -> None:
    b = Builder()
    x = b.input("x", T, 64)
    y = b(Linear(x, b.leaf("w", 64, 64)), "y")
    act = b(Activation(y), "act")
    graph = b.done(b(Add((act, b(RMSNorm(y, b.leaf("n", 64)), "norm"))), "sum"))
    (found, _), *_ = ops(through(graph, "fuse-elementwise"), Linear)
    assert found.kernel == ""


def test_an_output_is_never_kept_on_chip() -> None:
    b = Builder()
    y = b(Linear(b.input("x", T, 64), b.leaf("w", 64, 64)), "y")
    act = b(Activation(y), "act")
    program = through(b.done(y, act), "fuse-elementwise")
    assert difference(b.done(y, act), program) == {}


def test_a_kernel_does_not_wait_for_what_waits_for_it() -> None:
    # add needs both y and f(y)'s chain: y's kernel cannot hold it, the chain's last op can.
    b = Builder()
    x = b.input("x", T, 64)
    y = b(Linear(x, b.leaf("a", 64, 64)), "y")
    z = b(Linear(b(RMSNorm(y, b.leaf("n", 64)), "norm"), b.leaf("c", 64, 64)), "z")
    after = through(b.done(b(Add((y, z)), "sum")), "fuse-elementwise").graph()
    assert {op.name: op.kernel for op in after} == {"y": "", "norm": "", "z": "z", "sum": "z"}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_keeps_its_flops_weights_and_cache(name: str) -> None:
    found = difference(model(name), through(model(name), "fuse-elementwise"))
    assert found.keys() == {("memory", "activation"), ("onchip", "activation"), "launches"}
    assert plain(found["memory", "activation"] + found["onchip", "activation"]) == 0
    assert found["launches"] < 0


@pytest.mark.parametrize("name", FAMILIES)
def test_a_second_time_changes_nothing(name: str) -> None:
    once = through(model(name), "fuse-elementwise")
    assert through(once, "fuse-elementwise") is once


@pytest.mark.parametrize("name", names())
def test_every_bundled_model_can_be_fused(name: str) -> None:
    """The verifier refuses kernels that are not convex or wait for each other."""
    after = through(model(name), "fuse-attention,fuse-elementwise,merge-qkv")
    assert after.graph().cost.launches < model(name).graph().cost.launches
