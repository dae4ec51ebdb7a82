"""Layers that repeat: how many there are, and cutting or interleaving them.

Storages carry the layer's index as ``{i}`` or ``{2i+1}``, the trip being ``i``; a part of a repeat
that starts at trip 8 names its own ``{i+8}``, so that no two parts share what they do not.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

from mansard.core.errors import SpecError
from mansard.core.symbols import expr
from mansard.ir.builder import fresh_name
from mansard.ir.graph import Graph, drop_dead
from mansard.ir.op import Op, finish
from mansard.ir.region import Repeat
from mansard.ir.rewrite import keeping_outputs, rebuild
from mansard.ir.value import Value
from mansard.ir.verify import verify
from mansard.passes.editing import edited

ENCLOSING = ("exit-early", "prune-tokens")
"""Techniques that put what follows a layer into a region: neither finds a run behind the other."""
_INDEX = re.compile(r"\{(\d*)i(?:\+(\d+))?\}")


def layers_of(body: Graph) -> int:
    """Return how many layers one trip of a body is, by the indices its storages carry."""
    found = {m[0] for leaf in body.leaves for m in _INDEX.finditer(leaf.storage)}
    return max(len(found), 1)


def longest(graph: Graph, what: str) -> Repeat:
    """Return the repeat with the most layers.

    Raises:
        SpecError: the graph has none.
    """
    for op in graph.ops:
        if any(isinstance(inner, Repeat) for body in op.bodies for inner in body.ops):
            raise _already_cut(op, what)
    found = [op for op in graph.ops if isinstance(op, Repeat)]
    if not found:
        raise SpecError(f"{what}: the graph has no layers that repeat",
                        hint="use a model of more than one layer")  # fmt: skip
    if not all(op.ins for op in found):
        raise SpecError(f"{what}: an earlier technique made a graph of caches alone",
                        hint=f"put {what} before disaggregate")  # fmt: skip
    return max(found, key=lambda op: int(op.trips) * layers_of(op.body))


def _already_cut(region: Op, what: str) -> SpecError:
    """Return the error of a technique that needs the run whole after one that enclosed a part."""
    maker = region.because[0].partition(":")[0] if region.because else "an earlier technique"
    both = {what, maker} <= set(ENCLOSING)
    hint = "use one of the two" if both else f"put {what} before {maker}"
    return SpecError(f"{what}: {maker} cut the layers at {region.name!r}", hint=hint)


def trips(op: Repeat, layers: int, what: str) -> int:
    """Return how many trips are so many layers.

    Raises:
        SpecError: they are no whole trips, or more than there are.
    """
    a_trip = layers_of(op.body)
    if layers % a_trip:
        raise SpecError(f"{what}: {layers} layers, which repeat in periods of {a_trip}",
                        hint=f"a multiple of {a_trip}")  # fmt: skip
    if layers > int(op.trips) * a_trip:
        raise SpecError(f"{what}: {layers} of {int(op.trips) * a_trip} layers that repeat",
                        hint=f"at most {int(op.trips) * a_trip}")  # fmt: skip
    return layers // a_trip


def renumbered(body: Graph, every: int, offset: int, shared: tuple[str, ...] = ()) -> Graph:
    """Return a body whose trip ``i`` uses what trip ``every·i + offset`` of the old one did."""
    if (every, offset) == (1, 0):
        return body

    def moved(m: re.Match[str]) -> str:
        step, start = int(m[1] or 1), int(m[2] or 0)
        step, start = step * every, start + step * offset
        return f"{{{step if step > 1 else ''}i{f'+{start}' if start else ''}}}"

    def named(leaf: Value) -> str:
        new, found = _INDEX.subn(moved, leaf.storage)
        return new if found or leaf.storage in shared else f"{leaf.storage}@{every}i+{offset}"

    return edited(body, leaves=lambda v: replace(v.type, storage=named(v)))


def part(op: Repeat, first: int, count: int) -> Repeat:
    """Return the trips ``first … first + count - 1`` of a repeat, as a repeat of their own."""
    body = renumbered(op.body, 1, first, op.shared)
    return replace(op, body=body, trips=expr(count), outs=())


def without_deepest(graph: Graph, layers: int, what: str, why: str) -> Graph:
    """Return the graph without the deepest layers of its longest run.

    Raises:
        SpecError: none of the run is left, or the layers are no whole trips.
    """
    old = longest(graph, what)
    kept = int(old.trips) - trips(old, layers, what)
    if not kept:
        raise SpecError(f"{what}: no layer of the run is left", hint="leave out fewer")
    made = finish(part(old, 0, kept).explained(why), old.out.name)
    swapped = dict(zip(old.outs, made.outs, strict=True))
    return verify(rebuild(graph, edits={old: [made]}, swapped=swapped))


def cut(graph: Graph, what: str, at: tuple[int, ...]) -> Graph:
    """Return the graph with its longest run cut after given trips, which changes no cost.

    A variant whose run is cut names its storages so; the graph it shares them with must, too.
    """
    old = longest(graph, what)
    taken = {v.name for v in (*graph.inputs, *graph.producers)}
    made: list[Op] = []
    ins = old.ins
    for first, end in pairwise((0, *at, int(old.trips))):
        if end > first:
            piece = replace(part(old, first, end - first), ins=ins)
            made.append(finish(piece, fresh_name(old.out.name, taken)))
            ins = (*made[-1].outs, *old.ins[len(made[-1].outs) :])
    swapped = dict(zip(old.outs, made[-1].outs, strict=True))
    made_of = verify(rebuild(graph, edits={old: made}, swapped=swapped))
    return keeping_outputs(graph, made_of)


def inlined(
    body: Graph, ins: tuple[Value, ...], taken: set[str]
) -> tuple[list[Op], tuple[Value, ...]]:
    """Return a body's ops reading other inputs, under names that are free, and its outputs."""
    now = dict(zip(body.inputs, ins, strict=True))
    ops: list[Op] = []
    labels: dict[str, str] = {}
    for old in body.ops:
        types = (replace(v.type, parts=tuple(now.get(p, p) for p in v.type.parts))
                 for v in old.outs)  # fmt: skip
        pairs = zip(old.outs, types, strict=True)
        outs = tuple(Value(fresh_name(v.name, taken), t) for v, t in pairs)
        if old.kernel and old.kernel not in labels:
            labels[old.kernel] = fresh_name(f"{old.kernel}", taken) if ops or taken else old.kernel
        ops.append(replace(old.with_operands(now), outs=outs, kernel=labels.get(old.kernel, "")))
        now.update(zip(old.outs, outs, strict=True))
    return ops, tuple(now.get(v, v) for v in body.outputs)


