"""The symbols a graph mentions: in shapes, attributes, masks and the bodies of regions."""

from __future__ import annotations

from typing import Any

import sympy as sp

from mansard.core.symbols import Symbol
from mansard.ir.graph import Graph
from mansard.ir.mask import Mask
from mansard.ir.once import once


@once
def free_symbols(graph: Graph) -> frozenset[Symbol]:
    """Return every symbol a graph's shapes and attributes mention."""
    found: set[Symbol] = set()
    for op, _ in graph.walk():
        for part in (*op.outs, *op.operands):
            found.update(*(d.free_symbols for d in part.shape))
        found.update(*(_symbols_of(v) for v in op.attributes().values()))
        for body in op.bodies:
            found.update(*(d.free_symbols for v in body.inputs for d in v.shape))
    for value in (*graph.inputs, *graph.leaves):
        found.update(*(d.free_symbols for d in value.shape))
    found.update(s for key, value in graph.defaults for s in (key, *value.free_symbols))
    return frozenset(found)


def _symbols_of(value: Any) -> set[Symbol]:
    if isinstance(value, sp.Basic):
        return set(value.free_symbols)
    if isinstance(value, Mask):
        return {
            s
            for e in (value.size, value.heads, value.stride, value.most)
            if e is not None
            for s in e.free_symbols
        }
    if isinstance(value, tuple):
        return {s for v in value for s in _symbols_of(v)}
    return set()
