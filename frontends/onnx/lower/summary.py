"""What was understood of a file, for people to check."""

from __future__ import annotations

from typing import Any

from mansard.core.expressions import print_expression
from mansard.core.symbols import PARAMETERS, Symbol
from mansard.frontends.onnx.dims import Dim
from mansard.frontends.onnx.graph import Resolved
from mansard.frontends.onnx.values import Tensor
from mansard.ir.footprint import storages
from mansard.ir.graph import Graph
from mansard.ir.resolution import Resolution

_MEANINGS = {
    "B": "sequences", "S": "new tokens of each", "P": "tokens of each already cached",
    "M": "length of what is attended to and never extended",
}  # fmt: skip
LONGEST = 80


def resolution(resolved: Resolved, graph: Graph) -> Resolution:
    """Return how a file was resolved, its program's graph being this one."""
    graphs = resolved.graph.graphs()
    tensors = [v for g in graphs for v in g.values.values() if isinstance(v, Tensor)]
    defaults = dict(graph.defaults)
    symbols = {
        s.name: _MEANINGS.get(s.name, "") if s.name in PARAMETERS and s not in defaults
        else f"{_short(defaults[s])} unless told" if s in defaults
        else f"of {fact.origin[:LONGEST]}"
        for s, fact in sorted(resolved.symbols.items(), key=lambda item: _rank(item[0]))
    }  # fmt: skip
    return Resolution(
        nodes=sum(len(g.body.nodes) for g in graphs),
        tensors=len(tensors),
        sized=sum(v.shape is not None for v in tensors),
        symbols=symbols,
        names={text[:LONGEST]: _short(size) for text, size in resolved.names.items()},
        unknown=resolved.unknown,
        **stored(graph),
    )


def stored(*graphs: Graph) -> dict[str, Any]:
    """Return how many weights and tables graphs of one file store, and their bytes, each once."""
    found = {name: s for graph in reversed(graphs) for name, s in storages(graph).items()}
    weights = [s for s in found.values() if s.value.role == "weight"]
    tables = [s for s in found.values() if s.value.role == "table"]
    return {
        "weights": int(sum(s.copies for s in weights)),
        "weight_bytes": _bytes(sum(s.bytes for s in weights)),
        "tables": int(sum(s.copies for s in tables)),
        "table_bytes": _bytes(sum(s.bytes for s in tables)),
    }


def _rank(symbol: Symbol) -> tuple[int, str]:
    """Return what sorts the model's own symbols first, in the order people name them."""
    known = list(_MEANINGS)
    return known.index(symbol.name) if symbol.name in known else len(known), symbol.name


def _short(size: Dim) -> str:
    text = str(size) if isinstance(size, int) else print_expression(size)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _bytes(size: Dim) -> int | float:
    return int(size) if int(size) == size else float(size)
