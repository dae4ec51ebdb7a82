"""The cost table: what every kernel of a program does, ready to evaluate.

A backend never looks inside an op: it reads rows. Each holds the name, kind and sizes of a
kernel, how often a call runs it, and its work as quantities of one tape.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property, reduce

import sympy as sp

from mansard.backends.quantity import Tape
from mansard.core.records import dataclass
from mansard.core.symbols import Expr
from mansard.ir.alike import likeness
from mansard.ir.cost import MATRIX, Cost, Link, Work
from mansard.ir.graph import Graph
from mansard.ir.kernel import Kernel
from mansard.ir.once import once
from mansard.ir.region import Overlap, Region

Traffic = tuple[str, str]
"""(place, role) of bytes that move."""


@dataclass(frozen=True)
class TableRow:
    """One kernel; quantities are indices into the tape.

    Args:
        name: what people call it.
        kind: of its main op.
        graph: the graph it belongs to.
        device: it runs on; empty for the only one.
        group: the ``Overlap`` it runs in, 0 for none; rows of one group run side by side.
        count: runs in one call.
        dims: the sizes its kernel is known by.
        flops: by (unit, dtype, structure).
        traffic: by (place, role).
        payload: by (collective, axis, ranks).
        launches: kernels started.
        weight: the encoding of the largest weight it reads, as text.
        members: names of the ops in it.
        because: the passes that touched them, with their reasons.
        cost: the same work as expressions, for ``explain``; by values of the first kernel alike.
    """

    name: str
    kind: str
    graph: str
    device: str
    group: int
    count: int
    dims: Mapping[str, int | str]
    flops: Mapping[Work, int]
    traffic: Mapping[Traffic, int]
    payload: Mapping[Link, int]
    launches: int
    weight: str
    members: tuple[str, ...]
    because: tuple[str, ...]
    cost: Cost

    @cached_property
    def formulas(self) -> Mapping[str, str]:
        """The work as text, once somebody reads it."""
        return Formulas(self.cost)


class Formulas(Mapping[str, str]):
    """A cost as text, written when somebody reads it: writing takes as long as pricing."""

    def __init__(self, cost: Cost):
        self._cost = cost

    @cached_property
    def _written(self) -> dict[str, str]:
        cost = self._cost
        matrix = sp.Add(*(n for (unit, _, _), n in cost.flops.items() if unit == MATRIX))
        vector = sp.Add(*(n for (unit, _, _), n in cost.flops.items() if unit != MATRIX))
        parts = {"matrix_flops": matrix, "vector_flops": vector, "bytes": cost.bytes}
        return {name: str(value) for name, value in parts.items() if value != 0}

    def __getitem__(self, name: str) -> str:
        return self._written[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._written)

    def __len__(self) -> int:
        return len(self._written)


@dataclass(frozen=True)
class Table:
    """The rows of one graph and the tape their quantities are on."""

    tape: Tape
    rows: tuple[TableRow, ...]


@once
def tabulate(graph: Graph, name: str) -> Table:
    """Return the rows of a graph: one per kernel that does anything, equal ones merged.

    Kernels of one likeness are priced once.
    """
    tape = Tape()
    numbers: dict[Hashable, int] = {}
    priced: list[TableRow | None] = []
    seen: dict[tuple[object, ...], tuple[TableRow, Expr]] = {}
    for kernel, around, count, group in _launches(graph, sp.S.One, 0):
        like = (likeness(kernel), kernel.device, group, around)
        if (at := numbers.setdefault(like, len(numbers))) == len(priced):
            cost = reduce(lambda cost, region: region.lift(cost), around, kernel.cost)
            priced.append(None if cost.is_free else _row(kernel, cost, name, group, tape))
        if (row := priced[at]) is None:
            continue
        if row.name != kernel.name:
            row = replace(row, name=kernel.name, members=_members(kernel), because=_because(kernel))
        key = (
            row.name, row.kind, row.device, group, *row.dims.items(), *row.flops.items(),
            *row.traffic.items(), *row.payload.items(), row.weight,
        )  # fmt: skip
        first, before = seen.get(key, (row, sp.S.Zero))
        seen[key] = (first, before + count)
    rows = (_counted(row, tape.add(count)) for row, count in seen.values())
    return Table(tape, tuple(rows))


def _launches(
    graph: Graph, count: Expr, group: int, around: tuple[Region, ...] = ()
) -> Iterator[tuple[Kernel, tuple[Region, ...], Expr, int]]:
    """Yield (kernel, regions around it, inner first, runs per call, overlap group)."""
    for kernel in graph.kernels:
        op = kernel.ops[0]
        if not isinstance(op, Region):
            yield kernel, around, count, group
            continue
        inside = id(op) if isinstance(op, Overlap) else group
        trips = count * getattr(op, "trips", sp.S.One)
        yield from _launches(op.body, trips, inside, (op, *around))


def _row(kernel: Kernel, cost: Cost, graph: str, group: int, tape: Tape) -> TableRow:
    dims = {k: v if isinstance(v, str) else tape.add(v) for k, v in kernel.dims().items()}
    return TableRow(
        name=kernel.name,
        kind=kernel.kind,
        graph=graph,
        device=kernel.device,
        group=group,
        count=0,
        dims=dims,
        flops={work: tape.add(n) for work, n in cost.flops.items()},
        traffic={k: tape.total(sizes) for k, sizes in _moved(cost).items()},
        payload={link: tape.add(n) for link, n in cost.payload.items()},
        launches=tape.add(cost.launches),
        weight=_weight(cost),
        members=_members(kernel),
        because=_because(kernel),
        cost=cost,
    )


def _members(kernel: Kernel) -> tuple[str, ...]:
    return tuple(dict.fromkeys(op.name for op in kernel.ops if not op.is_view))


def _because(kernel: Kernel) -> tuple[str, ...]:
    return tuple(dict.fromkeys(reason for op in kernel.ops for reason in op.because))


def _counted(row: TableRow, count: int) -> TableRow:
    return replace(row, count=count)


def _moved(cost: Cost) -> dict[Traffic, list[Expr]]:
    """Return the bytes a kernel moves, by place and role."""
    found: dict[Traffic, list[Expr]] = {}
    for value, size in cost.traffic():
        found.setdefault((value.place, value.role), []).append(size)
    return found


def _weight(cost: Cost) -> str:
    weights = [v for v in cost.reads if v.role == "weight"]
    largest = max(weights, key=lambda v: float(v.bytes) if v.bytes.is_number else 0.0, default=None)
    return str(largest.encoding) if largest is not None else ""
