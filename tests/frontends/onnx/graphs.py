"""Builds the graphs that cases describe, runs them, and evaluates the sizes inferred for them."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import sympy as sp
from onnx import TensorProto, helper, numpy_helper

from mansard.frontends.onnx.dims import Dim
from mansard.frontends.onnx.graph import Resolved
from mansard.frontends.onnx.load import model_of
from mansard.frontends.onnx.resolve import resolve
from mansard.frontends.onnx.values import Tensor

DTYPES: dict[str, tuple[int, Any]] = {
    "f": (TensorProto.FLOAT, np.float32),
    "h": (TensorProto.FLOAT16, np.float16),
    "l": (TensorProto.INT64, np.int64),
    "i": (TensorProto.INT32, np.int32),
    "u": (TensorProto.UINT8, np.uint8),
    "b": (TensorProto.BOOL, np.bool_),
    "$p": (TensorProto.INT32, np.int32),
    "$P": (TensorProto.INT32, np.int32),
}
BINDINGS: tuple[dict[str, int], ...] = (
    {"a": 2, "d": 5, "c": 6, "h": 9, "w": 8, "p": 3, "t": 10},
    {"a": 3, "d": 4, "c": 7, "h": 12, "w": 11, "p": 7, "t": 12},
)
_CASE = re.compile(r"(?:>(\d+) )?(?:@(\d+) )?(?:>(\d+) )?(ms\.)?(\w+)\((.*?)\)((?: \w+=\S+)*)$")
_INPUT = re.compile(r"-|(?:\$?\w+)\[[^\]]*\]|\w=\[[^\]]*\]|\w=[^,]+|\w+")

Inputs = dict[str, tuple[str, list[int | str]]]


def cases(name: str) -> list[str]:
    """Return the cases of a file beside this one."""
    lines = Path(__file__).with_name(name).read_text().splitlines()
    return [line for line in lines if not line.startswith("#")]


def build(case: str) -> tuple[onnx.ModelProto, Inputs]:
    """Return the model of a case, and its inputs by name."""
    match = _CASE.fullmatch(case.strip())
    if match is None:
        raise ValueError(f"not a case: {case!r}")
    outs, opset, more, domain, op, given, attributes = match.groups()
    names, inputs, constants = [], {}, []
    for k, text in enumerate(_INPUT.findall(given)):
        name = "" if text == "-" else f"x{k}"
        if "=" in text:
            value = np.asarray(ast.literal_eval(text[2:]), DTYPES[text[0]][1])
            constants.append(numpy_helper.from_array(value, name))
        elif name:
            kind, _, dims = text.rstrip("]").partition("[")
            inputs[name] = (kind, [int(d) if d.isdigit() else d for d in dims.split(",") if d])
        names.append(name)
    attrs = {}
    for item in attributes.split():
        key, _, literal = item.partition("=")
        attrs[key] = ast.literal_eval(literal)
    outputs = [f"y{k}" for k in range(int(outs or more or 1))]
    space = "com.microsoft" if domain else ""
    node = helper.make_node(op, names, outputs, domain=space, **attrs)
    return model([node], inputs, outputs, constants, int(opset or 20)), inputs


def model(
    nodes: list[Any],
    inputs: Inputs,
    outputs: list[str],
    constants: list[Any] | None = None,
    opset: int = 20,
    functions: list[Any] | None = None,
) -> onnx.ModelProto:
    """Return a model; its outputs declare nothing."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(n, DTYPES[t][0], d) for n, (t, d) in inputs.items()],
        [onnx.ValueInfoProto(name=o) for o in outputs],
        constants or [],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    opsets.append(helper.make_opsetid("local", 1))
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, functions=functions or [])


def executed(
    proto: onnx.ModelProto, inputs: Inputs, binding: dict[str, int]
) -> dict[str, tuple[int, ...]]:
    """Run a model on zeros and ones; return the shape of each tensor output."""
    ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feeds = {}
    for name, (kind, dims) in inputs.items():
        shape = [d if isinstance(d, int) else binding[d] for d in dims]
        fill = 0 if kind in "liu" else 1
        if kind[0] == "$":
            fill = binding[kind[1:].lower()] + kind[1:].isupper()
        feeds[name] = np.full(shape, fill, DTYPES[kind][1])
    wanted = [o.name for o in session.get_outputs()]
    found = zip(wanted, session.run(wanted, feeds), strict=True)
    return {n: np.shape(v) for n, v in found if isinstance(v, (np.ndarray, np.generic))}


def number(size: Dim, env: dict[Any, Any]) -> Dim:
    """Return a size at a binding: a number unless a symbol of it is not bound."""
    if isinstance(size, int):
        return size
    found = size.xreplace(env)
    return int(found) if found.is_Integer else found


def environment(found: Resolved, binding: dict[str, int]) -> dict[Any, Any]:
    """Return what the symbols are when the texts of the file are bound."""
    env: dict[Any, Any] = {}
    for text, value in binding.items():
        size = found.names.get(text)
        if size is not None and not isinstance(size, int) and size.is_Symbol:
            env[size] = sp.Integer(value)
    return env


def compare(
    found: Resolved, shapes: dict[str, Any], binding: dict[str, int], extra: Any = ()
) -> list[str]:
    """Return a sentence per tensor whose inferred shape is not the executed one.

    A size that data decide is bound by the first tensor that has it alone; the others must agree.
    """
    env = environment(found, binding) | dict(extra)
    wrong = []
    for name, shape in shapes.items():
        value = found.values.get(name)
        if not isinstance(value, Tensor) or value.shape is None:
            wrong.append(f"{name}: unknown, executed {tuple(shape)}")
            continue
        for size, actual in zip(value.shape, shape, strict=False):
            fact = found.symbols.get(size) if not isinstance(size, int) else None
            if fact is not None and size not in env and " " in fact.origin:
                env[size] = sp.Integer(actual)
        inferred = tuple(number(d, env) for d in value.shape)
        if inferred != tuple(shape):
            wrong.append(f"{name}: inferred {value.shape} = {inferred}, executed {tuple(shape)}")
    return wrong


def resolved(proto: onnx.ModelProto, **options: Any) -> Resolved:
    """Return a proto resolved."""
    return resolve(model_of(proto), **options)
