"""What is no model, or a hostile one, gets a clear error or a named unknown."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper, parser
from tests.frontends.onnx.graphs import build, model, resolved

from mansard.core.errors import MansardError, SpecError
from mansard.frontends.onnx.dims import LARGEST
from mansard.frontends.onnx.load import load, model_of, parse
from mansard.frontends.onnx.lower.program import lower
from mansard.frontends.onnx.naming import Names
from mansard.frontends.onnx.resolve import resolve
from mansard.frontends.onnx.values import Tensor
from mansard.frontends.onnx.wire import without_weights
from mansard.ir.ops import Activation

HEAD = '<ir_version: 9, opset_import: ["" : 20, "local" : 1]>'
Run = Callable[..., Any]
RELU = helper.make_node("Relu", ["x0"], ["y0"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"ir_version: 8\ngraph { }\n", "text file"),
        (b"\x00" * 64, "not a protobuf"),
        (b"\xff" * 64, "not a protobuf"),
        (b"\x08\x08", "empty graph"),
        (b"\x3a\xff\xff\xff\xff\x0f", "truncated"),
    ],
)
def test_what_is_no_model_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=message):
        load(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="there is no file"):
        load(tmp_path / "none.onnx")


def test_a_truncated_model_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    whole = model([RELU], {"x0": ("f", ["n", 3])}, ["y0"]).SerializeToString()
    path = tmp_path / "model.onnx"
    for end in range(1, len(whole)):
        path.write_bytes(whole[:end])
        with contextlib.suppress(SpecError):  # anything else fails
            resolve(path)


def read_or_refuse(content: bytes) -> None:
    """Resolve bytes; any exception but mansard's own goes on."""
    with contextlib.suppress(MansardError):
        resolve(model_of(parse(without_weights(memoryview(content)), "x")))


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    read_or_refuse(content)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_model_with_one_byte_changed_is_read_or_refused(at: int, byte: int) -> None:
    proto, _ = build("Slice(f[a,9],l=[1],l=[-1],l=[1],l=[3])")
    content = bytearray(proto.SerializeToString())
    content[at % len(content)] = byte
    read_or_refuse(bytes(content))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("g (float[n] x) => (float[n] y) { a = Relu(b) b = Relu(a) y = Relu(x) }", "cycle"),
        ("g (float[n] x) => (float[n] y) { y = Add(x, z) }", "reads 'z', which nothing makes"),
        ("g (float[n] x) => (float[n] y) { z = Relu(x) }", "nothing makes the output 'y'"),
        ("g (float[n] x) => (float[n] y) { y = Relu(x) y = Neg(x) }", "makes 'y' twice"),
        ("g (float[n] x, float[n] x) => (float[n] y) { y = Relu(x) }", "two inputs called 'x'"),
        ('g (float[n] x) => (float[n] y) { y = Flatten<axis="a">(x) }', "'axis'"),
        ("g (float[n] x) => (float[n] y) { y = Transpose<perm=[0,1,2]>(x) }", "perm"),
        ("g (float[n] x) => (float[n] y) { y = Gemm(x, x) }", "Gemm"),
        (
            "g (float[n] x) => (float[n] y)"
            " { a = Constant<value_ints=[0,-3]>() y = Unsqueeze(x, a) }",
            "name one twice",
        ),
        ("g (float[n] x) => (float[n] y) { y = Add(x) }", "1 input; its operator has 2"),
        ("g (seq(float[n]) x) => (float[n] y) { y = Relu(x) }", "Relu"),
        (
            "g (float[n] x) => (float[n] y) { y = MatMul(x) }",
            "'y' .MatMul.: it has 1 input; its operator has 2",
        ),
        (
            "g (float[n] x) => (float[n] y) { y, z = Relu(x) }",
            "2 outputs; its operator has at most 1",
        ),
        ('g (float[n] x) => (float[n] y) { y = Softmax<axis="q">(x) }', "not of type int"),
        ("g (float[3] x, float[4] z) => (float[n] y) { y = Add(x, z) }", "only where 4 = 3"),
        (
            "g (float[n,8] x) => (float[n] y) { s = Constant<value_ints=[-1,-1,3]>()"
            " y = Reshape(x, s) }",
            "more than one axis open",
        ),
        (
            "g (float[2,8] x) => (float[n] y) { s = Constant<value_ints=[5,5]>()"
            " y = Reshape(x, s) }",
            r"\[2, 8\] cannot be arranged as \[5, 5\]",
        ),
        (
            "g (float[n,3,8,8] x, float[4,3,3,3] w) => (float[n] y)"
            " { y = Conv<strides=[0,0]>(x, w) }",
            "both start at 1",
        ),
        (
            "g (float[n,3,8,8] x, float[4,3,3,3] w) => (float[n] y) { y = Conv<group=0>(x, w) }",
            "0 groups",
        ),
        (
            "g (float[n,3,8,8] x, float[4,2,3,3] w) => (float[n] y) { y = Conv(x, w) }",
            "for 2 channels, and 3 come",
        ),
        (
            "g (float[n,3,2,2] x, float[4,3,3,3] w) => (float[n] y) { y = Conv(x, w) }",
            "window of 3 does not fit a side of 2",
        ),
        (
            "g (float[n] x) => (float[n] y) { y = local.f(x) }\n"
            '<opset_import: ["" : 20, "local" : 1], domain: "local">'
            " f (a) => (b) { b = local.f(a) }",
            "calls itself",
        ),
        (
            "g (bool c, float[n] x) => (float[n] y) { y = If(c) <"
            "then_branch = t () => (float[n] u) { u = Relu(lost) }, "
            "else_branch = e () => (float[n] v) { v = Relu(x) }> }",
            "reads 'lost'",
        ),
    ],
)
def test_a_graph_that_is_no_graph_is_refused(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message) as refused:
        resolved(parser.parse_model(HEAD + text))
    assert refused.value.hint


