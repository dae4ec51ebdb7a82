"""From the weight a product reads back to the leaves it is made of, whatever views lie between."""

from __future__ import annotations

from collections.abc import Iterator

from mansard.core.errors import SpecError
from mansard.core.symbols import total
from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.ops import Dequantize, Join, Reshape, Slice, Transpose
from mansard.ir.ops.paging import Paged
from mansard.ir.value import Value
from mansard.passes.parallel.layout import Part, Split, regrouped


def pushed(graph: Graph, value: Value, split: Split) -> Iterator[tuple[Value, Split]]:
    """Yield how each value between a divided one and its leaves is divided, leaves included.

    Raises:
        SpecError: an op stands between that cannot be looked through.
    """
    yield value, split
    owner = graph.producers.get(value)
    if owner is None:
        for part, its in zip(value.parts, _joined_parts(value.parts, value.type.axis, split),
                             strict=True) if value.parts else ():  # fmt: skip
            yield from pushed(graph, part, its)
        return
    match owner:
        case Dequantize():
            yield from pushed(graph, owner.x, split)
        case Paged():
            yield from pushed(graph, owner.cache, split)
        case Join():
            for x, its in zip(owner.xs, _joined_parts(owner.xs, int(owner.axis), split),
                              strict=True):  # fmt: skip
                yield from pushed(graph, x, its)
        case Transpose():
            yield from pushed(graph, owner.x, split.at(int(owner.order[split.axis])))
        case Reshape():
            carried = regrouped(owner.out.shape, owner.x.shape, split.axis)
            if carried is None:
                raise _stuck(owner)
            yield from pushed(graph, owner.x, split.at(*carried))
        case Slice() if int(owner.axis) != split.axis:
            yield from pushed(graph, owner.x, split)
        case _:
            raise _stuck(owner)


def _joined_parts(xs: tuple[Value, ...], axis: int, split: Split) -> list[Split]:
    """Return the split of each value that lies side by side with others."""
    if axis != split.axis:
        return [split for _ in xs]
    found, at = [], total(())
    for x in xs:
        size = x.shape[axis]
        inside = split.between(at, size)
        parts = inside[1] if inside else (Part(size, size * split.ratio),)
        found.append(Split(axis, parts, split.origins))
        at += size
    return found


def _stuck(op: Op) -> SpecError:
    return SpecError(
        f"the weight behind {op.kind} %{op.out.name} cannot be divided through it",
        hint="put parallel before the technique that made it",
    )
