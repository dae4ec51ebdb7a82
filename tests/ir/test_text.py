"""What is printed reads back equal, whatever the names; the rest is refused with its line."""

import re
from contextlib import suppress

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st
from tests.ir.examples import Sparsify, attention, every_op, linear_chain, repeated

from mansard.core.errors import MansardError
from mansard.core.symbols import B, P, R, S, T, batch, output, symbol
from mansard.ir import parse_graph, parse_program
from mansard.ir.builder import Builder
from mansard.ir.graph import Graph
from mansard.ir.ops import Linear
from mansard.ir.program import (
    Call,
    Loop,
    Origin,
    Program,
    Together,
    Wait,
    binding,
    generation,
)
from mansard.ir.region import Repeat
from mansard.ir.registry import OPS
from mansard.ir.value import TensorType, Value

EXAMPLES = every_op()


def costs(graph: Graph) -> dict[str, object]:
    """Every quantity of a cost, by the names of values."""
    cost = graph.cost
    return {
        "flops": dict(cost.flops),
        "reads": sorted((v.storage or v.name, str(sp.expand(e))) for v, e in cost.reads.items()),
        "writes": sorted((v.storage or v.name, str(sp.expand(e))) for v, e in cost.writes.items()),
        "payload": dict(cost.payload),
        "launches": cost.launches,
    }


def test_the_text_is_what_a_person_would_write() -> None:
    assert str(linear_chain()) == (
        "graph(%x: bf16[T, 64]) {\n"
        "  weight %up.weight: bf16[256, 64]\n"
        "  weight %down.weight: bf16[64, 256]\n"
        "  %up: bf16[T, 256] = linear(%x, %up.weight)\n"
        "  %act: bf16[T, 256] = activation(%up)\n"
        "  %down: bf16[T, 64] = linear(%act, %down.weight)\n"
        "  return %down\n"
        "}"
    )


def test_every_op_class_has_an_example() -> None:
    assert set(EXAMPLES) == set(OPS)


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_every_op_reads_back_to_equal_text_and_equal_cost(kind: str) -> None:
    graph = EXAMPLES[kind]
    assert any(op.kind == kind for op, _ in graph.walk())
    again = parse_graph(str(graph))
    assert str(again) == str(graph)
    assert costs(again) == costs(graph)


def test_roles_storages_parts_and_live_elements_are_inferred_again() -> None:
    graph = parse_graph(str(EXAMPLES["softmax"]))
    keys, softmax = graph.output("out").name, graph.ops[3].out
    assert keys == "out"
    assert graph.ops[0].out.role == "cache"
    assert graph.ops[0].out.storage == "k_cache"
    assert softmax.type.live is not None
    join = parse_graph(str(EXAMPLES["join"])).ops[0]
    assert join.out.parts == join.operands


def test_labels_but_no_reasons_are_printed() -> None:
    graph = attention(kernel="flash attention")
    graph = Graph(graph.inputs, tuple(op.explained("secret") for op in graph.ops), graph.outputs)
    text = str(graph)
    assert ' #"flash attention"' in text
    assert "secret" not in text
    assert parse_graph(text).ops[-1].kernel == "flash attention"


def test_equal_bodies_read_back_as_one_object() -> None:
    body = repeated().ops[0].bodies[0]
    b = Builder()
    x = b.input("x", T, 64)
    y = b(Repeat(body, (x,), 2), "first")
    graph = parse_graph(str(b.done(b(Repeat(body, (y,), 3), "second"))))
    assert graph.ops[0].bodies == graph.ops[1].bodies


def test_a_leaf_that_two_graph_parts_use_reads_back_as_one_value() -> None:
    b = Builder()
    w = b.leaf("tied", 64, 64)
    x = b(Linear(b.input("x", T, 64), w), "first")

    def fill(inner: Builder, ins: tuple[Value, ...]) -> tuple[Value, ...]:
        return (inner(Linear(ins[0], w), "inner"),)

    graph = b.done(*b.region(lambda body, ins: Repeat(body, ins, 2, ("tied",)), "r", (x,), fill))
    again = parse_graph(str(graph))
    assert str(graph).count("weight") == 1
    assert len(again.leaves) == len(graph.leaves) == 1


