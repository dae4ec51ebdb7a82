"""Printing rich parts: in colour to a terminal, as plain text to anything else."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import IO

from rich.console import Console, RenderableType

from mansard.render.ansi_text import PLAIN_WIDTH, plain_width

__all__ = ["PLAIN_WIDTH", "show_parts", "uncoloured"]


def uncoloured(parts: Iterable[RenderableType], width: int) -> str:
    """Return parts as plain text without trailing blanks."""
    stream = io.StringIO()
    console = Console(file=stream, width=width, color_system=None, force_terminal=False)
    for part in parts:
        console.print(part, highlight=False)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())


def show_parts(make: Callable[[int], Iterable[RenderableType]], stream: IO[str]) -> None:
    """Print what ``make`` yields for a width: the terminal's, else ``COLUMNS``, else 100."""
    if stream.isatty():
        console = Console(file=stream, highlight=False)
        for part in make(console.width):
            console.print(part)
        return
    width = plain_width()
    stream.write(f"{uncoloured(make(width), width)}\n")
