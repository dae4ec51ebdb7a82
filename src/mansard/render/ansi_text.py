"""Lines, tables and panels as text: with ANSI codes for a plain terminal, else without.

What has to be cropped, and a terminal that is no plain one, is rich's.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING, TypeAlias

from mansard.render.ink import Text, cells
from mansard.render.layout import Panel, Table

if TYPE_CHECKING:
    from rich.console import RenderableType

CODES = {
    "bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34",
    "magenta": "35", "cyan": "36",
}  # fmt: skip
"""Words of the palette's styles → ANSI."""
PLAIN_WIDTH = 100
"""Of text that goes to a file or a pipe, where no terminal says how wide it is."""
UNUSUAL = ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE")
"""Environment variables that rich knows to heed."""

Part: TypeAlias = "str | Text | Table | Panel | RenderableType"


def written(parts: Iterable[Part], width: int, *, coloured: bool) -> str | None:
    """Return parts as text; None where one of them is rich's to draw."""
    lines: list[str] = []
    for part in parts:
        drawn = _lines(part, width)
        if drawn is None:
            return None
        lines += (_ansi(line) if coloured else line.plain.rstrip() for line in drawn)
    return "\n".join(lines)


def _lines(part: Part, width: int) -> list[Text] | None:
    match part:
        case str():
            return [Text(part)] if cells(part) <= width and "\n" not in part else None
        case Text():
            return [part] if part.cell_len <= width and "\n" not in part.plain else None
        case Table() | Panel():
            return part.lines(width)
    return None


def _ansi(line: Text) -> str:
    found = []
    for text, style in line.pieces:
        codes = ";".join(dict.fromkeys(CODES[word] for word in style.split()))
        found.append(f"\x1b[{codes}m{text}\x1b[0m" if codes else text)
    return "".join(found)


def plain_width() -> int:
    """Return the width of text for a file or a pipe: ``COLUMNS``, else 100."""
    return _stated_width() or PLAIN_WIDTH


def _stated_width() -> int | None:
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isascii() and columns.isdigit() else None


def width_of(stream: IO[str]) -> int | None:
    """Return the width of a plain terminal that takes ANSI; None of one that rich has to judge."""
    kind = os.environ.get("TERM", "").lower()
    if os.name == "nt" or kind in ("", "dumb", "unknown") or any(map(os.environ.get, UNUSUAL)):
        return None
    if stated := _stated_width():
        return stated
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None
