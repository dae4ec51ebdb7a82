"""Layers that a graph spells out one after another, rolled into one body that repeats.

A stretch of ops repeats when each trip has ops of the same kinds, attributes and types, and takes
what the trip before left at the same places. Periods are found as for configs: the longest stretch
counts, and of equal ones the shortest period.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from mansard.core.records import dataclass
from mansard.frontends.onnx.lower.wiring import Wiring, wiring
from mansard.ir.builder import Builder
from mansard.ir.graph import Graph
from mansard.ir.op import Op
from mansard.ir.region import Repeat
from mansard.ir.value import TensorType, Value

LONGEST = 4000
"""Ops of the longest period that is looked for: a layer of a hundred experts."""
SHORTEST = 3
"""Ops of the shortest period that is rolled: less is no layer."""
MOST_WORK = 20_000_000
"""Comparisons of ops before what is left stays as it is: graphs made to look alike have no end."""
_WIRING = 50
"""Comparisons that following an op's operands is worth."""
_INDEX = re.compile(r"\d+")


@dataclass(frozen=True)
class Stretch:
    """``ops[first : first + period]``, ``trips`` times over."""

    first: int
    period: int
    trips: int
    wires: Wiring


def rolled(graph: Graph) -> Graph:
    """Return the graph with repeated stretches of ops as regions."""
    found = list(stretches(graph))
    if not found:
        return graph
    build, at = Builder(), 0
    seen: dict[Value, Value] = {}
    for value in graph.inputs:
        kind = value.type
        seen[value] = build.input(value.name, *kind.shape, encoding=kind.encoding, role=kind.role)
    for stretch in found:
        _copy(build, graph.ops[at : stretch.first], seen)
        _repeat(build, graph, stretch, seen)
        at = stretch.first + stretch.period * stretch.trips
    _copy(build, graph.ops[at:], seen)
    return build.done(*(seen[v] for v in graph.outputs))


def stretches(graph: Graph) -> Iterator[Stretch]:
    """Cut the ops of a graph into stretches that repeat; what lies between is left as it is."""
    numbers: dict[Any, int] = {}
    marks = [numbers.setdefault(_mark(op), len(numbers)) for op in graph.ops]
    places: dict[int, list[int]] = {}
    for at, mark in enumerate(marks):
        places.setdefault(mark, []).append(at)
    at, left = 0, MOST_WORK
    while at < len(marks) and left > 0:
        found = list(_candidates(marks, places, at))
        best = max(found, key=lambda c: (c[0] * c[1], -c[0]), default=None)
        wires = wiring(graph, at, *best) if best else None
        left -= sum(period * trips for period, trips in found)
        left -= _WIRING * best[0] * best[1] if best else 0
        if best is None or wires is None:
            at += 1
            continue
        yield Stretch(at, best[0], best[1], wires)
        at += best[0] * best[1]


def _candidates(
    marks: Sequence[int], places: dict[int, list[int]], at: int
) -> Iterator[tuple[int, int]]:
    """Yield (period, trips) of what repeats from a place on."""
    for other in places[marks[at]]:
        period = other - at
        if period < SHORTEST or period > LONGEST or at + 2 * period > len(marks):
            continue
        body, trips = marks[at : at + period], 1
        while marks[at + trips * period : at + (trips + 1) * period] == body:
            trips += 1
        if trips > 1:
            yield period, trips
        if at + trips * period > len(marks) - SHORTEST:
            return  # nothing longer is left to find, and the shortest period comes first


def _mark(op: Op) -> Any:
    """Return what ops of different layers have in common when they do the same."""
    if op.bodies:
        return op
    attributes = tuple((k, str(v)) for k, v in sorted(op.attributes().items()))
    operands = tuple((name, tuple(map(_type, values))) for name, values in op.operand_fields())
    return op.kind, _base(op.name), attributes, operands, tuple(map(_type, op.outs))


def _type(value: Value) -> Any:
    kind: TensorType = value.type
    return kind.shape, kind.encoding, kind.role, kind.place, kind.live, bool(kind.storage)


def _base(name: str) -> str:
    return name.split("~", 1)[0].removeprefix("layers.")


def _copy(build: Builder, ops: Sequence[Op], seen: dict[Value, Value]) -> None:
    for op in ops:
        made = op.with_operands({v: w for v, w in seen.items() if v in op.operands})
        outs = build.multiple(replace(made, outs=()), op.out.name.split("~", 1)[0])
        seen.update(zip(op.outs, outs, strict=True))


def _repeat(build: Builder, graph: Graph, s: Stretch, seen: dict[Value, Value]) -> None:
    """Append a region for a stretch; its first trip is the body."""
    body_ops = graph.ops[s.first : s.first + s.period]
    taken = (*s.wires.carried_in, *s.wires.fixed)

    def fill(inner: Builder, given: tuple[Value, ...]) -> tuple[Value, ...]:
        here = dict(zip(taken, given, strict=True))
        here.update(_leaves(inner, graph, s))
        for op in body_ops:
            name = f"layers.{_base(op.name)}"
            mine = {v: w for v, w in here.items() if v in op.operands}
            outs = inner.multiple(replace(op.with_operands(mine), outs=(), name=""), name)
            here.update(zip(op.outs, outs, strict=True))
        return tuple(here[v] for v in s.wires.left)

    shared = tuple(v.storage for v in s.wires.shared if v.role in ("weight", "table"))

    def repeat(body: Graph, ins: tuple[Value, ...]) -> Repeat:
        return Repeat(body, ins, s.trips, shared)

    given = tuple(seen.get(v, v) for v in taken)
    outs = build.region(repeat, "layers", given, fill)
    seen.update(zip(s.wires.results, outs, strict=True))


def _leaves(inner: Builder, graph: Graph, s: Stretch) -> dict[Value, Value]:
    """Return the leaves of the first trip as the body's, the layer's index written ``{i}``."""
    found: dict[Value, Value] = {}
    named: dict[str, str] = {}
    for first, second in s.wires.own:
        storage = indexed(first.storage, second.storage) or f"layers.{{i}}.{first.storage}"
        storage = named.setdefault(first.storage, storage)
        kind = first.type
        found[first] = inner.leaf(
            storage, *kind.shape, encoding=kind.encoding, role=kind.role, place=kind.place
        )
    return found


def indexed(first: str, second: str) -> str:
    """Return a name with the number in which two layers' names differ as ``{i}``; else nothing.

    >>> indexed("model.layers.0.mlp.weight", "model.layers.1.mlp.weight")
    'model.layers.{i}.mlp.weight'
    >>> indexed("past.3.key", "past.4.key"), indexed("onnx::MatMul_7", "onnx::MatMul_19")
    ('past.{i+3}.key', '')
    """
    a, b = list(_INDEX.finditer(first)), list(_INDEX.finditer(second))
    if _INDEX.sub("#", first) != _INDEX.sub("#", second):
        return ""
    differ = [k for k, (x, y) in enumerate(zip(a, b, strict=True)) if x[0] != y[0]]
    if len(differ) != 1:
        return ""
    x, y = a[differ[0]], b[differ[0]]
    start, step = int(x[0]), int(y[0]) - int(x[0])
    alone = first[x.start() - 1 : x.start()] in (".", "/", "_") and first[x.end() :][:1] in (
        ".",
        "/",
        "_",
    )
    if step < 1 or not alone:
        return ""
    text = f"{step}i" if step > 1 else "i"
    return f"{first[: x.start()]}{{{text}{f'+{start}' if start else ''}}}{first[x.end() :]}"
