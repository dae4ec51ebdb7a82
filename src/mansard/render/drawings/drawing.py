"""An SVG on its way to text; every text from outside is escaped."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import field
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from mansard.core.records import dataclass

INK, QUIET, LINE, SUNK, PAPER = "#17202c", "#566172", "#dde1e7", "#eef0f3", "#ffffff"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


@dataclass(frozen=True)
class Figure:
    """A finished figure.

    Args:
        svg: the document.
        title: what it shows.
    """

    svg: str = field(repr=False)
    title: str

    def save(self, path: str | Path) -> Path:
        """Write the SVG to a file; return its path."""
        file = Path(path)
        file.write_text(self.svg, encoding="utf-8")
        return file

    def _repr_svg_(self) -> str:
        return self.svg

    def __str__(self) -> str:
        return self.svg


class Drawing:
    """Shapes in the order they are painted."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self.width, self.height, self.title = width, height, title
        self._parts: list[str] = []

    def add(self, name: str, text: str = "", *, tip: str = "", **attributes: object) -> None:
        """Paint an element; an underscore in an attribute's name is a hyphen.

        Args:
            name: of the element.
            text: inside it.
            tip: what a pointer over it shows.
            attributes: of the element; None leaves one out.
        """
        given = " ".join(
            f"{key.rstrip('_').replace('_', '-')}={quoteattr(_plain(value))}"
            for key, value in attributes.items()
            if value is not None
        )
        inner = escape(legal(text)) + (f"<title>{escape(legal(tip))}</title>" if tip else "")
        self._parts.append(f"<{name} {given}>{inner}</{name}>" if inner else f"<{name} {given}/>")

    def text(
        self, x: float, y: float, text: str, *, anchor: str = "start", fill: str = QUIET,
        size: float = 11.5, bold: bool = False, over: bool = False,
    ) -> None:  # fmt: skip
        """Write text whose baseline is at ``y``; ``over`` lines with a rim of paper around it."""
        weight = "600" if bold else None
        halo = (PAPER, 3, "stroke") if over else (None, None, None)
        self.add("text", text, x=x, y=y, text_anchor=anchor, fill=fill, font_size=size,
                 font_weight=weight, stroke=halo[0], stroke_width=halo[1],
                 paint_order=halo[2])  # fmt: skip

    def line(self, x1: float, y1: float, x2: float, y2: float, stroke: str = LINE) -> None:
        """Draw a line."""
        self.add("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=stroke)

    def done(self) -> Figure:
        """Return the figure."""
        size = f'width="{self.width}" height="{self.height}"'
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {self.width} '
            f'{self.height}" role="img" font-family="{FONT}">'
            f"<title>{escape(legal(self.title))}</title>"
            f'<rect width="100%" height="100%" fill="{PAPER}"/>'
        )
        return Figure(f"{head}{''.join(self._parts)}</svg>\n", legal(self.title))


@dataclass(frozen=True)
class LogAxis:
    """A logarithmic axis: values from ``low`` to ``high`` between two places of the drawing."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the place of a value; one beyond the ends is put at them."""
        share = math.log(max(value, 1e-300) / self.low) / math.log(self.high / self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    @property
    def powers(self) -> Iterator[int]:
        """Yield the powers of ten on it."""
        first, last = (
            math.ceil(math.log10(self.low) - 1e-9),
            math.floor(math.log10(self.high) + 1e-9),
        )
        yield from range(first, last + 1)


def legal(text: str) -> str:
    """Return text with what XML cannot hold replaced."""
    return "".join(c if c in "\t\n" or c.isprintable() else "\ufffd" for c in text)


def _plain(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
