"""A canvas of braille characters: two dots across and four down in each cell."""

from __future__ import annotations

_BITS = ((1, 8), (2, 16), (4, 32), (64, 128))
"""Unicode's bit of each dot of a cell, by row and column (U+2800)."""


class Canvas:
    """Dots and letters on ``width`` × ``height`` cells.

    >>> canvas = Canvas(2, 1)
    >>> for x in range(4): canvas.dot(x, 3)
    >>> canvas.letter(0, 0, "1")
    >>> canvas.lines()
    ['1⣀']
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._bits = [[0] * width for _ in range(height)]
        self._letters: dict[tuple[int, int], str] = {}

    def dot(self, x: int, y: int) -> None:
        """Set a dot; one outside is left out."""
        if 0 <= x < 2 * self.width and 0 <= y < 4 * self.height:
            self._bits[y // 4][x // 2] |= _BITS[y % 4][x % 2]

    def letter(self, x: int, y: int, letter: str) -> None:
        """Write a letter in the cell of a dot; the first one stays."""
        if 0 <= x < 2 * self.width and 0 <= y < 4 * self.height:
            self._letters.setdefault((y // 4, x // 2), letter)

    def lines(self) -> list[str]:
        """Return the rows as text."""
        return [
            "".join(
                self._letters.get((r, c)) or (chr(0x2800 + bits) if bits else " ")
                for c, bits in enumerate(row)
            ).rstrip()
            for r, row in enumerate(self._bits)
        ]
