"""Each rule of the IR, broken once."""

from dataclasses import replace

import pytest
import sympy as sp
from tests.ir.examples import H, attention, linear_chain, repeated

from mansard.core.errors import UnknownNameError, VerifyError
from mansard.core.symbols import P, T
from mansard.ir.builder import Builder
from mansard.ir.graph import Graph
from mansard.ir.mask import Mask
from mansard.ir.ops import Scale, Slice, Transpose
from mansard.ir.program import Call, Program, binding, generation
from mansard.ir.region import Repeat
from mansard.ir.value import TensorType, Value
from mansard.ir.verify import verify


def broken(match: str, graph: Graph) -> None:
    with pytest.raises(VerifyError, match=match):
        verify(graph)


def test_ops_stand_in_topological_order() -> None:
    g = linear_chain()
    broken("linear %down uses %act before it is made", replace(g, ops=g.ops[::-1]))


def test_a_result_with_a_storage_is_made_before_it_is_used_as_well() -> None:
    g = attention()
    broken("uses %keys before it is made", replace(g, ops=(*g.ops[1:], g.ops[0])))


def test_names_of_inputs_and_results_are_unique() -> None:
    g = linear_chain()
    again = replace(g.ops[2], outs=(Value("up", g.ops[2].out.type),))
    broken("two values are called %up", replace(g, ops=(*g.ops[:2], again), outputs=()))
    broken("two values are called %x", replace(g, inputs=(*g.inputs, Value("x", g.inputs[0].type))))


def test_a_result_has_the_type_its_op_infers() -> None:
    g = linear_chain()
    wrong = g.ops[0].out.with_type(shape=(T, sp.Integer(255)))
    changed = replace(g.ops[0], outs=(wrong,))
    broken("should be %up: bf16", Graph(g.inputs, (changed,), (wrong,)))


def test_tokens_equal_sequences_times_length() -> None:
    g = linear_chain()
    from mansard.core.symbols import B, S

    same = g.ops[0].out.with_type(shape=(B * S, sp.Integer(256)))
    assert verify(Graph(g.inputs, (replace(g.ops[0], outs=(same,)),), (same,)))


def test_an_op_has_as_many_results_as_it_infers() -> None:
    g = linear_chain()
    two = replace(g.ops[0], outs=(g.ops[0].out, Value("more", g.ops[0].out.type)))
    broken("has 2 results, not 1", Graph(g.inputs, (two,), ()))
    broken("has no result", Graph(g.inputs, (replace(g.ops[0], outs=()),), ()))


def test_outputs_are_made() -> None:
    g = linear_chain()
    broken("output %gone is made by no op", replace(g, outputs=(Value("gone", TensorType((T,))),)))


def test_a_body_is_verified_as_well() -> None:
    region = repeated().ops[0]
    assert isinstance(region, Repeat)
    body = replace(region.body, ops=region.body.ops[::-1])
    outer = repeated()
    broken("before it is made", replace(outer, ops=(replace(region, body=body), outer.ops[1])))


def test_a_region_hands_its_body_what_the_body_takes() -> None:
    region = repeated().ops[0]
    assert isinstance(region, Repeat)
    x = Value("x", TensorType((T, sp.Integer(H + 1))))
    wrong = replace(region, ins=(x,))
    broken("repeat %layers hands %x", Graph((x,), (wrong,), (wrong.out,)))
    none = replace(region, ins=())
    broken("0 operands for a body of 1 inputs", Graph((), (none,), (none.out,)))


def test_a_repeat_hands_on_what_it_takes() -> None:
    b = Builder()
    x = b.input("x", T, H)
    with pytest.raises(VerifyError, match="a trip takes"):
        b.region(
            lambda body, ins: Repeat(body, ins, 2), "r", (x,),
            lambda inner, ins: (inner(Slice(ins[0], 1, 0, 2), "y"),),
        )  # fmt: skip


def test_attributes_that_make_no_sense_are_refused() -> None:
    b = Builder()
    with pytest.raises(VerifyError, match="no order of its axes"):
        b(Transpose(b.input("x", T, H), (0, 0)), "y")
    with pytest.raises(VerifyError, match="no mask of kind 'diagonal'"):
        Mask("diagonal")
    for kind, size in (("window", None), ("causal", sp.Integer(3))):
        with pytest.raises(VerifyError, match="mask with size"):
            Mask(kind, size)


def test_a_program_binds_every_parameter_and_calls_what_exists() -> None:
    g = linear_chain()
    call = Call("target", binding(1, 1, 0), ("down",))
    assert Program({"target": g}, (call,)).verified()
    unbound = replace(call, bind={k: v for k, v in call.bind.items() if k != P})
    with pytest.raises(VerifyError, match="does not bind P"):
        Program({"target": g}, (unbound,)).verified()
    with pytest.raises(UnknownNameError, match="no graph called 'draft'"):
        Program({"target": g}, (replace(call, graph="draft"),)).verified()
    with pytest.raises(UnknownNameError, match="no output called 'logits'"):
        Program({"target": g}, generation()).verified()


def test_a_verified_graph_is_returned_as_it_is() -> None:
    b = Builder()
    graph = b.done(b(Scale(b.input("x", T, H)), "y"))
    assert verify(graph) is graph
