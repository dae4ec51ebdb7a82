"""Tables and panels of styled lines; rich draws them, too, where they have to be squeezed."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mansard.core.records import dataclass
from mansard.render.ink import Text, cells

if TYPE_CHECKING:
    from rich.console import RenderableType

GAP = "  "


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        title: above it.
        right: whether cells stand at its right.
        least: cells it has at least.
        most: cells it has at most; longer text is broken. None breaks nothing.
    """

    title: str
    right: bool = False
    least: int = 0
    most: int | None = None


class Table:
    """Rows under a rule, columns two cells apart."""

    def __init__(self, columns: Sequence[Column], head: str) -> None:
        self.columns, self.head = columns, head
        self.rows: list[tuple[tuple[Text, ...], str]] = []

    def add(self, cells: Iterable[Text], style: str = "") -> None:
        """Add a row, all of it in a style beside those of its cells."""
        self.rows.append((tuple(cells), style))

    def lines(self, width: int) -> list[Text] | None:
        """Return its lines; None where it is wider than ``width``."""
        titles = tuple(Text(c.title, self.head) for c in self.columns)
        every = [(titles, ""), *self.rows]
        widths = [
            max(c.least, *(_wanted(row[k], c.most) for row, _ in every))
            for k, c in enumerate(self.columns)
        ]
        total = sum(widths) + len(GAP) * (len(widths) - 1)
        if total > width:
            return None
        drawn = [line for row, style in every for line in self._drawn(row, style, widths)]
        return [drawn[0], Text("─" * total), *drawn[1:]]

    def _drawn(self, cells: Sequence[Text], style: str, widths: list[int]) -> Iterator[Text]:
        row = [_broken(cell, width) for cell, width in zip(cells, widths, strict=True)]
        for k in range(max(map(len, row))):
            line = Text()
            for at, (parts, column) in enumerate(zip(row, self.columns, strict=True)):
                part = parts[k] if k < len(parts) else Text()
                blank = " " * (widths[at] - part.cell_len)
                around = (blank, part) if column.right else (part, blank)
                line = Text.assemble(line, GAP if at else "", *around)
            yield Text.assemble(*((text, f"{style} {own}".strip()) for text, own in line.pieces))

    def __rich__(self) -> RenderableType:
        from rich import box
        from rich.table import Table as Rich

        made = Rich(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0),
                    header_style=self.head)  # fmt: skip
        for c in self.columns:
            justify: Any = "right" if c.right else "left"
            made.add_column(c.title, justify=justify, no_wrap=c.most is None, overflow="ellipsis"
                            if c.most is None else "fold", min_width=c.least or None,
                            max_width=c.most)  # fmt: skip
        for row, style in self.rows:
            made.add_row(*(cell.__rich__() for cell in row), style=style or None)
        return made


def _wanted(cell: Text, most: int | None) -> int:
    """Return the cells of the longest line of a text, or as many as there may be."""
    longest = max(map(cells, cell.plain.split("\n")))
    return longest if most is None else min(longest, most)


def _broken(cell: Text, width: int) -> list[Text]:
    """Return the lines of a text."""
    if "\n" not in cell.plain and cell.cell_len <= width:
        return [cell]
    style, lines = cell.pieces[0][1], cell.plain.split("\n")
    parts = [textwrap.wrap(line, width, break_on_hyphens=False) or [""] for line in lines]
    return [Text(part, style) for line in parts for part in line]


class Panel:
    """Lines in a rounded frame as wide as the terminal."""

    def __init__(self, inside: Sequence[Text], title: Text, frame: str) -> None:
        self.inside, self.title, self.frame = inside, title, frame

    def lines(self, width: int) -> list[Text] | None:
        """Return its lines; None where something is wider."""
        room = width - 4
        if self.title.cell_len > room - 4 or any(line.cell_len > room for line in self.inside):
            return None
        rest = "─" * (width - 5 - self.title.cell_len)
        made = [Text.assemble(("╭─ ", self.frame), self.title, (f" {rest}╮", self.frame))]
        for line in self.inside:
            blank = " " * (room - line.cell_len)
            made.append(Text.assemble(("│ ", self.frame), line, blank, (" │", self.frame)))
        return [*made, Text(f"╰{'─' * (width - 2)}╯", self.frame)]

    def __rich__(self) -> RenderableType:
        from rich import box
        from rich.console import Group
        from rich.panel import Panel as Rich

        title: Any = self.title.__rich__()
        inside = Group(*(line.__rich__() for line in self.inside))
        return Rich(inside, title=title, title_align="left", box=box.ROUNDED,
                    border_style=self.frame, padding=(0, 1))  # fmt: skip
