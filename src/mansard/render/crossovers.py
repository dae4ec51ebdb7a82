"""Where each op is bound by what, in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from rich.console import RenderableType
from rich.text import Text

from mansard.query.solving.crossing import Crossovers
from mansard.query.solving.flipping import Crossing
from mansard.render import estimate_words, words
from mansard.render.console import PLAIN_WIDTH, show_parts, uncoloured
from mansard.render.headline import packed, rested
from mansard.render.palette import QUIET, STRONG
from mansard.render.pieces import bounds_of, inset, titled

MOST = 10
"""Values at which the shares of the whole are shown."""


def renderables(of: Crossovers, width: int = PLAIN_WIDTH) -> Iterator[RenderableType]:
    """Yield the parts: what is asked, each op, the shares of the whole."""
    asked = [
        Text(a, QUIET) for a in estimate_words.scenario(of.estimate) if not a.startswith(of.over)
    ]
    yield from packed(
        [Text(estimate_words.title(of.estimate), STRONG), *asked], width, Text(" · ", QUIET)
    )
    yield Text.assemble((f"{of.phase} over {of.over}", STRONG), (f"  {of.method}", QUIET))
    yield ""
    table = titled(("op", False), ("compute-bound from", True), ("bound by", False))
    for op in of.ops:
        table.add_row(words.shorten(op.name, 30), _first(op), bounds_of(op.flips))
    yield inset(table)
    yield ""
    yield Text.assemble(("Share of the time", STRONG), ("  that each resource bounds", QUIET))
    names = list(dict.fromkeys(name for _, shares in of.shares for name in shares))
    shares = titled((of.over, True), *((name, True) for name in names))
    for value, each in of.shares[:MOST]:
        shares.add_row(f"{value:,}", *(words.percent(each.get(name, 0.0)) for name in names))
    yield inset(shares)
    if len(of.shares) > MOST:
        yield Text(f"  and {len(of.shares) - MOST} more values (-f json)", QUIET)
    yield from rested(of.estimate, width)


def _first(op: Crossing) -> str:
    return "never" if op.first is None else f"{op.first:,}"


def plain(of: Crossovers, width: int = PLAIN_WIDTH) -> str:
    """Return the text without colour."""
    return uncoloured(renderables(of, width), width)


def show(of: Crossovers, stream: IO[str]) -> None:
    """Print where ops flip."""
    show_parts(lambda width: renderables(of, width), stream)
