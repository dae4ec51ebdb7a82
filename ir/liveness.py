"""Which activations exist at each launch: the structure behind peak memory.

A kernel is one point in time, so what it makes and uses itself never exists. A view occupies
nothing and keeps what it looks at alive. What has a storage is counted there, not here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from mansard.core.symbols import Expr
from mansard.ir.graph import Graph
from mansard.ir.kernel import Kernel
from mansard.ir.op import Op
from mansard.ir.region import Region, Repeat, Routed
from mansard.ir.value import Value

Roots = tuple[Value, ...]


def liveness(graph: Graph) -> list[tuple[str, tuple[Value, ...]]]:
    """Return (kernel, values alive during it) in launch order, bodies written out in place.

    Inputs live until their last use, outputs to the end. During a body its region's operands and
    results are the body's own inputs and outputs; what else is alive stays so.
    """
    given = {v: _stored(v) for v in graph.inputs}
    return [(label, tuple(alive)) for label, alive in _points(graph, given)]


def live_sets(graph: Graph) -> tuple[tuple[Value, ...], ...]:
    """Return the sets of values alive at one time, without those another contains.

    Their bytes are what a backend evaluates: the greatest sum is the peak of the activations.
    """
    kept: list[dict[Value, None]] = []
    for _, values in liveness(graph):
        alive = dict.fromkeys(values)
        if kept and alive.keys() <= kept[-1].keys():
            continue
        if kept and kept[-1].keys() <= alive.keys():
            kept.pop()
        kept.append(alive)
    sizes: dict[frozenset[tuple[tuple[Expr, str], int]], tuple[Value, ...]] = {}
    for alive in kept:
        size = Counter((v.bytes, v.place) for v in alive)
        sizes.setdefault(frozenset(size.items()), tuple(alive))
    return tuple(sizes.values())


def _stored(value: Value) -> Roots:
    """Return the value if it occupies memory as an activation."""
    return () if value.storage or value.parts else (value,)


def _points(graph: Graph, given: Mapping[Value, Roots]) -> Iterator[tuple[str, dict[Value, None]]]:
    """Yield every launch with what is alive; ``given`` says what each input occupies."""
    kernels = graph.kernels
    roots = _roots(graph, given)
    born, last = _spans(kernels, roots, graph, given)
    starts: dict[int, list[Value]] = {}
    ends: dict[int, list[Value]] = {}
    for value, at in born.items():
        if at < 0 or last[value] > at or len(kernels[at].ops) == 1:
            starts.setdefault(max(at, 0), []).append(value)
            ends.setdefault(last[value], []).append(value)
    alive: dict[Value, None] = {}
    for at, kernel in enumerate(kernels):
        alive.update(dict.fromkeys(starts.get(at, ())))
        op = kernel.ops[0]
        if isinstance(op, Region) and len(kernel.ops) == 1:
            yield from _inside(op, alive, {v for v in alive if last[v] <= at}, roots)
        elif not all(op.is_view for op in kernel.ops):
            yield kernel.label, dict(alive)
        for value in ends.get(at, ()):
            alive.pop(value, None)


def _roots(graph: Graph, given: Mapping[Value, Roots]) -> dict[Value, Roots]:
    """Return what each value occupies, views looked through."""
    roots = dict(given)
    for op in graph.ops:
        for out in op.outs:
            seen = dict.fromkeys(r for v in op.operands for r in roots.get(v, ()))
            roots[out] = tuple(seen) if op.is_view else _stored(out)
    return roots


def _spans(
    kernels: tuple[Kernel, ...], roots: Mapping[Value, Roots], graph: Graph,
    given: Mapping[Value, Roots],
) -> tuple[dict[Value, int], dict[Value, int]]:  # fmt: skip
    """Return at which kernel each value is born (-1: handed over) and last needed."""
    born = {r: -1 for occupied in given.values() for r in occupied}
    last = dict.fromkeys(born, -1)
    for at, kernel in enumerate(kernels):
        for op in kernel.ops:
            for out in op.outs:
                for r in roots[out] if not op.is_view else ():
                    born[r] = last[r] = at
    for at, kernel in enumerate(kernels):
        for op in kernel.ops:
            for r in (r for v in op.operands for r in roots.get(v, ())):
                last[r] = max(last[r], at)
    for out in graph.outputs:
        for r in roots.get(out, ()):
            last[r] = len(kernels)
    return born, last


def _inside(
    op: Region, alive: Mapping[Value, None], dying: set[Value], roots: Mapping[Value, Roots]
) -> Iterator[tuple[str, dict[Value, None]]]:
    """Yield the launches of a body, with what is alive across its region."""
    results = {r for out in op.outs for r in roots[out]}
    operands = {r for v in op.ins for r in roots.get(v, ())}
    again = isinstance(op, Repeat) and op.trips != 1
    across = dict.fromkeys(
        v for v in alive if v not in results and not (v in operands and (v in dying or not again))
    )
    given: dict[Value, Roots] = {}
    for inner, outer in zip(op.body.inputs, op.ins, strict=True):
        handed = roots.get(outer, ())
        given[inner] = _stored(inner) if again and handed else handed
    kept = {} if again else {v: None for v in operands - dying if v in alive}
    for label, values in _points(op.body, given):
        own = {_shared(op, v, operands): None for v in values}
        yield f"{op.name}/{label}", {**across, **kept, **own}


def _shared(op: Op, value: Value, operands: set[Value]) -> Value:
    """Return what a body's value occupies of a routed region: only the share that enters."""
    if not isinstance(op, Routed) or value in operands:
        return value
    return value.with_type(live=value.computed * op.share)
