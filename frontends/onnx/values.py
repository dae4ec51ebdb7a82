"""What a name in an ONNX graph holds: a tensor, a sequence of tensors, or an optional one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from mansard.core.errors import SpecError
from mansard.core.records import dataclass
from mansard.frontends.onnx.dims import Dim, Unresolved, product

Shape: TypeAlias = tuple[Dim, ...]
Scalar: TypeAlias = Dim | None
"""One element of a small tensor; nothing where it depends on data."""

KNOWN_ELEMENTS = 128
"""Elements a tensor may have for its values to be followed: shapes, axes, pads, small tables."""
MAX_RANK = 64
"""Axes a tensor may have; a longer shape is a mistake or an attack."""


@dataclass(frozen=True)
class Tensor:
    """A tensor: dtype, shape and, for a small one, its elements as expressions.

    Args:
        dtype: ONNX's name in short ("fp32", "int64"); empty when not known.
        shape: one size per axis; ``None`` when not even the rank is known.
        value: the elements in row-major order, each ``None`` where it depends on data.
        constant: whether it depends on weights and literals only.
    """

    dtype: str = ""
    shape: Shape | None = None
    value: tuple[Scalar, ...] | None = None
    constant: bool = False

    @property
    def dims(self) -> Shape:
        """The shape.

        Raises:
            Unresolved: the rank is not known.
        """
        if self.shape is None:
            raise Unresolved("an operand's rank is not known")
        return self.shape

    @property
    def rank(self) -> int:
        """The number of axes; raises like ``dims``."""
        return len(self.dims)

    @property
    def size(self) -> Dim:
        """The number of elements; raises like ``dims``."""
        return product(self.dims)

    @property
    def array(self) -> Any:
        """The elements as an object array, or ``None`` when they are not followed."""
        if self.value is None:
            return None
        found = np.empty(len(self.value), dtype=object)
        found[:] = self.value
        return found.reshape([int(d) for d in self.dims])

    def numbers(self) -> tuple[Dim, ...]:
        """Return the elements.

        Raises:
            Unresolved: one of them depends on data.
        """
        if self.value is None or any(v is None for v in self.value):
            raise Unresolved("an operand's elements are not known")
        return tuple(v for v in self.value if v is not None)

    def integers(self) -> tuple[int, ...]:
        """Return the elements as plain integers; raises like ``numbers``."""
        found = self.numbers()
        if not all(isinstance(v, int) for v in found):
            raise Unresolved(f"an operand's elements depend on symbols: {found}")
        return tuple(v for v in found if isinstance(v, int))

    def axis(self, axis: int) -> int:
        """Return an axis counted from the front."""
        if not -self.rank <= axis < max(self.rank, 1):
            raise SpecError(f"axis {axis} of a tensor of {self.rank} axes")
        return axis % self.rank if self.rank else 0

    def like(self, shape: Iterable[Dim] | None = None, dtype: str | None = None) -> Tensor:
        """Return a tensor of other elements, of another shape or dtype where given."""
        kept = self.shape if shape is None else tuple(shape)
        return Tensor(self.dtype if dtype is None else dtype, kept)

    def filled(self, array: Any) -> Tensor:
        """Return the tensor with the elements of an object array, when they are few."""
        if array is None or self.shape is None:
            return self
        array = np.asarray(array, dtype=object)  # a scalar comes out of numpy bare
        if array.size > KNOWN_ELEMENTS:
            return self
        return replace(self, value=tuple(array.ravel().tolist()))


@dataclass(frozen=True)
class Sequence:
    """A sequence of tensors: what its elements have in common, how many, and each where known."""

    element: Tensor = Tensor()
    length: Dim | None = None
    items: tuple[Tensor, ...] | None = None
    constant: bool = False


@dataclass(frozen=True)
class Optional:
    """A value that may be absent; ``present`` is ``None`` where data decide."""

    element: Tensor | Sequence = Tensor()
    present: bool | None = None
    constant: bool = False


Value: TypeAlias = Tensor | Sequence | Optional

UNKNOWN = Tensor()
"""A tensor of which nothing is known."""


def shaped(dtype: str, shape: Iterable[Dim]) -> Tensor:
    """Return a tensor of which dtype and shape are known.

    Raises:
        Unresolved: it has more axes than a tensor can have.
    """
    shape = tuple(shape)
    if len(shape) > MAX_RANK:
        raise Unresolved(f"a tensor of {len(shape)} axes")
    return Tensor(dtype, shape)


def listed(elements: Iterable[Scalar], dtype: str = "int64") -> Tensor:
    """Return a vector whose elements are known."""
    elements = tuple(elements)
    kept = elements if len(elements) <= KNOWN_ELEMENTS else None
    return Tensor(dtype, (len(elements),), kept)