def test_two_leaves_of_one_name_get_two_names() -> None:
    b = Builder()
    x = b(Linear(b.input("x", T, 64), b.leaf("w", 64, 64)), "w")
    graph = b.done(b(Linear(x, b.leaf("w", 64, 64)), "y"))
    text = str(graph)
    assert "weight %w~1: bf16[64, 64] @w\n" in text
    assert str(parse_graph(text)) == text


def test_a_leaf_made_of_stored_parts_reads_back_with_them() -> None:
    b = Builder()
    past, recent = (b.leaf(n, 8, 64, role="cache") for n in ("past", "recent"))
    kind = TensorType((sp.Integer(16), sp.Integer(64)), role="cache", parts=(past, recent))
    graph = b.done(b(Linear(b.input("x", T, 64), Value("both", kind)), "y"))
    text = str(graph)
    assert "cache %both: bf16[16, 64] of [%past, %recent] along 0" in text
    again = parse_graph(text)
    assert str(again) == text
    assert costs(again) == costs(graph)


names = st.text(min_size=1, max_size=10)


@given(names, names, names, names)
def test_any_text_may_name_a_value_a_storage_a_label_or_a_kernel(
    value: str, storage: str, label: str, kernel: str
) -> None:
    b = Builder()
    x = b.input(value, symbol(label, "count"), 64)
    op = Linear(x, b.leaf(storage, 8, 64), name=label, kernel=kernel, device=storage)
    text = str(b.done(b(op, value)))
    again = parse_graph(text)
    assert str(again) == text
    done = again.ops[0]
    assert (done.name, done.kernel, done.device) == (label, kernel, storage)
    assert again.leaves[0].storage == storage


def test_declared_symbols_keep_their_kind_and_their_default() -> None:
    frames, rate = symbol("frames", "count"), symbol("hit", "rate")
    b = Builder()
    x = b.input("x", frames, 64)
    graph = b.done(b(Linear(x, b.leaf("w", 8, 64)), "y"), defaults=((frames, sp.Integer(1500)),))
    again = parse_graph(str(graph))
    assert again.defaults == graph.defaults
    assert again.inputs[0].shape[0] == frames
    assert "symbol hit: rate" not in str(graph)
    assert rate not in again.defaults


def test_an_op_of_a_stranger_parses_when_its_class_is_given() -> None:
    b = Builder()
    op = Sparsify(b.input("x", T, 64), 0.25, 'a "b"', (1, ("c", T), True), exact=True)
    graph = b.done(b(op, "y"))
    text = str(graph)
    assert (
        'sparsify(%x, ratio=0.25, method="a \\"b\\"", limits=[1, ["c", T], true], exact=true)'
        in text
    )
    again = parse_graph(text, {"sparsify": Sparsify})
    assert str(again) == text
    assert again.ops[0].attributes() == graph.ops[0].attributes()
    with pytest.raises(MansardError, match="no op called 'sparsify'"):
        parse_graph(text)


def schedules() -> Program:
    """A program with every node of a schedule."""
    alpha, gamma = symbol("alpha", "rate"), symbol("gamma", "count")
    graph = linear_chain()
    step = Call("target@decode", binding(batch, 1, 3), ("down",), pool="decode pool")
    ragged = Call("target", binding(2, 3, 0), ("down",), ((B, S, P), (R, T, P)), phase="chunk")
    loop = Loop((step,), (output - 1) / alpha, gamma, sp.Integer(1), 1 + alpha, "decode")
    waits = (Wait(sp.Rational(1, 5), name="a b"), Wait(like=step, times=sp.Integer(3), phase="x y"))
    return Program(
        {"target": graph, "target@decode": graph, "draft": repeated()},
        (ragged, Together((loop, waits[0]), "both"), waits[1], Wait()),
        {"tp": 8, "p p": 4},
        Origin('a "name"'),
    )


def test_every_node_of_a_schedule_reads_back() -> None:
    program = schedules()
    again = parse_program(str(program))
    assert str(again) == str(program)
    assert again.schedule == program.schedule
    assert again.mesh == program.mesh
    assert again.origin.name == program.origin.name


