"""ONNX element types: their short names, bits, and the dtype mansard knows each by."""

from __future__ import annotations

from mansard.core.errors import SpecError

# onnx.proto3, TensorProto.DataType; the names are mansard's where it has the dtype.
NAMES: dict[int, str] = {
    1: "fp32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string",
    9: "bool", 10: "fp16", 11: "fp64", 12: "uint32", 13: "uint64", 14: "complex64",
    15: "complex128", 16: "bf16", 17: "fp8e4m3fn", 18: "fp8e4m3fnuz", 19: "fp8e5m2",
    20: "fp8e5m2fnuz", 21: "uint4", 22: "int4", 23: "fp4", 24: "fp8e8m0", 25: "uint2", 26: "int2",
}  # fmt: skip
"""TensorProto.DataType → name."""

BITS: dict[str, int] = {
    "string": 64, "bool": 8, "complex64": 64, "complex128": 128,
    "uint2": 2, "int2": 2, "uint4": 4, "int4": 4, "fp4": 4, "uint8": 8, "int8": 8,
    "fp8e4m3fn": 8, "fp8e4m3fnuz": 8, "fp8e5m2": 8, "fp8e5m2fnuz": 8, "fp8e8m0": 8,
    "uint16": 16, "int16": 16, "fp16": 16, "bf16": 16, "uint32": 32, "int32": 32, "fp32": 32,
    "uint64": 64, "int64": 64, "fp64": 64,
}  # fmt: skip
"""Bits of one element; a string counts as its pointer."""

FLOATS = frozenset({"fp16", "bf16", "fp32", "fp64"})
INTEGERS = frozenset(n for n in BITS if n.startswith(("int", "uint")))


def name_of(code: int, where: str) -> str:
    """Return the name of an element type; empty for 0, "undefined".

    Raises:
        SpecError: ONNX has no such type.
    """
    if code == 0:
        return ""
    if code not in NAMES:
        raise SpecError(
            f"{where} has the element type {code!r}, which ONNX does not define",
            hint="export the model again",
        )
    return NAMES[code]


def encoded(name: str) -> str:
    """Return the dtype of mansard's IR of as many bits.

    >>> encoded("uint4"), encoded("fp8e5m2"), encoded("uint16"), encoded("fp32")
    ('int4', 'fp8', 'int16', 'fp32')
    """
    if name.startswith("fp8"):
        return "fp8"
    if name.startswith("uint") and name != "uint8":
        return name[1:]
    return {"complex64": "int64", "string": "int64", "int2": "int2"}.get(name, name)
