"""One label, one launch: what stays inside never reaches memory, what crosses moves once."""

from dataclasses import replace

import pytest
import sympy as sp
from tests.ir.examples import HEADS, KV, D, H, attention, linear_chain

from mansard.core.errors import VerifyError
from mansard.core.symbols import B, P, S, T
from mansard.ir.builder import Builder
from mansard.ir.graph import Graph
from mansard.ir.mask import Mask
from mansard.ir.op import Op
from mansard.ir.ops import Add, GatedActivation, Join, Linear, Scale, Scores, Slice, Softmax
from mansard.ir.ops.partial_values import PartialValues
from mansard.ir.value import Value
from mansard.ir.verify import verify


def test_fused_attention_moves_queries_cache_and_output_only() -> None:
    cost = attention(Mask("causal", skip=True), kernel="flash").kernels[-1].cost
    moved = 2 * 2 * T * HEADS * D + 2 * 2 * B * KV * (P + S) * D
    assert sp.expand(cost.bytes - moved) == 0
    assert cost.launches == 1


def test_fusing_changes_no_flops() -> None:
    for mask in (Mask(), Mask("window", sp.Integer(7), True)):
        plain, fused = attention(mask), attention(mask, kernel="k")
        assert plain.cost.flops == fused.cost.flops


def test_what_stays_inside_is_counted_on_chip() -> None:
    cost = attention(kernel="flash").kernels[-1].cost
    onchip = cost.by(lambda v: v.place)["onchip"]
    scores = 2 * B * HEADS * S * (P + S)
    assert sp.expand(onchip - 4 * scores) == 0  # scores and weights, each written and read


def test_a_value_that_two_inner_ops_read_crosses_once() -> None:
    b = Builder()
    x = b.input("x", T, H)
    y = b(Scale(x, kernel="k"), "y")
    z = b(Add((x, y), kernel="k"), "z")
    assert b.done(z).cost.reads[x] == 2 * T * H


def gated(*, outside: bool) -> tuple[Graph, Value]:
    """gate and up are views of one value, made in the kernel or before it."""
    b = Builder()
    both = b(
        Linear(b.input("x", T, H), b.leaf("w", 2 * H, H), kernel="" if outside else "k"), "both"
    )
    gate, up = (b(Slice(both, 1, at, H, kernel="k"), n) for n, at in (("gate", 0), ("up", H)))
    return b.done(b(GatedActivation(gate, up, kernel="k"), "act")), both


def test_views_inside_a_kernel_of_a_value_made_outside_are_read_from_memory() -> None:
    graph, both = gated(outside=True)
    cost = graph.kernels[-1].cost
    assert sp.expand(cost.bytes - (both.bytes + T * H * 2)) == 0


def test_views_inside_a_kernel_of_a_value_made_inside_move_nothing() -> None:
    graph, both = gated(outside=False)
    (kernel,) = graph.kernels
    assert both not in kernel.cost.writes
    assert sp.expand(kernel.cost.bytes - 2 * (T * H + 2 * H * H + T * H)) == 0


def test_of_a_value_whose_views_part_only_the_part_outside_crosses() -> None:
    b = Builder()
    both = b(Linear(b.input("x", T, H), b.leaf("w", 4 * H, H), kernel="k"), "both")
    inner = b(Slice(both, 1, 0, H, kernel="k"), "inner")
    outer = b(Slice(both, 1, H, 3 * H, kernel="k"), "outer")
    graph = b.done(b(Scale(inner, kernel="k"), "y"), b(Scale(outer), "z"))
    cost = graph.kernels[0].cost
    assert sp.expand(cost.writes[both] - 2 * T * 3 * H) == 0
    onchip = next(e for v, e in cost.writes.items() if v.name == "both" and v.place == "onchip")
    assert sp.expand(onchip - 2 * T * H) == 0


def test_a_part_of_a_joined_value_crosses_with_its_own_size() -> None:
    b = Builder()
    x = b.input("x", T, H)
    parts = [b(Linear(x, b.leaf(n, H, H), kernel="k"), n + "_proj") for n in "qkv"]
    joined = b(Join(tuple(parts), 1, kernel="k"), "qkv")
    graph = b.done(b(Scale(joined), "y"))
    writes = graph.kernels[0].cost.writes
    assert [writes[p] for p in parts] == [2 * T * H] * 3


def test_two_views_of_the_whole_do_not_move_it_twice() -> None:
    b = Builder()
    y = b(Scale(b.input("x", T, H), kernel="k"), "y")
    views = [b(Slice(y, 1, 0, H, kernel="k"), n) for n in ("a", "b")]
    graph = b.done(*(b(Scale(v), v.name + "_out") for v in views))
    assert graph.kernels[0].cost.writes[y] == 2 * T * H


def relabelled(graph: Graph, labels: dict[str, str]) -> Graph:
    ops: tuple[Op, ...] = tuple(replace(o, kernel=labels.get(o.name, "")) for o in graph.ops)
    return verify(replace(graph, ops=ops))


def test_a_kernel_may_not_wait_for_what_waits_for_it() -> None:
    with pytest.raises(
        VerifyError, match="'k' is not convex: linear %down waits for activation %act"
    ):
        relabelled(linear_chain(), {"up": "k", "down": "k"})


def test_kernels_may_not_wait_for_each_other() -> None:
    b = Builder()
    x = b.input("x", T, H)
    a1, b1 = b(Scale(x, kernel="a"), "a1"), b(Scale(x, kernel="b"), "b1")
    a2, b2 = b(Scale(b1, kernel="a"), "a2"), b(Scale(a1, kernel="b"), "b2")
    with pytest.raises(VerifyError, match="they wait for each other"):
        b.done(a2, b2)


def test_a_kernel_is_launched_after_everything_it_reads() -> None:
    b = Builder()
    x = b.input("x", T, H)
    first = b(Scale(x, kernel="k"), "first")
    between = b(Scale(x), "between")
    graph = b.done(b(Add((first, between), kernel="k"), "last"))
    assert [k.label for k in graph.kernels] == ["between", "k"]


def test_scores_with_what_weighs_values_are_an_attention_that_says_how_wide_both_are() -> None:
    b = Builder()
    latent = b.input("latent", B, 1, P + S, 5 * D)
    scores = b(Scores(b.input("q", T, HEADS * 5 * D), latent, HEADS, kernel="k"), "scores")
    p = b(Softmax(scores, kernel="k"), "p")
    o = b(PartialValues(p, latent, (T,), width=sp.Integer(4 * D), kernel="k"), "o")
    (kernel,) = b.done(o).kernels
    assert kernel.kind == "attention"
    assert (kernel.dims()["head_dim"], kernel.dims()["value_dim"]) == (5 * D, 4 * D)
    assert "value_dim" not in attention(kernel="flash").kernels[-1].dims()
