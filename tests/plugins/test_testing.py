"""What authors test with: it fails when it should, and says what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings

import mansard as ms
from mansard.ir.ops import Activation
from mansard.plugins import registry
from mansard.testing import (
    assert_rewrites,
    is_identity_when,
    read,
    reads_back,
    removes_flops,
    removes_no_flops,
    rewritten,
    small_configs,
    small_graphs,
)

Install = Callable[..., None]
BEFORE = """
    graph(%x: bf16[T, 64]) {
      %y: bf16[T, 64] = activation(%x, fn="silu")
      return %y
    }
"""


@dataclass(frozen=True)
class UseRelu(ms.Pass):
    """Put ReLU in the place of every activation function."""

    name = "use-relu"

    def rules(self) -> tuple[ms.Rule, ...]:
        """Replace the function."""
        other = ms.P(Activation, where=lambda op: getattr(op, "fn", "") != "relu")
        return (ms.Rule(other, self._relu, because="sparse"),)

    def _relu(self, match: Any) -> Any:
        return replace(match.root, fn="relu")


def test_a_golden_graph_is_compared_as_text_that_was_read() -> None:
    assert_rewrites(BEFORE, UseRelu(), BEFORE.replace("silu", "relu"))
    assert_rewrites(BEFORE, (UseRelu(),), BEFORE.replace("silu", "relu").replace(" =", "  ="))


def test_a_golden_graph_that_differs_shows_the_lines() -> None:
    with pytest.raises(AssertionError) as caught:
        assert_rewrites(BEFORE, UseRelu(), BEFORE)
    assert '-  %y: bf16[T, 64] = activation(%x, fn="silu")' in str(caught.value)
    assert '+  %y: bf16[T, 64] = activation(%x, fn="relu")' in str(caught.value)


def test_a_program_is_compared_with_its_schedule() -> None:
    after = str(rewritten("gpt2", "reuse-prefix{hit=64}"))
    assert_rewrites("gpt2", "reuse-prefix{hit=64}", after)
    with pytest.raises(AssertionError, match="prompt"):
        assert_rewrites("gpt2", "reuse-prefix{hit=65}", after)


def test_the_laws_fail_when_they_are_broken() -> None:
    is_identity_when("parallel{tp=1}", "gpt2")
    with pytest.raises(AssertionError, match="changes gpt2"):
        is_identity_when("parallel{tp=2}", "gpt2")
    removes_no_flops("parallel{tp=2}", "gpt2")
    removes_no_flops("quantize{weights=int4}", "gpt2")
    with pytest.raises(AssertionError, match="matrix"):
        removes_no_flops("prune{width=0.5}", "gpt2")
    assert set(removes_flops("prune{width=0.5}", "gpt2")) == {"matrix", "vector"}
    with pytest.raises(AssertionError, match="removes no FLOP"):
        removes_flops("quantize{weights=int4}", "gpt2")


def test_ops_of_installed_plugins_are_known_to_the_text(install: Install) -> None:
    class Twice(ms.Op):
        """``y = 2·x``."""

        x: ms.Value

        def infer(self) -> tuple[ms.TensorType, ...]:
            return (ms.TensorType(self.x.shape, self.x.encoding.plain),)

        def cost(self) -> ms.Cost:
            return self.streamed(self.x.numel)

    text = "graph(%x: bf16[T, 64]) {\n  %y: bf16[T, 64] = twice(%x)\n  return %y\n}"
    with pytest.raises(ms.MansardError, match="twice"):
        read(text)
    install("twice", {"mansard_ops": [Twice]})
    assert str(read(text).graph()) == text
    reads_back(text)
    assert registry.ops()["twice"].owner == "twice-dist"


@settings(max_examples=10)
@given(small_configs())
def test_small_models_load_and_lose_nothing_to_quantization(config: Mapping[str, Any]) -> None:
    program = ms.load(config)
    removes_no_flops("quantize{weights=int8}", program)
    is_identity_when("speculative-decode{gamma=0}", program)


@settings(max_examples=25)
@given(small_graphs())
def test_small_graphs_read_back_and_fuse_without_losing_work(graph: ms.Graph) -> None:
    reads_back(graph)
    removes_no_flops("fuse-elementwise", graph)


def test_a_name_that_is_not_there_is_said() -> None:
    import mansard.testing

    with pytest.raises(AttributeError, match="assert_rewrite"):
        mansard.testing.__getattr__("assert_rewrite")
    assert set(mansard.testing.__all__) >= {"assert_rewrites", "is_identity_when"}
