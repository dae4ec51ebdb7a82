"""Tensor parallelism of generic tensor ops, as exported graphs have them."""

from __future__ import annotations

from pathlib import Path

import pytest
import sympy as sp
from tests.passes.models import plain

from mansard.core.symbols import Expr, T
from mansard.frontends.onnx.frontend import OnnxFrontend
from mansard.ir.builder import Builder
from mansard.ir.cost import MATRIX
from mansard.ir.graph import Graph
from mansard.ir.ops import Linear
from mansard.ir.ops.tensor import Elementwise, MatMul, Reduce
from mansard.ir.program import TARGET, Call, Program, binding
from mansard.passes.parallel import Parallel

EXPORTS = Path(__file__).parents[2].parent / "shared" / "data" / "onnx"
DIVIDED = [
    "mobius__mixtral_8x7b_4L__model", "dynamo__qwen3_moe-opdef", "optimum__bert-base__model",
    "quant__bert-qdq8", "optimum__t5-small__decoder_model",
]  # fmt: skip


def halves(graph: Graph) -> Graph:
    """One rank of two."""
    wants = tuple(v.name for v in graph.outputs)
    program = Program({TARGET: graph}, (Call(TARGET, binding(1, 1, 0), wants),))
    return Parallel(tp=2).run(program).program.graph()


def work(graph: Graph) -> Expr:
    """FLOP of the matrix unit."""
    return plain(sp.Add(*(n for (unit, _, _), n in graph.cost.flops.items() if unit == MATRIX)))


def between(make: str) -> Graph:
    """Two products with a generic op between them."""
    b = Builder()
    x = b.input("x", T, 64)
    up = b(Linear(x, b.leaf("up", 128, 64)), "up")
    scale = b.leaf("scale", 128)
    match make:
        case "elementwise":
            op = b(Elementwise((up, scale), (T, sp.Integer(128)), fn="mul"), "mid")
        case "softmax":
            op = b(Reduce((up,), (T, sp.Integer(128)), fn="softmax"), "mid")
        case _:
            total = b(Reduce((up,), (T, sp.S.One), fn=make), "total")
            op = b(Elementwise((up, total), (T, sp.Integer(128)), fn="div"), "mid")
    return b.done(b(Linear(op, b.leaf("down", 64, 128)), "down"))


def sent(graph: Graph) -> dict[str, Expr]:
    """Bytes handed to the link by kind of collective."""
    found: dict[str, Expr] = {}
    for (kind, _, _), size in graph.cost.payload.items():
        found[kind] = plain(found.get(kind, sp.S.Zero) + size)
    return found


def test_an_elementwise_op_follows_and_its_vector_is_divided_along() -> None:
    rank = halves(between("elementwise"))
    assert plain(2 * work(rank) - work(between("elementwise"))) == 0
    assert {v.name: v.shape for v in rank.leaves}["scale"] == (64,)
    assert sent(rank) == {"all_reduce": plain(T * 64 * 2)}


def test_a_sum_over_the_divided_axis_is_summed_up_over_ranks() -> None:
    rank = halves(between("reduce_sum"))
    assert plain(2 * work(rank) - work(between("reduce_sum"))) == 0
    assert sent(rank) == {"all_reduce": plain(T * 64 * 2 + T * 1 * 2)}


@pytest.mark.parametrize("kind", ["softmax", "reduce_mean", "reduce_max"])
def test_what_no_rank_can_do_alone_keeps_the_product_before_it_whole(kind: str) -> None:
    held = {v.name: v.shape for v in halves(between(kind)).leaves}
    assert (held["up"], held["down"]) == ((128, 64), (32, 128))


def test_products_of_two_activations_have_sides_that_can_be_followed() -> None:
    """Columns of the left meet a right that is whole: nothing to follow. Both alike: summands."""
    b = Builder()
    x = b.input("x", T, 64)
    left = b(Linear(x, b.leaf("a", 128, 64)), "left")
    right = b.input("right", 128, 32)
    rows = b(MatMul((left, right), (T, sp.Integer(32)), k=sp.Integer(128)), "rows")
    graph = b.done(rows)
    assert work(halves(graph)) == work(graph)
    b = Builder()
    x, y = b.input("x", T, 64), b.input("y", 128, 64)
    left = b(Linear(x, b.leaf("a", 128, 64)), "left")
    right = b(Linear(y, b.leaf("c", 32, 64)), "right")
    columns = b(MatMul((left, right), (T, sp.Integer(32)), k=sp.Integer(128)), "columns")
    graph = b.done(columns)
    rank = halves(graph)
    assert {v.name: v.shape for v in rank.leaves} == {"a": (128, 64), "c": (16, 64)}
    assert rank.output("columns").shape == (T, 32)


@pytest.mark.parametrize("name", DIVIDED)
def test_an_exported_graph_is_divided_or_left_whole_and_never_refused(name: str) -> None:
    path = EXPORTS / f"{name}.onnx"
    if not path.exists():
        pytest.skip(f"{path.name} is not beside the repository")
    program = OnnxFrontend().load(path)
    rank = Parallel(tp=2).run(program).program
    assert rank.graph() is not program.graph()
    assert sent(rank.graph())
    assert plain(work(rank.graph()) - work(program.graph())) != 0
