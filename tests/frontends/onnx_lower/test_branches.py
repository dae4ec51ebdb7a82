"""An ``If`` that data decide: one branch, or both as often as each is taken, never the sum."""

from __future__ import annotations

import pytest
import sympy as sp
from onnx import ModelProto, parser

from mansard.core.errors import SpecError, UnknownNameError
from mansard.core.symbols import expr
from mansard.frontends.onnx.branches import branches, share_of
from mansard.frontends.onnx.load import model_of
from mansard.frontends.onnx.lower.program import lower
from mansard.frontends.onnx.resolve import resolve
from mansard.ir.cost import MATRIX
from mansard.ir.footprint import model_facts
from mansard.ir.parse import parse_program
from mansard.ir.program import Program

HEAD = '<ir_version: 9, opset_import: ["" : 20]>'
GRAPH = """ g (bool c, float[n,8] x) => (float[?,?] z)
    <float[8,16] w = {%s}, float[8,4] v = {%s}, float[4,16] u = {%s}> {
        y = If(c) <
            then_branch = t () => (float[?,?] a) { a = MatMul(x, w) },
            else_branch = e () => (float[?,?] b) { m = MatMul(x, v)  b = MatMul(m, u) }>
        z = Relu(y)
    }"""
THEN, ELSE = 2 * 8 * 16, 2 * 8 * 4 + 2 * 4 * 16


def proto() -> ModelProto:
    zeros = (", ".join(["0"] * n) for n in (8 * 16, 8 * 4, 4 * 16))
    return parser.parse_model(HEAD + GRAPH % tuple(zeros))


def program(branch: str) -> Program:
    told = branches(branch)
    return lower(resolve(model_of(proto()), branches=told.chosen), branches=told)


def flops(found: Program) -> sp.Expr:
    """Return the FLOP of products a row of x."""
    graph = found.graph()
    total = sp.Add(*(v for (unit, *_), v in graph.cost.flops.items() if unit == MATRIX))
    (rows,) = total.free_symbols
    return sp.expand(total / rows)


@pytest.mark.parametrize(
    ("branch", "wanted"),
    [
        ("then", expr(THEN)),
        ("else", expr(ELSE)),
        ("0.25", sp.Rational(THEN + 3 * ELSE, 4)),
        ("25%", sp.Rational(THEN + 3 * ELSE, 4)),
        ("1", expr(THEN)),
    ],
)
def test_the_policy_says_how_often_each_branch_is_counted(branch: str, wanted: sp.Expr) -> None:
    assert flops(program(branch)) == wanted


def test_weights_of_a_branch_are_read_as_often_as_it_is_taken_and_stored_always() -> None:
    found = program("0.25")
    reads = found.graph().cost.reads
    weights = sp.Add(*(size for value, size in reads.items() if value.role == "weight"))
    assert weights == (8 * 16 * 4) * sp.Rational(1, 4) + (8 * 4 + 4 * 16) * 4 * sp.Rational(3, 4)
    assert model_facts(found).params == 8 * 16 + 8 * 4 + 4 * 16


@pytest.mark.parametrize("branch", ["then", "0.5"])
def test_a_note_says_which_branch_was_counted(branch: str) -> None:
    (note,) = (n for n in program(branch).origin.notes if n.code == "M063")
    assert "then" in note.message


CHAIN = """ g (bool c, float[n,8] x) => (float[?,?] y, float[?,?] z) {
        y = If(c) <
            then_branch = t () => (float[?,?] a) { a = Relu(x) },
            else_branch = e () => (float[?,?] b) { m = Relu(x)  b = Exp(m) }>
        z = If(c) <
            then_branch = t () => (float[?,?] d) { d = Relu(y) },
            else_branch = e () => (float[?,?] f) { k = Tanh(y)  f = Exp(k) }>
    }"""


def chained(branch: str) -> Program:
    told = branches(branch)
    return lower(resolve(model_of(parser.parse_model(HEAD + CHAIN)), branches=told.chosen),
                 branches=told)  # fmt: skip


@pytest.mark.parametrize(
    ("branch", "ops"),
    [("", 2), ("else", 4), ("y=else", 3), ("z=else", 3), ("y=then,else", 3)],
)
def test_a_branch_is_chosen_node_by_node(branch: str, ops: int) -> None:
    assert sum(not op.is_view for op in chained(branch).graph().ops) == ops


def test_one_note_says_what_is_counted_of_all_undecided_nodes_and_how_to_choose() -> None:
    (note,) = chained("").origin.notes
    assert note.message.startswith("y and 1 more: data decide; then is counted (--branch ")
    assert "'y=else'" in note.message
    first, second = chained("z=else").origin.notes
    assert "'y=else'" in first.message
    assert "'z=then'" in second.message


def test_a_node_that_is_no_if_is_refused_with_the_nearest() -> None:
    graph = resolve(model_of(parser.parse_model(HEAD + CHAIN))).graph
    with pytest.raises(UnknownNameError, match="'yy'") as refused:
        branches("yy=else").check(graph)
    assert "y" in str(refused.value.hint)


BROKEN = """ g (bool c, float[2,8] x) => (float[?,?] y) {
        y = If(c) <
            then_branch = t () => (float[?,?] a) { a = Relu(x) },
            else_branch = e () => (float[?,?] b) {
                s = Constant<value_ints=[5,5]>()  b = Reshape(x, s) }>
    }"""


def test_a_branch_that_sizes_rule_out_is_left_out_and_refused_when_it_is_wanted() -> None:
    model = model_of(parser.parse_model(HEAD + BROKEN))
    (note,) = lower(resolve(model, branches={"": "then"})).origin.notes
    assert (note.code, "rule out" in note.message) == ("M063", True)
    with pytest.raises(SpecError, match="cannot be arranged") as refused:
        resolve(model, branches={"": "else"})
    assert "y=then" in str(refused.value.hint)


def test_the_text_of_shared_branches_reads_back() -> None:
    found = program("0.5")
    assert str(parse_program(str(found))) == str(found)


@pytest.mark.parametrize("branch", ["first", "1.5", "-0.1", "nan", "0x1"])
def test_a_branch_that_is_none_is_refused(branch: str) -> None:
    with pytest.raises(SpecError, match="no branch is called"):
        share_of(branch)
