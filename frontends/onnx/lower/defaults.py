"""What symbols beyond the model's own are worth: told, expected, or assumed with a note."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mansard.core.notes import Note
from mansard.core.symbols import PARAMETERS, B, Expr, M, S, Symbol, T, expr
from mansard.frontends.onnx.graph import Resolved
from mansard.ir.free import free_symbols
from mansard.ir.graph import Graph


def with_defaults(
    graph: Graph, resolved: Resolved, sizes: Mapping[str, Expr]
) -> tuple[Graph, list[Note]]:
    """Give every symbol beyond the model's own a value, and say which were made up."""
    defaults: dict[Symbol, Expr] = {}
    notes: list[Note] = []
    for s in sorted(free_symbols(graph), key=lambda s: s.name):
        if s.name in PARAMETERS and s != M:
            continue
        fact = resolved.symbols.get(s)
        told = sizes.get(s.name)
        known = None if fact is None else fact.default
        if told is not None:
            defaults[s] = told
        elif known is not None:
            defaults[s] = _closed(expr(known), resolved)
        elif s == M:
            defaults[s] = S
            notes.append(Note("M002", "M, the encoder's length, is taken to be the prompt's"))
        else:
            first = fact is not None and fact.origin.endswith("_d0")  # of an input nobody named
            defaults[s] = B if first else expr(_ASSUMED)
            size = "the batch" if first else _ASSUMED
            text = f"{s.name} is taken to be {size}; --set model.{s.name}=N"
            notes.append(Note("M002", text))
    return replace(graph, defaults=tuple(defaults.items())), notes


_ASSUMED = 640
"""A side of an image, or samples of sound, where nobody says: what detectors are exported for."""


def _closed(value: Expr, resolved: Resolved) -> Expr:
    """Return an expectation in terms of the model's own symbols alone."""
    for _ in range(8):
        inner = {
            s: expr(fact.default)
            for s in value.free_symbols
            if (fact := resolved.symbols.get(s)) is not None and fact.default is not None
        }
        if not inner:
            break
        value = value.xreplace(inner)
    return value.subs(B * S, T)  # of a whole step, however its sequences differ
