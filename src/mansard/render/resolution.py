"""How a file's graph was understood: one line, or all of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from mansard.core.units import format_bytes
from mansard.render.words import counted

if TYPE_CHECKING:
    from mansard.ir.resolution import Resolution

NAMED = 6
"""Symbols and nodes that one line names."""


def summary(found: Resolution) -> list[str]:
    """Return the parts of a line that says what is known, assumed and unknown."""
    parts = [f"graph of {found.nodes:,} nodes", f"{found.sized:,}/{found.tensors:,} tensors sized"]
    if found.symbols:
        parts.append(f"symbols {_some(tuple(found.symbols))}")
    if found.unified:
        parts.append(f"{counted(len(found.unified), 'name')} unified")
    parts.append(_stored(found.weights, found.weight_bytes, "weight"))
    if found.tables:
        parts.append(_stored(found.tables, found.table_bytes, "table"))
    nodes = sum(map(len, found.unknown.values()))
    unknown = f"unknown: {_some(tuple(found.unknown))} ({counted(nodes, 'node')})"
    return [*parts, *([unknown] if found.unknown else [])]


def details(found: Resolution) -> Iterator[str]:
    """Yield the lines of all that was understood, as comments of the text form."""
    yield f"// {' · '.join(summary(found))}"
    yield from _table("symbol", found.symbols)
    yield from _table("name in the file", found.names)
    for op, nodes in found.unknown.items():
        yield f"//   unknown operator {op}: {', '.join(nodes[:20])}"


def _table(what: str, rows: Mapping[str, str]) -> Iterator[str]:
    width = max(map(len, rows), default=0)
    for name, meaning in rows.items():
        yield f"//   {what} {name:<{width}}  {meaning}".rstrip()


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{' '.join(names[:NAMED])}{more}"


def _stored(count: int, size: float, what: str) -> str:
    return f"{counted(count, what)} {format_bytes(size)}"
