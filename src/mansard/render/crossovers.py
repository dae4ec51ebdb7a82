"""Where each op is bound by what, in a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from mansard.query.solving.crossing import Crossovers
from mansard.render.console import PLAIN_WIDTH, uncoloured
from mansard.render.explanations import bounds_of, titled


def renderables(of: Crossovers, width: int = PLAIN_WIDTH) -> Iterator[Table]:
    """Yield the table."""
    table = titled(("op", False), (f"first compute-bound {of.over}", True), ("bound by", False))
    for op in of.ops:
        first = "never" if op.first is None else f"{op.first:,}"
        table.add_row(op.name, first, bounds_of(op.flips))
    yield table


def plain(of: Crossovers) -> str:
    """Return the table as text, under what it is over."""
    return uncoloured([f"{of.phase} over {of.over} ({of.method})", *renderables(of)], PLAIN_WIDTH)
