"""Stored tensors: shape, dtype and place from the proto; elements only of the smallest ones."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import sympy as sp
from onnx import TensorProto, numpy_helper

from mansard.core.errors import SpecError
from mansard.frontends.onnx.dims import LARGEST
from mansard.frontends.onnx.dtypes import BITS, FLOATS, INTEGERS, name_of
from mansard.frontends.onnx.graph import Weight
from mansard.frontends.onnx.values import KNOWN_ELEMENTS, MAX_RANK, Scalar
from mansard.frontends.onnx.wire import INLINE_LIMIT

KNOWN_FLOATS = 8
"""Elements of a float tensor that are followed, unless all are 0 or 1: scales, not weights."""
_FOLLOWED = FLOATS | INTEGERS | {"bool"}


class Tensors:
    """Reads the tensors of one model, giving one storage to equal places of external files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._places: dict[tuple[str, int, int], str] = {}
        self._used: set[str] = set()

    def read(self, proto: TensorProto, name: str) -> Weight:
        """Return a tensor without its bytes.

        Raises:
            SpecError: its dtype or dims make no sense, or its data lie outside the folder.
        """
        where = f"tensor {name!r}"
        dtype = name_of(proto.data_type, where)
        shape = tuple(proto.dims)
        if len(shape) > MAX_RANK or any(d < 0 for d in shape) or math.prod(shape) > LARGEST:
            wrong = "axes" if len(shape) > MAX_RANK else "elements"
            wrong = "one is negative" if min(shape) < 0 else f"more {wrong} than a tensor can have"
            raise SpecError(
                f"{where} has the dims {list(shape[:8])}: {wrong}", hint="export the model again"
            )
        location, offset, length = "", 0, 0
        if proto.data_location == TensorProto.EXTERNAL:
            location, offset, length = self._place(proto, where)
        storage = self._storage(name, (location, offset, length))
        value = self._elements(proto, dtype, shape, location, offset, where)
        return Weight(name, dtype, shape, storage, location, offset, value)

    def _place(self, proto: TensorProto, where: str) -> tuple[str, int, int]:
        entries = {e.key: e.value for e in proto.external_data}
        location = entries.get("location", "")
        try:
            offset, length = int(entries.get("offset") or 0), int(entries.get("length") or 0)
        except ValueError:
            raise SpecError(
                f"{where} has external data at {entries!r}", hint="export the model again"
            ) from None
        target = Path(location)
        outside = target.is_absolute() or ".." in target.parts or ":" in location[:3]
        if (
            not location
            or outside
            or "\\" in location
            or "\0" in location
            or min(offset, length) < 0
        ):
            raise SpecError(
                f"{where} has its data outside the model's folder, at {location!r}",
                hint="external data must lie beside the model",
            )
        return location, offset, length

    def _storage(self, name: str, place: tuple[str, int, int]) -> str:
        if place[0] and place[2] and place in self._places:
            return self._places[place]
        storage = name
        for copy in range(2, len(self._used) + 3):
            if storage not in self._used:
                break
            storage = f"{name}#{copy}"
        self._used.add(storage)
        self._places[place] = storage
        return storage

    def _elements(
        self,
        proto: TensorProto,
        dtype: str,
        shape: tuple[int, ...],
        location: str,
        offset: int,
        where: str,
    ) -> tuple[Scalar, ...] | None:
        size = math.prod(shape)
        if size > KNOWN_ELEMENTS or dtype not in _FOLLOWED:
            return None
        if location:
            raw = self._small_file(location, offset, -(-size * BITS[dtype] // 8))
            if raw is None:
                return None
            proto = onnx.TensorProto(dims=shape, data_type=proto.data_type, raw_data=raw)
        try:
            array = numpy_helper.to_array(proto)
        except (ValueError, TypeError, ArithmeticError) as error:
            raise SpecError(
                f"{where}: its data do not fit its dims {shape}", hint="export the model again"
            ) from error
        if array.size != size:
            raise SpecError(
                f"{where}: its data do not fit its dims {shape}", hint="export the model again"
            )
        if dtype in FLOATS:
            floats = array.astype(np.float64).ravel()
            if size > KNOWN_FLOATS and not np.isin(floats, (0.0, 1.0)).all():
                return None
            return tuple(exact(float(v)) for v in floats)
        return tuple(int(v) for v in array.ravel())

    def _small_file(self, location: str, offset: int, size: int) -> bytes | None:
        """Return a small tensor's bytes; nothing when the file is absent, a link out, or short."""
        path = (self.folder / location).resolve()
        if size > INLINE_LIMIT or not path.is_relative_to(self.folder.resolve()):
            return None
        if not path.is_file():
            return None
        with path.open("rb") as file:
            file.seek(offset)
            raw = file.read(size)
        return raw if len(raw) == size else None


def exact(number: float) -> Scalar:
    """Return a float as an int or a fraction; nothing for what is no number."""
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() else sp.Rational(*number.as_integer_ratio())
