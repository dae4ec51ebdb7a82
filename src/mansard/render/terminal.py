"""An estimate in a terminal, and the same without colour as plain text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO

from mansard.core.notes import Note
from mansard.query.estimate import Estimate
from mansard.render import estimate_words
from mansard.render.ansi_text import PLAIN_WIDTH, Part, plain_width, width_of, written
from mansard.render.figures import figures
from mansard.render.grouping import grouped
from mansard.render.headline import headline, packed, worth
from mansard.render.ink import Text
from mansard.render.lines import View
from mansard.render.memory_bar import memory_bar
from mansard.render.operators import operators
from mansard.render.palette import QUIET, WARNING
from mansard.render.passes import passes
from mansard.render.resolution import summary
from mansard.render.steps import each


def renderables(estimate: Estimate, *, width: int, view: View | None = None) -> Iterator[Part]:
    """Yield the parts of an answer for a terminal of ``width`` columns."""
    view = view or View()
    yield headline(estimate, width)
    yield from worth(estimate, width)
    yield from _resolution(estimate, width)
    for phase in estimate.phases.values():
        yield ""
        yield from operators(phase, each(estimate, phase), view, width)
    yield ""
    yield from memory_bar(estimate.memory, width, estimate_words.kept(estimate))
    if estimate.figures:
        yield ""
        yield from figures(estimate)
    if estimate.techniques:
        yield ""
        yield from passes(estimate.effects, width)


def _resolution(estimate: Estimate, width: int) -> Iterator[Part]:
    """Yield the lines that say how a file's graph was understood."""
    found = estimate.program.origin.resolution
    if found is not None:
        parts = [Text(part, QUIET) for part in summary(found)]
        yield from packed(parts, width - 1, Text(" · ", QUIET), indent=1)


def note_lines(notes: Iterable[Note]) -> Iterator[Text]:
    """Yield one line a note; those of one code stand together, the code last."""
    for line in grouped(notes):
        head = ("note ", WARNING) if line.opens else "     "
        code = (f" [{line.code}]", QUIET) if line.code else ""
        yield Text.assemble(head, line.message, code)


def plain(estimate: Estimate, view: View | None = None, width: int = PLAIN_WIDTH) -> str:
    """Return the text without colour, notes included."""
    parts = [*renderables(estimate, width=width, view=view), *note_lines(estimate.notes)]
    text = written(parts, width, coloured=False)
    if text is not None:
        return text
    from mansard.render.console import uncoloured

    return uncoloured(parts, width)


def show(estimate: Estimate, stream: IO[str], view: View, *, roofline: bool = False) -> None:
    """Print an answer, with its roofs where asked; notes are the caller's to print elsewhere."""

    def parts(width: int) -> Iterator[Part]:
        yield from renderables(estimate, width=width, view=view)
        if roofline:
            from mansard.render.roofs import rooflines

            yield from rooflines(estimate, width)

    coloured = stream.isatty()
    wide = width_of(stream) if coloured else plain_width()
    text = written(parts(wide), wide, coloured=coloured) if wide else None
    if text is not None:
        stream.write(f"{text}\n")
        return
    from mansard.render.console import show_parts

    show_parts(parts, stream)
