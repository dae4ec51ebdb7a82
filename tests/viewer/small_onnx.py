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


def chain(length: int) -> bytes:
    """Elementwise operators in a row, eight to a layer, that no rule merges."""
    kinds = ("Sin", "Tanh", "Relu", "Exp", "Cos", "Neg", "Abs", "Sqrt")
    names = [f"/net/layers.{k // 8}/{kinds[k % 8]}" for k in range(length)]
    values = ["x", *(f"v{k}" for k in range(length - 1)), "y"]
    nodes = [
        helper.make_node(kinds[k % 8], [values[k]], [values[k + 1]], name=names[k])
        for k in range(length)
    ]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 16]) for n in ("x", "y")]
    model = helper.make_model(
        helper.make_graph(nodes, "net", [ends[0]], [ends[1]]),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    return bytes(model.SerializeToString())
