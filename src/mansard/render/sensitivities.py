"""By how much a metric follows each rate, in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from rich.console import RenderableType
from rich.text import Text

from mansard.query.metrics import METRICS
from mansard.query.solving.elasticity import Sensitivity
from mansard.query.solving.wording import written
from mansard.render import estimate_words, words
from mansard.render.console import PLAIN_WIDTH, show_parts, uncoloured
from mansard.render.headline import packed, worth
from mansard.render.palette import QUIET, STRONG
from mansard.render.pieces import inset, titled


def renderables(of: Sensitivity, width: int = PLAIN_WIDTH) -> Iterator[RenderableType]:
    """Yield the parts: what is asked, the metric, its elasticities."""
    asked = [Text(a, QUIET) for a in estimate_words.scenario(of.estimate)]
    yield from packed(
        [Text(estimate_words.title(of.estimate), STRONG), *asked], width, Text(" · ", QUIET)
    )
    value = written(of.value, METRICS[of.metric].dimension)
    yield Text.assemble((f"{of.metric} = {value}", STRONG))
    yield ""
    table = titled(("rate", False), (f"{of.metric} per 1 % more of it", True))
    for name, change in of.elasticities.items():
        table.add_row(name, f"{change:+.3f} %")
    if of.overhead:
        table.add_row("no rate", f"{words.percent(of.overhead)} of the time")
    yield inset(table)
    yield from worth(of.estimate, width)


def plain(of: Sensitivity, width: int = PLAIN_WIDTH) -> str:
    """Return the text without colour."""
    return uncoloured(renderables(of, width), width)


def show(of: Sensitivity, stream: IO[str]) -> None:
    """Print what a metric rests on."""
    show_parts(lambda width: renderables(of, width), stream)
