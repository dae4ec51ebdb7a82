"""The panel on top: what the answer is, in two lines."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from mansard.core.units import format_bytes
from mansard.query.estimate import Estimate
from mansard.render import estimate_words, words
from mansard.render.ink import Text
from mansard.render.layout import Panel
from mansard.render.palette import BAD, GOOD, QUIET, STRONG, bound_style

if TYPE_CHECKING:
    from rich.text import Text as RichText

T = TypeVar("T", "Text", "RichText")
"""A line of ours, or of rich."""


def headline(estimate: Estimate, width: int) -> Panel:
    """Return the panel."""
    parts = [*_metrics(estimate), _memory(estimate), *_bounds(estimate)]
    asked = [*estimate_words.scenario(estimate), *estimate_words.model(estimate)]
    lines = [
        *packed([Text(part, QUIET) for part in asked], width - 4, Text(" · ", QUIET)),
        *packed(parts, width - 4, Text("   ")),
    ]
    return Panel(
        lines, Text(words.shorten(estimate_words.title(estimate), width - 8), STRONG), QUIET
    )


def caveat(width: int) -> Text:
    """Return the line that says what a roofline is worth."""
    return Text(f" {estimate_words.caveat(width - 1)}", QUIET)


def worth(estimate: Estimate, width: int) -> Iterator[Text]:
    """Yield what the figures are worth: of a bound one line; of an estimate its band and basis.

    Of a plugin's backend that is what it assumes, a line each.
    """
    if estimate.backend:
        for at, said in enumerate(estimate_words.stated(estimate)):
            wrapped = textwrap.wrap(said, max(20, width - 10))
            for number, line in enumerate(wrapped):
                yield Text(f" {'assumes' if at == number == 0 else '':<7} {line}", QUIET)
        return
    if estimate.calibrated is None:
        yield caveat(width)
        return
    rows = [("", "bound", "calibrated", "ratio", "band (4 of 5 measurements)")]
    rows += estimate_words.beside(estimate)
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for n, row in enumerate(rows):
        cells = [f"{row[0]:<{widths[0]}}"]
        cells += [f"{text:>{w}}" for text, w in zip(row[1:4], widths[1:4], strict=True)]
        yield Text(f" {'  '.join(cells)}  {row[4]}"[:width], QUIET if n == 0 else "")
    yield from rested(estimate, width)


def rested(estimate: Estimate, width: int) -> Iterator[Text]:
    """Yield what figures rest on, without the metrics: of a bound one line, else its sets."""
    if estimate.calibrated is None:
        yield caveat(width)
        return
    for line in textwrap.wrap(estimate_words.rests_on(estimate), width - 1):
        yield Text(f" {line}", QUIET)


def packed(parts: Sequence[T], width: int, gap: T, indent: int = 0) -> Iterator[T]:
    """Yield lines of as many parts as fit; no part is broken while it fits in a line."""
    kind: Any = type(gap)
    line = kind()
    for part in parts:
        if line and line.cell_len + gap.cell_len + part.cell_len > width:
            yield kind.assemble(" " * indent, line)
            line = kind()
        line = kind.assemble(line, gap if line else "", part)
    if line:
        yield kind.assemble(" " * indent, line)


def _metrics(estimate: Estimate) -> Iterator[Text]:
    cost = words.cost(estimate.metrics)
    figures = estimate_words.measured(estimate)
    for name, value in (*figures, *([("cost", cost)] if cost else [])):
        yield Text.assemble((f"{name} ", QUIET), (value, STRONG))


def _memory(estimate: Estimate) -> Text:
    memory = estimate.memory
    fits = {True: ("fits", GOOD), False: ("does not fit", BAD), None: ("capacity unknown", "")}
    text = Text.assemble(("memory ", QUIET), (format_bytes(memory.total), STRONG))
    if memory.capacity is not None:
        text.append(f" / {format_bytes(memory.capacity)}")
    return text.append(" ").append(*fits[memory.fits])


def _bounds(estimate: Estimate) -> Iterator[Text]:
    for name, phase in estimate.phases.items():
        style = bound_style(phase.bound)
        yield Text.assemble((f"{name} ", QUIET), (f"{phase.bound}-bound", style))
