"""Bodies, sequences, optional values and local functions, executed and compared."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, parser
from tests.frontends.onnx.graphs import BINDINGS, Inputs, compare, executed, model, resolved

from mansard.core.errors import SpecError
from mansard.frontends.onnx.load import model_of
from mansard.frontends.onnx.resolve import resolve
from mansard.frontends.onnx.values import Optional, Sequence, Tensor

HEAD = '<ir_version: 9, opset_import: ["" : 20, "local" : 1, "com.microsoft" : 1]>'


def check(text: str, inputs: Inputs) -> None:
    """Compare what is inferred for a graph in ONNX's text form with what onnxruntime makes."""
    proto = parser.parse_model(HEAD + text)
    found = resolved(proto)
    for binding in BINDINGS:
        assert compare(found, executed(proto, inputs, binding), binding) == []


def test_a_condition_that_is_constant_folds() -> None:
    text = """ g (float[a,4] x) => (float[?,?] y) {
        s = Shape<start=1>(x)  four = Constant<value_ints=[4]>()  same = Equal(s, four)
        y = If(same) <then_branch = t () => (float[?,?] u) { u = Concat<axis=0>(x, x) },
                      else_branch = e () => (float[?,?] v) { v = Identity(x) }>
    }"""
    check(text, {"x": ("f", ["a", 4])})


def test_a_condition_that_data_decide_keeps_what_both_branches_share() -> None:
    text = """ g (bool c, float[a,4] x) => (float[?,4] y) {
        y = If(c) <then_branch = t () => (float[?,?] u) { u = Concat<axis=0>(x, x) },
                   else_branch = e () => (float[?,?] v) { v = Identity(x) }>
    }"""
    proto = parser.parse_model(HEAD + text)
    found = resolved(proto).values["y"]
    assert isinstance(found, Tensor)
    assert found.dims[1] == 4
    assert str(found.dims[0]) == "y_0_0"
    taken = resolved(proto, branches={"": "then"}).values["y"]
    assert isinstance(taken, Tensor)
    assert str(taken.dims[0]) == "2*a"


def test_a_loop_stacks_what_each_trip_yields() -> None:
    text = """ g (float[a,4] x) => (float[a,4] last, float[?,?,?] all) {
        n = Constant<value_int=3>()  go = Constant<value = bool {1}>()
        last, all = Loop(n, go, x) <body = b (int64 i, bool c, float[p,q] s)
            => (bool d, float[p,q] t, float[p,q] u) {
                d = Identity(c)  t = Add(s, x)  u = Neg(s) }>
    }"""
    check(text, {"x": ("f", ["a", 4])})


def test_a_size_that_each_trip_changes_gets_a_name() -> None:
    text = """ g (float[a,4] x) => (float[?,4] last) {
        n = Constant<value_int=3>()  go = Constant<value = bool {1}>()
        last = Loop(n, go, x) <body = b (int64 i, bool c, float[p,q] s)
            => (bool d, float[?,q] t) { d = Identity(c)  t = Concat<axis=0>(s, x) }>
    }"""
    check(text, {"x": ("f", ["a", 4])})


def test_a_scan_runs_along_its_inputs() -> None:
    text = """ g (float[4] h, float[a,d,4] x) => (float[4] last, float[?,?,?] all) {
        last, all = Scan<num_scan_inputs=1, body = b (float[4] s, float[d,4] e)
            => (float[4] t, float[d,4] u) {
                z = Constant<value_ints=[0]>()  r = ReduceSum<keepdims=0>(e, z)
                t = Add(s, r)  u = Neg(e) }
        >(h, x)
    }"""
    check(text, {"h": ("f", [4]), "x": ("f", ["a", "d", 4])})


def test_sequences_are_followed_element_by_element() -> None:
    text = """ g (float[a,2] x, float[d,2] y)
        => (float[?,2] joined, float[?,2] one, int64 n, float[?,2] rest) {
        s = SequenceConstruct(x, y)  p = SequenceInsert(s, x)
        joined = ConcatFromSequence<axis=0>(p)
        i = Constant<value_int=1>()  one = SequenceAt(s, i)  n = SequenceLength(p)
        q = SequenceErase(p, i)  rest = ConcatFromSequence<axis=0>(q)
    }"""
    check(text, {"x": ("f", ["a", 2]), "y": ("f", ["d", 2])})


def test_a_tensor_splits_into_a_sequence_and_joins_again() -> None:
    text = """ g (float[a,6] x) => (float[?,?] y, float[?,?,?] z, float[?,?] w) {
        l = Constant<value_ints=[2,4]>()  s = SplitToSequence<axis=1>(x, l)
        y = ConcatFromSequence<axis=1>(s)
        t = SplitToSequence<axis=1, keepdims=0>(x)  z = ConcatFromSequence<axis=0, new_axis=1>(t)
        k = Constant<value_int=3>()  u = SplitToSequence<axis=1>(x, k)  i = Constant<value_int=0>()
        w = SequenceAt(u, i)
    }"""
    check(text, {"x": ("f", ["a", 6])})


