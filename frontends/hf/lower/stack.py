"""A stack of layers, rolled into repeats; layers that are read from outside end a stretch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mansard.frontends.hf.architecture import Attention
from mansard.frontends.hf.checkpoint import skips_of_one_layer
from mansard.frontends.hf.ends import PerLayer
from mansard.frontends.hf.lower.gemma import INPUTS
from mansard.frontends.hf.lower.layer import LAYERS, layer
from mansard.frontends.hf.lower.runs import Run, runs
from mansard.frontends.hf.lower.scope import Scope
from mansard.frontends.hf.lower.shared import EMBEDDED
from mansard.ir.builder import Builder
from mansard.ir.graph import Graph
from mansard.ir.ops import Slice
from mansard.ir.region import Repeat
from mansard.ir.value import Value

Filling = Callable[[Builder, tuple[Value, ...]], tuple[Value, ...]]


def stacked(outside: Scope, x: Value, tapped: frozenset[int] = frozenset()) -> dict[int, Value]:
    """Append every layer; return the hidden states after ``tapped`` ones and after the last.

    Keys say how many layers lie below.
    """
    arch = outside.arch
    items = list(zip(arch.layers, skips_of_one_layer(arch), strict=True))
    ends = sorted({*tapped, len(items)})
    found: dict[int, Value] = {}
    for start, end in zip((0, *ends), ends, strict=False):
        for run in runs(items[start:end]):
            x = _run(outside, x, replace(run, first=run.first + start))
        found[end] = x
    return found


def rolled(
    outside: Scope, trips: int, ins: tuple[Value, ...], fill: Filling, label: str = "layers"
) -> Value:
    """Append a repeat of a body; weights whose name has no index are every trip's."""

    def repeat(body: Graph, given: tuple[Value, ...]) -> Repeat:
        stored = (leaf for leaf in body.leaves if leaf.role == "weight")
        shared = tuple(v.storage for v in stored if "{" not in v.storage)
        return Repeat(body, given, trips, shared)

    return outside.build.region(repeat, label, ins, fill)[0]


def _run(outside: Scope, x: Value, run: Run) -> Value:
    """Append layers: as they are, or as the body of a repeat that also takes what is carried."""
    arch = outside.arch
    layers = arch.layers[run.first : run.first + run.period]
    names = _taken(outside, run)

    def trip(build: Builder, y: Value, carried: dict[str, Value]) -> Value:
        for k, spec in enumerate(layers):
            scope = Scope(arch, build, LAYERS, run.index(k), carried=dict(carried))
            if arch.per_layer:
                _own_inputs(scope, arch.per_layer)
            y = layer(scope, y, spec)
            carried |= {n: v for n, v in scope.carried.items() if n != INPUTS}
        return y

    if run.trips == 1:
        return trip(outside.build, x, outside.carried)

    def fill(inner: Builder, given: tuple[Value, ...]) -> tuple[Value, ...]:
        return (trip(inner, given[0], dict(zip(names, given[1:], strict=True))),)

    return rolled(outside, run.trips, (x, *(outside.carried[name] for name in names)), fill)


def _taken(outside: Scope, run: Run) -> tuple[str, ...]:
    """Return the names of what the layers of a run take besides the hidden state."""
    layers = outside.arch.layers[run.first : run.first + run.period]
    reused = {spec.mixer.reuses for spec in layers if isinstance(spec.mixer, Attention)} - {""}
    caches = tuple(f"{half}.{name}" for name in sorted(reused) for half in ("k", "v"))
    first = (EMBEDDED,) if any(spec.shared for spec in layers) else ()
    return first + ((INPUTS,) if outside.arch.per_layer else ()) + caches


def _own_inputs(scope: Scope, per_layer: PerLayer) -> None:
    """Let a layer find its part of the per-layer inputs; all parts are alike, so any will do."""
    own = Slice(scope.carried[INPUTS], 1, 0, per_layer.width)
    scope.carried[INPUTS] = scope(own, "per_layer_own")
