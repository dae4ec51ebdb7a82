"""One quantity under several names is one symbol, whatever the exporter called it."""

from __future__ import annotations

from onnx import TensorProto, helper
from tests.frontends.onnx.graphs import Inputs, model, resolved

from mansard.core.symbols import B, P, S, symbol
from mansard.frontends.onnx.dims import add
from mansard.frontends.onnx.values import Tensor


def test_the_inputs_of_a_language_model_are_named_by_convention() -> None:
    inputs: Inputs = {
        "input_ids": ("l", ["s44", "s70"]),
        "attention_mask": ("l", ["s43", "past_seq_len + seq_len"]),
        "past_key_values.0.key": ("f", ["s44", "8", "s36", "64"]),
    }
    node = helper.make_node("Identity", ["attention_mask"], ["y0"])
    found = resolved(model([node], inputs, ["y0"]))
    assert [found.names[t] for t in ("s44", "s70", "s43", "s36")] == [B, S, B, P]
    assert found.names["past_seq_len + seq_len"] == P + S
    past = found.values["past_key_values.0.key"]
    assert isinstance(past, Tensor)
    assert past.dims == (B, 8, P, 64)


def test_a_mask_without_a_past_covers_the_new_tokens() -> None:
    inputs: Inputs = {"input_ids": ("l", ["n", "s"]), "attention_mask": ("l", ["n", "t"])}
    node = helper.make_node("Identity", ["attention_mask"], ["y0"])
    assert resolved(model([node], inputs, ["y0"])).names["t"] == S


def test_operands_that_are_added_have_one_size() -> None:
    nodes = [helper.make_node("Add", ["x0", "x1"], ["y0"])]
    inputs: Inputs = {"x0": ("f", ["rows", 4]), "x1": ("f", ["lines", 4])}
    found = resolved(model(nodes, inputs, ["y0"]))
    assert found.names["rows"] == found.names["lines"]
    assert len(found.symbols) == 1


def test_what_is_concatenated_gives_the_total_its_meaning() -> None:
    nodes = [
        helper.make_node("Concat", ["x0", "x1"], ["c"], axis=1),
        helper.make_node("Mul", ["c", "x2"], ["y0"]),
    ]
    inputs: Inputs = {"x0": ("f", [2, "old"]), "x1": ("f", [2, "new"]), "x2": ("f", [2, "all"])}
    found = resolved(model(nodes, inputs, ["y0"]))
    assert found.names["all"] == add(symbol("new", "count"), symbol("old", "count"))


def test_a_name_learnt_late_reaches_what_was_inferred_early() -> None:
    nodes = [
        helper.make_node("Relu", ["x0"], ["early"]),
        helper.make_node("MatMul", ["x0", "x1"], ["y0"]),
    ]
    inputs: Inputs = {"x0": ("f", [3, "width"]), "x1": ("f", [64, 5])}
    found = resolved(model(nodes, inputs, ["y0"])).values["early"]
    assert isinstance(found, Tensor)
    assert found.dims == (3, 64)


def test_an_alias_of_the_user_wins_over_the_convention() -> None:
    node = helper.make_node("Identity", ["input_ids"], ["y0"])
    proto = model([node], {"input_ids": ("l", ["n", "s"])}, ["y0"])
    assert resolved(proto, aliases={"s": add(P, S)}).names["s"] == P + S


def test_a_declaration_that_contradicts_is_reported_and_not_believed() -> None:
    node = helper.make_node("Relu", ["x0"], ["y0"])
    proto = model([node], {"x0": ("f", ["n", 3])}, ["y0"])
    proto.graph.value_info.append(helper.make_tensor_value_info("y0", TensorProto.FLOAT, ["n", 5]))
    found = resolved(proto)
    value = found.values["y0"]
    assert isinstance(value, Tensor)
    assert value.dims[1] == 3
    assert [n.code for n in found.notes] == ["M061"]


def test_experts_share_the_tokens_evenly_unless_told() -> None:
    zeros = helper.make_tensor("z", TensorProto.FLOAT, [4], [0.0] * 4)
    nodes = [
        helper.make_node("ScatterElements", ["z", "x0", "x1"], ["h"], reduction="add", name="h"),
        helper.make_node("Cast", ["h"], ["c"], to=TensorProto.INT64),
        helper.make_node("Split", ["c"], ["c0", "c1", "c2", "c3"], num_outputs=4),
        *[helper.make_node("ConstantOfShape", [f"c{k}"], [f"y{k}"]) for k in range(4)],
    ]
    inputs: Inputs = {"x0": ("l", ["n"]), "x1": ("f", ["n"])}
    found = resolved(model(nodes, inputs, ["y0", "y1", "y2", "y3"], [zeros]))
    sizes = [v.dims[0] for k in range(4) if isinstance(v := found.values[f"y{k}"], Tensor)]
    n = symbol("n", "count")
    assert add(add(sizes[0], sizes[1]), add(sizes[2], sizes[3])) == n
    assert {found.symbols[s].default for s in sizes[:3]} == {n / 4}


def test_weights_at_one_place_of_a_file_share_a_storage() -> None:
    tied = []
    for name in ("embed", "head"):
        tensor = TensorProto(name=name, data_type=1, dims=[64, 8], data_location="EXTERNAL")
        for key, value in (("location", "w.bin"), ("offset", "4096"), ("length", "2048")):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value
        tied.append(tensor)
    nodes = [
        helper.make_node("Gather", ["embed", "x0"], ["e"]),
        helper.make_node("Transpose", ["head"], ["t"]),
        helper.make_node("MatMul", ["e", "t"], ["y0"]),
    ]
    found = resolved(model(nodes, {"x0": ("l", ["n"])}, ["y0"], tied))
    assert [(w.storage, w.bytes) for w in found.weights] == [("embed", 2048)]
