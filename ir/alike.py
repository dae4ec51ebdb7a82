"""When two kernels do the same: all that their work is made of, without what things are called.

Most layers of a model repeat each other. Kernels of one likeness have one cost, its values aside,
so whoever prices a graph prices each likeness once.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from mansard.ir.op import declared
from mansard.ir.value import Value

if TYPE_CHECKING:
    from mansard.ir.kernel import Kernel


def likeness(kernel: Kernel) -> Hashable:
    """Return what is equal for kernels of equal work, kind and sizes.

    Ops with what they declare, values with their types, numbered in order of appearance as the
    storages are; a result also says whether anything outside reads it, since then it is stored.
    Labels and names are left out, as no formula reads them.
    """
    found = _Numbered().kernel(kernel)
    try:
        hash(found)
    except TypeError:  # an attribute that no two kernels can be compared by
        return kernel
    return found


class _Numbered:
    """Values and storages of one kernel, numbered as they appear."""

    def __init__(self) -> None:
        self._values: dict[Value, tuple[int]] = {}
        self._storages: dict[str, int] = {"": 0}
        self._found: list[Hashable] = []

    def kernel(self, kernel: Kernel) -> Hashable:
        found, inside = self._found, set(kernel.ops)
        uses, outputs = kernel.graph.uses, kernel.graph.outputs
        for op in kernel.ops:
            found.append(type(op))
            for f in declared(type(op)):
                found.append(self._field(getattr(op, f.name)))
            for out in op.outs:
                read = not inside.issuperset(uses.get(out, ()))
                found.append((self._value(out), read or out in outputs))
        return tuple(found)

    def _field(self, value: Any) -> Hashable:
        if isinstance(value, Value):
            return self._value(value)
        if isinstance(value, tuple):
            return tuple(map(self._field, value))
        hashable: Hashable = value
        return hashable

    def _value(self, value: Value) -> Hashable:
        """Return the number of a value; one in a tuple, which no attribute is equal to."""
        number = self._values.get(value)
        if number is None:
            number = self._values[value] = (len(self._values),)
            t = value.type
            storage = self._storages.setdefault(t.storage, len(self._storages))
            parts = tuple(map(self._value, t.parts))
            self._found.append(
                (number, t.shape, t.encoding, t.role, storage, t.place, t.live, parts, t.axis)
            )
        return number
