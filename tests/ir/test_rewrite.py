"""Rewriting and retyping reach every body, change only what they must, and keep the rest itself."""

from dataclasses import replace

import pytest
import sympy as sp
from tests.ir.examples import H, attention, linear_chain, repeated

from mansard.core.dtypes import Encoding, stored
from mansard.core.errors import VerifyError
from mansard.core.symbols import T
from mansard.ir import P, Rule, Siblings, fuse, retype, rewrite, root
from mansard.ir.builder import Builder
from mansard.ir.graph import Graph
from mansard.ir.ops import (
    Activation,
    Add,
    Collective,
    Dequantize,
    Join,
    Linear,
    Quantize,
    Scores,
    Slice,
    Softmax,
    Values,
)
from mansard.ir.pattern import Match
from mansard.ir.region import Repeat
from mansard.ir.value import TensorType, Value

INT4 = stored("int4", "bf16", group=16)


def to_int4(value: Value) -> TensorType:
    """Weights become int4."""
    if value.role != "weight" or len(value.shape) != 2:
        return value.type
    return replace(value.type, encoding=INT4)


def decoding(m: Match) -> None:
    """Decode the weight before the product."""
    y = m.add(Dequantize(m["w"]), "decoded")
    assert isinstance(m.root, Linear)
    m.swap(m.root, replace(m.root, w=y))


DECODE = Rule(P(Linear, "x", "w", where=lambda op: op.operands[1].encoding == INT4), decoding, "x")


def test_what_matches_nothing_returns_the_very_same_graph() -> None:
    for graph in (linear_chain(), repeated()):
        result = rewrite(graph, [Rule(P(Softmax), lambda m: None, "never")])
        assert (result.graph is graph, result.matches) == (True, 0)
        assert retype(graph, lambda v: v.type) is graph


def test_an_edit_keeps_results_and_so_every_reader() -> None:
    graph = linear_chain()

    def silu(m: Match) -> Activation:
        assert isinstance(m.root, Activation)
        return replace(m.root, fn="silu")

    rule = Rule(P(Activation), silu, "smoother")
    done = rewrite(graph, [rule], by="swish").graph
    assert done.ops[1].attributes() == {"fn": "silu"}
    assert done.ops[1].because == ("swish: smoother",)
    assert done.ops[0] is graph.ops[0]
    assert done.ops[2] is graph.ops[2]


def test_an_added_op_stands_before_the_one_that_reads_it() -> None:
    done = rewrite(retype(linear_chain(), to_int4), [DECODE])
    assert [op.kind for op in done.graph.ops] == [
        "dequantize", "linear", "activation", "dequantize", "linear",
    ]  # fmt: skip
    assert done.matches == 2
    assert [op.out.name for op in done.graph.ops][::3] == ["decoded", "decoded~1"]


def test_readers_of_a_swapped_op_read_the_new_one() -> None:
    def reduce(m: Match) -> None:
        y = m.add(Linear(m["x"], m["w"]), "partial")
        m.swap(m.root, Collective(y, "all_reduce", "tp", sp.Integer(8)))

    graph = linear_chain()
    done = rewrite(
        graph, [Rule(P(Linear, "x", "w", where=lambda op: op.name == "up"), reduce, "tp")]
    )
    kinds = [op.kind for op in done.graph.ops]
    assert kinds == ["linear", "collective", "activation", "linear"]
    assert done.graph.ops[2].operands == done.graph.ops[1].outs
    assert done.graph.outputs == (done.graph.ops[-1].out,)


def test_two_swaps_in_a_row_chain() -> None:
    graph = linear_chain()

    def narrow(m: Match) -> Quantize:
        return Quantize(m.root.operands[0], Encoding("int8", of="bf16"))

    done = rewrite(graph, [Rule(P(Activation), narrow, "a"), Rule(P(Linear), decoding_free, "b")])
    assert done.matches == 3
    assert [op.kind for op in done.graph.ops] == ["linear", "quantize", "linear"]
    assert done.graph.ops[2].operands[0] is done.graph.ops[1].out
    assert done.graph.ops[1].operands[0] is done.graph.ops[0].out


def decoding_free(m: Match) -> Linear:
    """A new linear in the place of the old one."""
    return Linear(*m.root.operands)


def test_adding_without_swapping_is_an_error_of_the_rule() -> None:
    def forget(m: Match) -> None:
        m.add(Activation(m["x"]), "lost")

    rule = Rule(P(Linear, "x"), forget, "wrong")
    with pytest.raises(VerifyError, match="added activation and swapped nothing"):
        rewrite(linear_chain(), [rule])