@pytest.mark.parametrize("location", ["/etc/passwd", "../w.bin", "a/../../w.bin", "", "C:\\w"])
def test_external_data_outside_the_folder_are_refused(location: str) -> None:
    tensor = TensorProto(name="w", data_type=1, dims=[4], data_location=TensorProto.EXTERNAL)
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    with pytest.raises(SpecError, match="outside the model's folder"):
        resolved(model([RELU], {"x0": ("f", ["n"])}, ["y0"], [tensor]))


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(np.array([2, 3], np.int64).tobytes())
    (folder / "w.bin").symlink_to(tmp_path / "secret")
    tensor = TensorProto(name="w", data_type=7, dims=[2], data_location=TensorProto.EXTERNAL)
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "w.bin"
    proto = model([RELU], {"x0": ("f", ["n"])}, ["y0"], [tensor])
    assert model_of(proto, folder=folder).body.weights["w"].value is None


@pytest.mark.parametrize("dims", [[-1], [2**62, 2**62], [1] * 100])
def test_a_weight_of_impossible_dims_is_refused(dims: list[int]) -> None:
    tensor = TensorProto(name="w", data_type=1, dims=dims)
    with pytest.raises(SpecError, match="has the dims"):
        resolved(model([RELU], {"x0": ("f", ["n"])}, ["y0"], [tensor]))


def test_data_that_do_not_fit_their_dims_are_refused() -> None:
    tensor = TensorProto(name="w", data_type=7, dims=[3], raw_data=b"\0" * 8)
    with pytest.raises(SpecError, match="do not fit"):
        resolved(model([RELU], {"x0": ("f", ["n"])}, ["y0"], [tensor]))


def test_a_dtype_onnx_does_not_define_is_refused() -> None:
    proto = model([RELU], {"x0": ("f", ["n"])}, ["y0"], [TensorProto(name="w", data_type=99)])
    with pytest.raises(SpecError, match="element type 99"):
        resolved(proto)


