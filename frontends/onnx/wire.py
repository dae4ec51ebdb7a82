"""Read a protobuf file without its weights: large tensor data is stepped over, never copied.

A message is a row of fields, each a tag (number and wire type) and a payload. Only messages longer
than the threshold can hold a long tensor, so everything else is copied in long runs, and a file of
any size is read in time proportional to its number of nodes.
[https://protobuf.dev/programming-guides/encoding/]
"""

from __future__ import annotations

from collections.abc import Iterator

from mansard.core.errors import SpecError

INLINE_LIMIT = 1024
"""Bytes of tensor data that are kept: shapes, axes and scalars are shorter, weights longer."""
MAX_DEPTH = 100
"""Messages inside messages, the limit protobuf itself has."""

# onnx.proto3: the fields through which a tensor is reached, and those that hold its elements.
_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_ELEMENTS = frozenset({4, 5, 6, 7, 9, 10, 11})


def without_weights(data: memoryview) -> bytes:
    """Return the message with every tensor's data beyond ``INLINE_LIMIT`` bytes left out.

    Raises:
        SpecError: the bytes are not a protobuf message, or end in the middle of one.
    """
    return b"".join(_copy(data, "model", 0))


def _copy(data: memoryview, message: str, depth: int) -> Iterator[bytes | memoryview]:
    if depth > MAX_DEPTH:
        raise SpecError(f"the file nests messages more than {MAX_DEPTH} deep")
    inside = _INSIDE[message]
    kept = 0  # everything before is written
    for start, field, body, end in _long_fields(data):
        if message == "tensor" and field in _ELEMENTS:
            yield data[kept:start]
            kept = end
        elif field in inside:
            inner = b"".join(_copy(data[body:end], inside[field], depth + 1))
            yield data[kept:start]
            yield _varint(field << 3 | 2) + _varint(len(inner))
            yield inner
            kept = end
    yield data[kept:]


def _long_fields(data: memoryview) -> Iterator[tuple[int, int, int, int]]:
    """Yield (start, field number, start of the payload, end) of payloads beyond the limit."""
    at, size = 0, len(data)
    while at < size:
        start = at
        tag, at = _read(data, at)
        kind = tag & 7
        if kind == 0:
            _, at = _read(data, at)
        elif kind == 2:
            length, at = _read(data, at)
            if length > INLINE_LIMIT and at + length <= size:
                yield start, tag >> 3, at, at + length
            at += length
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise SpecError(f"not a protobuf message: wire type {kind} at byte {start}")
        if tag >> 3 == 0:
            raise SpecError(f"not a protobuf message: field 0 at byte {start}")
    if at != size:
        raise SpecError(f"the file is truncated: {at - size} bytes are missing at its end")


def _read(data: memoryview, at: int) -> tuple[int, int]:
    """Return a variable-length integer and where it ends."""
    value = shift = 0
    for end in range(at, min(at + 10, len(data))):
        byte = data[end]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, end + 1
        shift += 7
    raise SpecError(f"not a protobuf message: an integer without end at byte {at}")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
