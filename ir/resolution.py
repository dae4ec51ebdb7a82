"""How a graph from a file was understood: what its reader should check before trusting figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any

from mansard.core.records import dataclass


@dataclass(frozen=True)
class Resolution:
    """What is known of a file's graph.

    Args:
        nodes: in the file, those inside bodies and functions included.
        tensors: names that hold tensors.
        sized: of these, the ones every axis of which is known or named.
        symbols: name → what it is, or what is assumed where nothing binds it.
        names: name of a size in the file → what it was found to be.
        unknown: operator without a rule → its nodes.
        weights: stored values that are parameters.
        weight_bytes: of them [B].
        tables: stored values that are constants.
        table_bytes: of them [B].
    """

    nodes: int
    tensors: int
    sized: int
    symbols: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    unknown: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    weights: int = 0
    weight_bytes: int | float = 0
    tables: int = 0
    table_bytes: int | float = 0

    @property
    def unified(self) -> Mapping[str, str]:
        """Names of the file that were found to be something else than a size of their own."""
        return {text: size for text, size in self.names.items() if text != size}

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        own["unknown"] = {op: list(nodes) for op, nodes in self.unknown.items()}
        return own | {"symbols": dict(self.symbols), "names": dict(self.names)}
