"""Load an ONNX file: the graph, and weights by name, shape and dtype, never by their bytes."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import ModelProto

from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.frontends.onnx.graph import Body
from mansard.frontends.onnx.read import Reader
from mansard.frontends.onnx.wire import without_weights

LARGEST_GRAPH = 1 << 30
"""Bytes a graph may have once its weights are left out; 100,000 nodes are about 11 MB."""
NOWHERE = Path(os.devnull, "nowhere")
"""Stands for the folder of a model that came without one."""


@dataclass(frozen=True, eq=False)
class Model:
    """A model as written.

    Args:
        name: of the file.
        producer: who wrote it.
        body: the main graph.
        functions: local functions by (domain, name).
        known_opset: the newest version of ONNX's own operators the installed ``onnx`` defines.
    """

    name: str
    producer: str
    body: Body
    functions: dict[tuple[str, str], Body]
    known_opset: int


def load(path: str | Path) -> Model:
    """Load the ``.onnx`` file at ``path``.

    Raises:
        SpecError: it is not one, or its graph is not a graph.
    """
    path = Path(path)
    proto = parse(_graph_bytes(path), path.name)
    return model_of(proto, path.stem, path.parent)


def load_bytes(data: bytes, name: str) -> Model:
    """Load a model from memory; it has no folder, so no other file is read.

    Raises:
        SpecError: it is not one, or its graph is not a graph.
    """
    kept = _without_weights(memoryview(data), name)
    return model_of(parse(kept, name), Path(name).stem, NOWHERE)


def model_of(proto: ModelProto, name: str = "model", folder: Path = Path()) -> Model:
    """Return the model of a proto with external tensors in ``folder``; raises like ``load``."""
    if not proto.HasField("graph") or not (proto.graph.node or proto.graph.output):
        raise SpecError(f"{name}: the model has an empty graph", hint="export the model again")
    reader = Reader(folder, {o.domain: o.version for o in proto.opset_import})
    functions = {(f.domain, f.name): reader.function(f) for f in proto.functions}
    body = reader.graph(proto.graph)
    producer = f"{proto.producer_name} {proto.producer_version}".strip()
    return Model(name, producer, body, functions, onnx.defs.onnx_opset_version())


def parse(data: bytes, name: str) -> ModelProto:
    """Parse a model without its weights.

    Raises:
        SpecError: it is not an ONNX model.
    """
    proto = ModelProto()
    try:
        proto.ParseFromString(data)
    except (DecodeError, ValueError) as error:
        raise SpecError(
            f"{name} is not an ONNX model: {error}", hint="copy or export it again"
        ) from error
    return proto


def _graph_bytes(path: Path) -> bytes:
    if not path.is_file():
        what = f"{str(path)!r} is a folder" if path.is_dir() else f"there is no file {str(path)!r}"
        raise SpecError(
            what, hint=f"give the path of {'the' if path.is_dir() else 'an'} .onnx file"
        )
    if path.stat().st_size == 0:
        raise SpecError(f"{path.name} is empty", hint="copy or export it again")
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as view,
    ):
        return _without_weights(view, path.name)


def _without_weights(view: memoryview, name: str) -> bytes:
    if not len(view):
        raise SpecError(f"{name} is empty", hint="copy or export it again")
    if _is_text(bytes(view[:512])):
        raise SpecError(
            f"{name} is a text file, not an ONNX model",
            hint="a model in text form must be saved in the binary form first",
        )
    try:
        data = without_weights(view)
    except SpecError as error:
        raise SpecError(
            f"{name}: {error.message}", hint=error.hint or "copy or export it again"
        ) from error
    if len(data) > LARGEST_GRAPH:
        raise SpecError(
            f"{name}: {len(data)} bytes of graph are more than can be read",
            hint="keep large tensors as initializers, or as external data",
        )
    return data


def _is_text(start: bytes) -> bool:
    """Whether a file begins like text: ASCII without control characters but white space."""
    return all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start)
