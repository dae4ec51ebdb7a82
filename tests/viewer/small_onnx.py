"""A small ONNX model as bytes."""

from onnx import TensorProto, helper


def two_layers() -> bytes:
    """Two products of a batch of 16 features, weights as inputs of the graph's initializers."""
    weights = [
        helper.make_tensor(f"w{k}", TensorProto.FLOAT, [16, 16], [0.5] * 256) for k in range(2)
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["h"], name="first"),
        helper.make_node("Relu", ["h"], ["a"], name="act"),
        helper.make_node("MatMul", ["a", "w1"], ["y"], name="second"),
    ]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 16]) for n in ("x", "y")]
    graph = helper.make_graph(nodes, "net", [ends[0]], [ends[1]], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    return bytes(model.SerializeToString())


def tangled(length: int) -> bytes:
    """Elementwise operators of which every fifth adds one from further up, no two layers alike."""
    kinds = ("Sin", "Tanh", "Relu", "Exp", "Cos", "Neg", "Abs", "Sqrt")
    values, nodes = ["x"], []
    for k in range(length):
        made = "y" if k == length - 1 else f"v{k}"
        kind, read = kinds[k % 8], values[-1:]
        if k % 5 == 4:
            kind, read = "Add", [values[-1], values[-2 - k * k % 7 % len(values)]]
        nodes.append(helper.make_node(kind, read, [made], name=f"/net/layers.{k // 8}/{kind}_{k}"))
        values.append(made)
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 16]) for n in ("x", "y")]
    model = helper.make_model(
        helper.make_graph(nodes, "net", [ends[0]], [ends[1]]),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    return bytes(model.SerializeToString())


def data_elsewhere(where: str) -> bytes:
    """A product whose weight says that its bytes lie in another file."""
    weight = TensorProto(name="w0", data_type=TensorProto.FLOAT, dims=[16, 16])
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", where), ("offset", "0"), ("length", "1024")):
        entry = weight.external_data.add()
        entry.key, entry.value = key, value
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 16]) for n in ("x", "y")]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w0"], ["y"])], "net", [ends[0]], [ends[1]], [weight]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    return bytes(model.SerializeToString())


def normalised() -> bytes:
    """A root-mean-square norm as six operators, and a product."""
    parts = {"two": [2.0], "eps": [1e-6], "gain": [1.0] * 16, "w": [0.5] * 256}
    shapes = {"two": [], "eps": [], "gain": [16], "w": [16, 16]}
    known = [helper.make_tensor(n, TensorProto.FLOAT, shapes[n], v) for n, v in parts.items()]
    nodes = [
        helper.make_node("Pow", ["x", "two"], ["square"]),
        helper.make_node("ReduceMean", ["square"], ["mean"], axes=[-1], keepdims=1),
        helper.make_node("Add", ["mean", "eps"], ["more"]),
        helper.make_node("Sqrt", ["more"], ["root"]),
        helper.make_node("Div", ["x", "root"], ["even"]),
        helper.make_node("Mul", ["even", "gain"], ["normed"]),
        helper.make_node("MatMul", ["normed", "w"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 16]) for n in ("x", "y")]
    graph = helper.make_graph(nodes, "net", [ends[0]], [ends[1]], known)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    return bytes(model.SerializeToString())