def test_dead_ops_are_dropped_after_a_rewrite() -> None:
    def skip(m: Match) -> Linear:
        up = m.graph.producers[m.ops[0].operands[0]]
        return Linear(
            up.operands[0], Value("w", TensorType((sp.Integer(H),) * 2, storage="w", role="weight"))
        )

    rule = Rule(P(Linear, P(Activation, "a")), skip, "shortcut")
    assert [op.kind for op in rewrite(linear_chain(), [rule]).graph.ops] == ["linear"]


def test_rules_reach_bodies_and_equal_bodies_stay_one_object() -> None:
    body = repeated().ops[0].bodies[0]
    b = Builder()
    y = b(Repeat(body, (b.input("x", T, H),), 2), "first")
    graph = b.done(b(Repeat(body, (y,), 3), "second"))
    done = rewrite(retype(graph, to_int4), [DECODE])
    first, second = done.graph.ops
    assert done.matches == 1
    assert first.bodies[0] is second.bodies[0]
    assert [op.kind for op in first.bodies[0].ops] == ["dequantize", "linear", "add"]


def test_retyping_stops_where_types_are_equal_again() -> None:
    graph = linear_chain()
    done = retype(graph, to_int4)
    assert [v.encoding for v in done.leaves] == [INT4, INT4]
    assert done.ops[0].out is graph.ops[0].out
    assert done.ops[1] is graph.ops[1]
    inner = repeated()
    changed = retype(inner, to_int4)
    assert changed.ops[0].out is inner.ops[0].out
    assert changed.ops[1] is inner.ops[1]


def test_a_retyped_input_of_a_region_reaches_its_body() -> None:
    b = Builder()
    x = b.input("x", T, H)
    y = b(Linear(x, b.leaf("in.weight", H, H)), "y")

    def fill(inner: Builder, given: tuple[Value, ...]) -> tuple[Value, ...]:
        return (inner(Add((given[0], given[0])), "add"),)

    graph = b.done(*b.region(lambda body, ins: Repeat(body, ins, 2), "r", (y,), fill))
    wider = retype(graph, lambda v: replace(v.type, shape=(sp.Integer(2 * H), v.shape[1])))
    region = wider.ops[1]
    assert region.bodies[0].inputs[0].shape == (T, 2 * H)
    assert region.out.shape == (T, 2 * H)


def test_parts_of_a_joined_value_are_retyped_with_their_leaves() -> None:
    b = Builder()
    both = b(Join((b.leaf("a", 8, H), b.leaf("b", 8, H)), 0), "both")
    graph = b.done(b(Linear(b.input("x", T, H), both), "y"))
    done = retype(graph, to_int4)
    assert [p.encoding for p in done.ops[0].out.parts] == [INT4, INT4]
    assert done.ops[1].operands[1] is done.ops[0].out
    assert done.cost.by(lambda v: v.role)["weight"] == 16 * H * INT4.bits / 8


def test_a_pattern_looks_through_views_but_not_past_other_readers() -> None:
    attention_rule = P(Values, P(Softmax, P(Scores, "q", "k")), "v")
    graph = attention()
    found = attention_rule.find(graph.ops[-1], graph)
    assert found is not None
    assert [op.kind for op in found.ops] == ["scores", "softmax", "values"]
    shared = Graph(graph.inputs, graph.ops, (*graph.outputs, graph.ops[2].out))
    assert attention_rule.find(shared.ops[-1], shared) is None
    fused = rewrite(graph, [Rule(attention_rule, lambda m: fuse(m.ops, "flash"), "on chip")]).graph
    assert [op.kernel for op in fused.ops] == ["", "", "flash", "flash", "flash"]


def test_siblings_are_found_at_the_last_of_them() -> None:
    b = Builder()
    x = b.input("x", T, H)
    ys = [b(Linear(x, b.leaf(n, H, H)), n + "_proj") for n in "qkv"]
    graph = b.done(*ys)
    found = [Siblings(Linear).find(op, graph) for op in graph.ops]
    assert found[:2] == [None, None]
    assert found[2] is not None
    assert found[2].ops == graph.ops


def test_the_root_of_a_value_is_the_leaf_behind_views_and_decoding() -> None:
    b = Builder()
    leaf = b.leaf("w", 2 * H, H, encoding=INT4)
    part = b(Dequantize(b(Slice(leaf, 0, 0, H), "part")), "decoded")
    graph = b.done(b(Linear(b.input("x", T, H), part), "y"))
    assert root(graph, part) is leaf
    assert root(graph, graph.outputs[0]) is graph.outputs[0]