def test_autoregressive_generation_reads_back() -> None:
    b = Builder()
    logits = b(Linear(b.input("x", T, 64), b.leaf("w", 8, 64)), "logits")
    program = Program({"target": b.done(logits)}, generation())
    assert parse_program(str(program)).schedule == program.schedule


@pytest.mark.parametrize("make", [repeated, attention, schedules], ids=lambda f: f.__name__)
def test_a_text_cut_anywhere_is_refused_and_never_crashes(make: object) -> None:
    text = str(make())  # type: ignore[operator]
    parse = parse_program if text.startswith("program") else parse_graph
    for end in range(0, len(text), 3):
        with pytest.raises(MansardError):
            parse(text[:end])


@given(st.data())
def test_a_text_with_characters_changed_parses_or_raises_our_error(data: st.DataObject) -> None:
    text = str(schedules())
    at = data.draw(st.integers(0, len(text) - 1))
    new = data.draw(st.text(alphabet='%(){}[]=,:"`@#!0aT \n', max_size=3))
    changed = text[:at] + new + text[at + data.draw(st.integers(0, 4)) :]
    with suppress(MansardError):
        assert str(parse_program(changed))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("linear(%x", "linaer(%x", "no op called 'linaer'"),
        ("activation(%up)", "activation(%upp)", "no value called 'upp'"),
        ("%act: bf16[T, 256]", "%act: bf16[T, 255]", "should be %act: bf16[T, 256]"),
        ("%act: bf16[T, 256]", "%up: bf16[T, 256]", "two values are called %up"),
        ("%act:", "%down.weight:", "two values are called %down.weight"),
        ("%act: bf16", "%act: bf17", "no dtype called 'bf17'"),
        ("%act: bf16[T", "%act: bf16[Q", "no symbol called 'Q'"),
        ("activation(%up)", "activation(%up, fan=3)", "no attribute of activation called 'fan'"),
        ("activation(%up)", "activation(%up, fn=?\"x\")", "no text form"),
        ("activation(%up)", "activation(%up, %x)", "takes 1 operands"),
        ("activation(%up)", "activation()", "needs 'x'"),
        ("activation(%up)", "activation(x=3)", "is an operand"),
        ("activation(%up)", "activation(%up, x=%up)", "given twice"),
        ("activation(%up)", "activation(%up", "expected ',' or ')'"),
        ("return %down", "return %gone", "no value called 'gone'"),
        ("%down.weight: bf16[64, 256]", "%down.weight: bf16[64, 255]", "features of x is 256"),
        ("%down: bf16[T, 64] =", "%down: bf16[T, 64], %e: bf16[1] =", "1 results, not 2"),
    ],
)  # fmt: skip
def test_every_mistake_names_its_line_and_what_is_wrong(old: str, new: str, message: str) -> None:
    text = str(linear_chain())
    assert old in text
    with pytest.raises(MansardError, match=re.escape(message)) as caught:
        parse_graph(text.replace(old, new, 1))
    assert re.match(r"graph, line \d+, column \d+: ", caught.value.message)


@pytest.mark.parametrize("nest", ["[", "(", "[(", "((1,"])
def test_a_million_brackets_are_refused(nest: str) -> None:
    text = str(linear_chain()).replace("activation(%up)", f"activation(%up, fn={nest * 10**6}")
    with pytest.raises(MansardError, match=r"deep|expected"):
        parse_graph(text)


def test_bodies_within_bodies_without_end_are_refused() -> None:
    one = "graph(%x: bf16[1]) {\n" + "%y: bf16[1] = overlap(%x) body(%x: bf16[1]) {\n" * 10**5
    with pytest.raises(MansardError, match="nested more than 50 deep"):
        parse_graph(one)


def test_comments_and_line_breaks_are_read_over() -> None:
    text = str(linear_chain()).replace("linear(%x, ", "linear( // first\n    %x,\n    ")
    assert str(parse_graph(text)) == str(linear_chain())


def test_the_package_exports_functions_where_modules_have_their_names() -> None:
    import mansard.ir as ir

    str(parse_program(str(schedules())))
    assert all(callable(getattr(ir, name)) for name in ir.__all__)