def test_an_axis_of_negative_size_gets_a_name() -> None:
    found = resolved(model([RELU], {"x0": ("f", [-1, 3])}, ["y0"]))
    value = found.values["y0"]
    assert isinstance(value, Tensor)
    assert str(value.dims[0]) == "x0_d0"


def test_an_operator_set_from_the_future_is_noted() -> None:
    found = resolved(model([RELU], {"x0": ("f", ["n"])}, ["y0"], opset=999))
    assert [n.code for n in found.notes] == ["M062"]


def test_an_unknown_operator_is_named_and_the_import_goes_on() -> None:
    nodes = [
        helper.make_node("Warp", ["x0"], ["u"], name="one", domain="com.example"),
        helper.make_node("Relu", ["u"], ["y0"]),
        helper.make_node("Relu", ["x0"], ["y1"]),
    ]
    proto = model(nodes, {"x0": ("f", ["n"])}, ["y0", "y1"])
    found = resolved(proto)
    assert dict(found.unknown) == {"com.example.Warp": ("one",)}
    assert found.notes[0].code == "M060"
    assert found.values["y0"] == Tensor()
    proto.graph.value_info.append(helper.make_tensor_value_info("u", TensorProto.FLOAT, ["n", 5]))
    hinted = resolved(proto).values["y0"]
    assert isinstance(hinted, Tensor)
    assert [str(d) for d in hinted.dims] == ["n", "5"]


def test_sizes_that_grow_without_end_become_unknown() -> None:
    nodes = [
        helper.make_node("Mul", ["s" if not k else f"m{k - 1}"] * 2, [f"m{k}"]) for k in range(200)
    ]
    nodes = [
        helper.make_node("Shape", ["x0"], ["s"]),
        *nodes,
        helper.make_node("ConstantOfShape", ["m199"], ["y0"]),
    ]
    found = resolved(model(nodes, {"x0": ("f", ["n", 3])}, ["y0"]))
    assert found.values["y0"] != found.values["x0"]


def test_bodies_of_functions_that_multiply_are_looked_at_once() -> None:
    functions = "".join(
        f'<opset_import: ["" : 20, "local" : 1], domain: "local"> f{k} (a) => (b)'
        f" {{ c = local.f{k + 1}(a) b = local.f{k + 1}(c) }}\n"
        for k in range(60)
    )
    last = '<opset_import: ["" : 20], domain: "local"> f60 (a) => (b) { b = Relu(a) }'
    text = "g (float[n] x) => (float[n] y) { y = local.f0(x) }\n" + functions + last
    value = resolved(parser.parse_model(HEAD + text)).values["y"]
    assert isinstance(value, Tensor)
    assert [str(d) for d in value.dims] == ["n"]


def bomb(depth: int) -> onnx.ModelProto:
    """Return functions of which each calls the next one twice."""
    functions = "".join(
        f'<opset_import: ["" : 20, "local" : 1], domain: "local"> f{k} (a) => (b)'
        f" {{ c = local.f{k + 1}(a) b = local.f{k + 1}(c) }}\n"
        for k in range(depth)
    )
    last = f'<opset_import: ["" : 20], domain: "local"> f{depth} (a) => (b) {{ b = Relu(a) }}'
    text = "g (float[n] x) => (float[n] y) { y = local.f0(x) }\n" + functions + last
    return parser.parse_model(HEAD + text)


def test_functions_that_multiply_are_refused_before_they_are_spelled_out() -> None:
    ops = lower(resolved(bomb(5)), raw=True).graph().ops
    assert sum(isinstance(op, Activation) for op in ops) == 2**5
    with pytest.raises(SpecError, match="expands to more than 200000 nodes"):
        lower(resolved(bomb(40)))


def test_a_folder_is_said_to_be_one(tmp_path: Path) -> None:
    folder = tmp_path / "x.onnx"
    folder.mkdir()
    with pytest.raises(SpecError, match=r"x\.onnx' is a folder"):
        load(folder)