def test_a_body_maps_over_a_sequence() -> None:
    text = """ g (float[a,2] x) => (float[?,?,2] y) {
        s = SequenceConstruct(x, x)
        m = SequenceMap(s) <body = b (float[p,2] e) => (float[?,2] f) { f = Concat<axis=0>(e, e) }>
        y = ConcatFromSequence<axis=0, new_axis=1>(m)
    }"""
    check(text, {"x": ("f", ["a", 2])})


def test_an_empty_sequence_takes_the_type_of_what_is_inserted() -> None:
    text = """ g (float[a,2] x) => (float[?,2] y) {
        e = SequenceEmpty()  s = SequenceInsert(e, x)  y = ConcatFromSequence<axis=0>(s)
    }"""
    check(text, {"x": ("f", ["a", 2])})


def test_an_optional_value_unwraps() -> None:
    nodes = [
        helper.make_node("Optional", ["x0"], ["o"]),
        helper.make_node("OptionalHasElement", ["o"], ["y0"]),
        helper.make_node("OptionalGetElement", ["o"], ["y1"]),
    ]
    inputs: Inputs = {"x0": ("f", ["a", 3])}
    proto = model(nodes, inputs, ["y0", "y1"], opset=18)
    found = resolved(proto)
    for binding in BINDINGS:
        assert compare(found, executed(proto, inputs, binding), binding) == []
    wrapped = found.values["o"]
    assert isinstance(wrapped, Optional)
    assert wrapped.present


def test_a_local_function_is_expanded_with_the_attributes_of_its_call() -> None:
    text = """ g (float[a,4] x) => (float[?,?] y, float[?,?] z) {
        y = local.twice<way=1>(x)  z = local.twice<way=0>(x)
    }
    <opset_import: ["" : 20], domain: "local"> twice <way> (u) => (v) {
        v = Concat<axis: int = @way>(u, u) }
    """
    check(text, {"x": ("f", ["a", 4])})


def test_an_input_may_be_a_sequence() -> None:
    element = helper.make_tensor_type_proto(TensorProto.FLOAT, ["n", 4])
    kind = helper.make_sequence_type_proto(element)
    graph = helper.make_graph(
        [helper.make_node("ConcatFromSequence", ["s"], ["y"], axis=0)],
        "g",
        [helper.make_value_info("s", kind)],
        [onnx.ValueInfoProto(name="y")],
    )
    found = resolve(model_of(helper.make_model(graph)))
    assert isinstance(found.values["s"], Sequence)
    joined = found.values["y"]
    assert isinstance(joined, Tensor)
    assert joined.dims[1] == 4


def test_a_weight_stays_a_weight_through_what_only_arranges_it() -> None:
    w = numpy_helper.from_array(np.zeros((8, 4), np.int8), "w")
    s = numpy_helper.from_array(np.ones(1, np.float32).reshape(()), "s")
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s"], ["d"]),
        helper.make_node("Transpose", ["d"], ["t"]),
        helper.make_node("Cast", ["t"], ["c"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["c", "c"], ["q"], axis=1),
        helper.make_node("MatMul", ["x0", "q"], ["y0"]),
    ]
    found = resolved(model(nodes, {"x0": ("f", ["a", 4])}, ["y0"], [w, s]))
    assert [found.values[n].constant for n in "dtcq"] == [True] * 4
    assert not found.values["y0"].constant


INSIDE = """ g (bool c, float[a,4] x) => (float[?,?] y) {
    y = If(c) <then_branch = t () => (float[?,?] u) { u = Identity(x) },
               else_branch = e () => (float[?,?] v) {
                   w = If(c) <then_branch = p () => (float[?,?] k) { k = Identity(x) },
                              else_branch = q () => (float[?,?,?] l) {
                                  z = Constant<value_ints=[0]>()  l = Unsqueeze(x, z) }>
                   v = Gemm<transB=1>(w, x) }>
}"""


def test_a_hint_names_the_node_alone_where_else_of_every_node_does_not_fit() -> None:
    proto = parser.parse_model(HEAD + INSIDE)
    with pytest.raises(SpecError) as problem:
        resolved(proto, branches={"": "else"})
    assert problem.value.hint is not None
    label = problem.value.message.split("'")[1]
    assert problem.value.hint.startswith(f"--branch '{label}=else' by itself")
    found = resolved(proto, branches={"": "then", label: "else"}).values["y"]
    assert isinstance(found, Tensor)
    assert [str(dim) for dim in found.dims] == ["a", "a"]