def enclosed(ops: list[Op], ins: tuple[Value, ...], outs: tuple[Value, ...]) -> Graph:
    """Return a graph of ops over what is handed in."""
    given = tuple(Value(v.name, replace(v.type, parts=())) for v in ins)
    now = dict(zip(ins, given, strict=True))
    inner = tuple(op.with_operands(now) for op in ops)
    return Graph(given, inner, tuple(now.get(v, v) for v in outs))


def filled(body: Graph) -> Graph:
    """Return what of a body fills its caches when every layer gets the state handed in.

    A layer's own input is replaced by the body's, as the state of a token that left is copied to
    all layers above; what has no effect is dead then.
    """
    x = body.inputs[0]
    at: dict[Value, str] = {}
    layer = ""
    ops: list[Op] = []
    for op in body.ops:
        indices = [m[0] for v in op.operands for m in _INDEX.finditer(v.storage)]
        fresh = bool(indices) and indices[0] != layer
        layer = indices[0] if indices else layer
        outer = {v: x for v in op.operands if at.get(v, layer) != layer and v.shape == x.shape}
        ops.append(op.with_operands(outer) if fresh or outer else op)
        at.update(dict.fromkeys(op.outs, layer))
    return drop_dead(replace(body, ops=tuple(ops), outputs=body.inputs[: len(body.outputs)]))
