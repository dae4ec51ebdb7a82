"""By how much a metric follows each rate, in a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from mansard.query.solving.elasticity import Sensitivity
from mansard.render import words
from mansard.render.console import PLAIN_WIDTH, uncoloured
from mansard.render.explanations import titled


def renderables(of: Sensitivity, width: int = PLAIN_WIDTH) -> Iterator[Table]:
    """Yield the table of elasticities."""
    table = titled(("rate", False), (f"{of.metric} per 1 % more of it", True))
    for name, value in of.elasticities.items():
        table.add_row(name, f"{value:+.3f} %")
    if of.overhead:
        table.add_row("no rate", f"{words.percent(of.overhead)} of the time")
    yield table


def plain(of: Sensitivity) -> str:
    """Return the table as text."""
    return uncoloured(renderables(of), PLAIN_WIDTH)
