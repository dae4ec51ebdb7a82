"""Values: named tensors with a symbolic shape, an encoding, a role, a storage and a place."""

from __future__ import annotations

from dataclasses import field, replace
from functools import cached_property
from typing import Any

import sympy as sp

from mansard.core.dtypes import Encoding
from mansard.core.records import dataclass
from mansard.core.symbols import Expr, ExprLike, expr, least, product, total

ROLES = ("weight", "activation", "cache", "state", "index", "table")
MEMORY, ONCHIP = "memory", "onchip"

Shape = tuple[Expr, ...]


@dataclass(frozen=True)
class TensorType:
    """What an op says of a result: everything of a value but its name.

    Args:
        shape: one expression per axis.
        encoding: how the elements lie.
        role: weight, activation, cache, state, index or table.
        storage: names the bytes; empty for what has none of its own.
        place: where they lie: ``memory``, ``onchip``, ``host``, ``storage``, a device's memory.
        live: how many elements exist, where a mask leaves some out.
        parts: the stored values a joined value is made of, in order along ``axis``.
        axis: the axis ``parts`` are joined along; -1 when a view has mixed them.
    """

    shape: Shape
    encoding: Encoding = field(default=Encoding())
    role: str = "activation"
    storage: str = ""
    place: str = MEMORY
    live: Expr | None = None
    parts: tuple[Value, ...] = ()
    axis: int = 0


@dataclass(frozen=True, eq=False)
class Value:
    """One SSA value, compared by identity."""

    name: str
    type: TensorType

    @property
    def shape(self) -> Shape:
        """One expression per axis."""
        return self.type.shape

    @property
    def encoding(self) -> Encoding:
        """How the elements lie."""
        return self.type.encoding

    @property
    def role(self) -> str:
        """One of ``ROLES``."""
        return self.type.role

    @property
    def storage(self) -> str:
        """The name of the bytes, or nothing."""
        return self.type.storage

    @property
    def place(self) -> str:
        """Where the bytes lie."""
        return self.type.place

    @property
    def parts(self) -> tuple[Value, ...]:
        """The stored values this one is made of."""
        return self.type.parts

    @cached_property
    def numel(self) -> Expr:
        """Number of elements."""
        return product(self.shape)

    @cached_property
    def computed(self) -> Expr:
        """Number of elements that exist: all, unless a mask leaves some out."""
        return self.numel if self.type.live is None else self.type.live

    @cached_property
    def bytes(self) -> Expr:
        """Size of the elements that exist [B]."""
        if self.parts:
            return total(p.bytes for p in self.parts)
        return product((self.computed, self.encoding.bits / 8))

    def rows(self, axis: int, n: ExprLike) -> dict[Value, Expr]:
        """Return the bytes each stored part gives to the last ``n`` rows along ``axis``."""
        n = expr(n)
        if not self.parts or self.type.axis != axis:
            return {p: self._share(p, axis) * n for p in stored_parts(self)}
        taken: dict[Value, Expr] = {}
        for part in reversed(self.parts):
            take = least(n, part.shape[axis])
            for value, size in part.rows(axis, take).items():
                taken[value] = taken.get(value, sp.S.Zero) + size
            n = n - take
        return taken

    def _share(self, part: Value, axis: int) -> Expr:
        """Return what a row along an axis has of a part, which may lie in another shape."""
        alike = axis < len(part.shape) and part.shape[axis] == self.shape[axis]
        return part.row_bytes(axis) if alike else part.bytes / self.shape[axis]

    def row_bytes(self, axis: int) -> Expr:
        """Return the bytes of one row along an axis; rows that only fill a page up are none."""
        live = self.computed / self.shape[axis]
        padded = not sp.denom(live).is_number
        return (self.numel / self.shape[axis] if padded else live) * (self.encoding.bits / 8)

    def with_type(self, **changes: Any) -> Value:
        """Return a value of the same name with some of its type changed."""
        return Value(self.name, replace(self.type, **changes))

    def __repr__(self) -> str:
        return f"%{self.name}: {self.encoding}[{', '.join(map(str, self.shape))}]"


def stored_parts(value: Value) -> tuple[Value, ...]:
    """Return the values whose bytes are read when ``value`` is: its parts, or itself."""
    return tuple(leaf for p in value.parts for leaf in stored_parts(p)) or (value,)
