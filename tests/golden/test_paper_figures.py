"""Figures 8 and 9 of the seed paper, and every choice in which mansard differs from it.

Yuan et al., arXiv:2402.16363: Llama-2-13B on an A6000, weights and lm_head at plain 16 … 1 bits,
no scales, dequantization free. mansard's graph as written is never below and within 5 % of every
point; with the paper's choices put in the place of ours the times are the same.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sympy as sp

from mansard.backends.estimate import Phase
from mansard.core.dtypes import Encoding
from mansard.core.symbols import Expr, R
from mansard.frontends.hf.load import load
from mansard.ir.cost import FREE, VECTOR, Cost
from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.ops import Add, Append, Embedding, GatedActivation, Linear, RMSNorm, Rope
from mansard.ir.pattern import P
from mansard.ir.program import binding
from mansard.ir.rewrite import Rule, retype, rewrite
from mansard.ir.value import TensorType, Value

FIGURES: dict[str, Any] = tomllib.loads(
    (Path(__file__).parent / "paper_figures.toml").read_text(encoding="utf-8")
)
KEYS = 1024


def points() -> Iterator[tuple[str, int, int, float]]:
    """Yield (phase, weight bits, batch or tokens, seconds): 5 · (8 + 7) points."""
    for phase, figure in FIGURES.items():
        for bits in (16, 8, 4, 2, 1):
            for at, seconds in zip(figure["at"], figure[f"w{bits}"], strict=True):
                yield phase, bits, at, seconds


each_point = pytest.mark.parametrize(("phase", "bits", "at", "paper_s"), list(points()))


class PaperHead(Linear):
    """The paper's lm_head: a multiply-add is one FLOP, and one row moves whatever the batch."""

    def cost(self) -> Cost:
        cost = super().cost()
        return replace(
            cost,
            flops={work: n / 2 for work, n in cost.flops.items()},
            reads={v: n if v is self.w else n / R for v, n in cost.reads.items()},
            writes={v: n / R for v, n in cost.writes.items()},
        )


class PaperAdd(Add):
    """The paper's residual: it reads one operand."""

    def cost(self) -> Cost:
        return replace(super().cost(), reads={self.xs[0]: self.xs[0].bytes})


class PaperNorm(RMSNorm):
    """The paper's norm: 7 FLOP an element and no weights."""

    def cost(self) -> Cost:
        return self.streamed(7 * self.x.numel, unit=VECTOR)


class PaperActivation(GatedActivation):
    """The paper's activation: 2 FLOP an element, and sized by the hidden width, not by f."""

    hidden: Expr = sp.Integer(5120)

    def cost(self) -> Cost:
        share = self.hidden / self.gate.shape[-1]
        return self.streamed(2 * self.gate.numel, unit=VECTOR).map(lambda size: size * share)


class FreeNorm(RMSNorm):
    """The norm before the head is not in the paper's count."""

    def cost(self) -> Cost:
        return FREE


class FreeRope(Rope):
    """Nor are rotary positions,"""

    def cost(self) -> Cost:
        return FREE


class FreeAppend(Append):
    """nor moving keys and values to the cache after a projection wrote them,"""

    def cost(self) -> Cost:
        return FREE


class FreeEmbedding(Embedding):
    """nor looking tokens up."""

    def cost(self) -> Cost:
        return FREE


def as_the_paper(graph: Graph) -> Graph:
    """Return the graph with every choice of the paper in the place of ours, and nothing else."""

    def swap(op: type[Op], build: Callable[[Any], Op], name: str = "") -> Rule:
        match = P(op, where=lambda found: name in ("", found.name))
        return Rule(match, lambda m: build(m.root), "the paper's choice")

    rules = (
        swap(Linear, lambda o: PaperHead(o.x, o.w), "lm_head"),
        swap(RMSNorm, lambda o: FreeNorm(o.x, o.w), "final_norm"),
        swap(RMSNorm, lambda o: PaperNorm(o.x)),
        swap(Add, lambda o: PaperAdd(o.xs)),
        swap(GatedActivation, lambda o: PaperActivation(o.gate, o.up, o.fn)),
        swap(Rope, lambda o: FreeRope(o.x, o.heads, o.width)),
        swap(Append, lambda o: FreeAppend(o.cache, o.x)),
        swap(Embedding, lambda o: FreeEmbedding(o.ids, o.w)),
    )
    done = rewrite(graph, rules)
    assert done.matches == 12  # head, final norm, 2 norms, 2 adds, act, 2 ropes, 2 appends, ids
    return done.graph


def at_bits(graph: Graph, bits: int) -> Graph:
    """Return the graph with the matrices of all linears, lm_head too, at plain ``bits``."""
    if bits == 16:
        return graph
    matrices = {op.w for op, _ in graph.walk() if isinstance(op, Linear)}
    narrow = Encoding(f"int{bits}", of="fp16")

    def change(leaf: Value) -> TensorType:
        return replace(leaf.type, encoding=narrow) if leaf in matrices else leaf.type

    return retype(graph, change)


@cache
def ours(bits: int) -> Graph:
    return at_bits(load("llama-2-13b").graph(), bits)


@cache
def theirs(bits: int) -> Graph:
    return at_bits(as_the_paper(load("llama-2-13b").graph()), bits)


def step(run: Callable[..., Phase], graph: Graph, phase: str, at: int) -> float:
    """Return the time of a decode step at batch ``at``, or of a prefill of ``at`` tokens [s].

    1024 keys are 1023 cached tokens and the new one.
    """
    bind = binding(at, 1, KEYS - 1) if phase == "decode" else binding(1, at, 0)
    return float(run(graph, bind).time_s)


def test_there_are_75_points() -> None:
    assert len(list(points())) == 75


@each_point
def test_a_correct_count_is_never_below_and_within_5_percent(
    phase: str, bits: int, at: int, paper_s: float, run: Callable[..., Phase]
) -> None:
    assert paper_s <= step(run, ours(bits), phase, at) <= 1.05 * paper_s


@each_point
def test_the_listed_choices_are_all_the_differences(
    phase: str, bits: int, at: int, paper_s: float, run: Callable[..., Phase]
) -> None:
    """The issue asks for 0.1 %; the times are equal to rounding."""
    assert step(run, theirs(bits), phase, at) == pytest.approx(paper_s, rel=1e-12)
