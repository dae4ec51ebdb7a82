"""Styled lines, written without rich: its import outlasts a remembered answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType


class Text:
    """A line of pieces, each with a style."""

    def __init__(self, text: str = "", style: str = "") -> None:
        self.pieces: list[tuple[str, str]] = [(text, style)] if text else []

    @classmethod
    def assemble(cls, *parts: str | tuple[str, str] | Text) -> Text:
        """Join plain text, (text, style) and lines."""
        made = cls()
        for part in parts:
            if isinstance(part, Text):
                made.pieces += part.pieces
            else:
                made.append(*((part,) if isinstance(part, str) else part))
        return made

    def append(self, text: str, style: str = "") -> Text:
        """Add a piece and return the line."""
        if text:
            self.pieces.append((text, style))
        return self

    @property
    def plain(self) -> str:
        """The text alone."""
        return "".join(text for text, _ in self.pieces)

    @property
    def cell_len(self) -> int:
        """How many cells of a terminal it takes."""
        return cells(self.plain)

    def __str__(self) -> str:
        return self.plain

    def __len__(self) -> int:
        return len(self.plain)

    def __getitem__(self, part: slice) -> Text:
        styled = [(c, style) for text, style in self.pieces for c in text][part]
        return Text.assemble(*styled)

    def __rich__(self) -> RenderableType:
        from rich.text import Text as Rich

        return Rich.assemble(*self.pieces)


def cells(text: str) -> int:
    """Return how many cells of a terminal a text takes."""
    if text.isascii() or all(map(_is_narrow, text)):
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _is_narrow(c: str) -> bool:
    """Say whether a character is one that takes one cell: Latin, punctuation, arrows, blocks."""
    code = ord(c)
    return code < 0x300 or any(
        low <= code <= high for low, high in ((0x2010, 0x2027), (0x2190, 0x22FF), (0x2500, 0x259F))
    )