def test_a_declared_size_below_none_is_noted() -> None:
    found = resolved(model([RELU], {"x0": ("f", [-3, 3])}, ["y0"]))
    assert [n.code for n in found.notes] == ["M061"]
    assert "-3" in found.notes[0].message


def test_contradictions_of_one_kind_are_one_note_with_a_count() -> None:
    nodes = [helper.make_node("Relu", ["x0"], [f"y{k}"]) for k in range(5)]
    proto = model(nodes, {"x0": ("f", ["n", 3])}, [f"y{k}" for k in range(5)])
    for out in proto.graph.output:
        out.CopyFrom(helper.make_tensor_value_info(out.name, TensorProto.FLOAT, ["n", 4]))
    (note,) = resolved(proto).notes
    assert note.message == "'y0' is declared [n, 4] but is [B, 3]; and 4 more like it"


@pytest.mark.parametrize("nodes", [[], [helper.make_node("Constant", [], ["y0"], value_int=1)]])
def test_a_graph_that_computes_nothing_costs_nothing_and_says_so(
    nodes: list[onnx.NodeProto], tmp_path: Path, run: Run
) -> None:
    path = tmp_path / "nothing.onnx"
    onnx.save(model(nodes, {"x0": ("f", ["n", 3])}, ["y0" if nodes else "x0"]), path)
    ran = run("analyze", str(path), "--on", "l4")
    assert ran.code == 0
    assert "[M069]" in ran.err


def test_a_range_over_everything_is_not_counted_out() -> None:
    found = resolved(build(f"Range(l=0,l={LARGEST},l=1)")[0]).values["y0"]
    assert isinstance(found, Tensor)
    assert (found.dims, found.value) == ((LARGEST,), None)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "(" * 10_000_000,
        "+".join(["n"] * 100_000),
        "n**n**n**n",
        "9" * 5000,
        "(a+b+c+d)**60",
        "2**2**2**2**2**2",
        "?",
        "a:b",
        "p2o.DynamicDimension.0",
        "1/0",
        "-5",
        "a - b",
        "\0\n`",
        "None",
        "lambda",
        "S" * 1000,
    ],
)
def test_a_hostile_dim_is_a_symbol_or_a_size(text: str) -> None:
    names = Names({})
    size = names.dim(text)
    assert isinstance(size, int) or size.is_nonnegative is not False
    assert names.dim(text) == size


@given(st.text(max_size=60))
def test_any_text_is_a_size_whose_symbols_have_plain_names(text: str) -> None:
    size = Names({}).dim(text)
    symbols = set() if isinstance(size, int) else size.free_symbols
    assert all(s.name.isidentifier() and s.is_nonnegative for s in symbols)


def test_names_of_symbols_never_collide() -> None:
    names = Names({})
    sizes = [names.dim(t) for t in ("a.b", "a b", "a_b", "B", "S", "batch", "1x")]
    assert len(set(sizes)) == len(sizes)


def test_a_sparse_weight_is_known_by_its_dense_shape() -> None:
    values = numpy_helper.from_array(np.ones(2, np.float32), "w")
    indices = numpy_helper.from_array(np.array([0, 5], np.int64), "i")
    sparse = helper.make_sparse_tensor(values, indices, [2, 4])
    proto = model(
        [helper.make_node("MatMul", ["x0", "w"], ["y0"])], {"x0": ("f", ["n", 2])}, ["y0"]
    )
    proto.graph.sparse_initializer.append(sparse)
    value = resolved(proto).values["y0"]
    assert isinstance(value, Tensor)
    assert value.dims[1] == 4
    assert isinstance(proto, onnx.ModelProto)


def test_an_input_without_a_rank_is_unknown_and_strict_refuses_it(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "unranked.onnx"
    proto = model([RELU], {"x0": ("f", ["n"])}, ["y0"])
    proto.graph.input[0].type.tensor_type.ClearField("shape")
    onnx.save(proto, path)
    ran = run("analyze", str(path), "--on", "l4", "--strict")
    assert ran.code == 3
    assert "'x0'" in ran.err
