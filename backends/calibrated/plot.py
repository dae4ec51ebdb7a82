"""Predicted against measured time, as SVG written by hand: two log axes and the line between."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 460, 400, 56, 30, 44
SIDE = HEIGHT - TOP - BOTTOM
MOST = 400
"""Points drawn of a series; more are thinned evenly."""

COLOURS = ("#3465a4", "#c4511f", "#2e8b57", "#8e44ad", "#b8860b", "#555753", "#c2185b", "#0b7a75")
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))

Points = Sequence[tuple[float, float]]
"""(measured, predicted), in seconds."""


def scatter(series: Mapping[str, Points], title: str) -> str:
    """Return the SVG of points by series.

    >>> "<svg" in scatter({"a": [(1e-5, 1.1e-5), (2e-4, 1.9e-4)]}, "gemm")
    True
    """
    values = [v for points in series.values() for pair in points for v in pair if v > 0]
    low, high = (min(values), max(values)) if values else (1e-6, 1.0)
    low, high = 10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high))
    axis = _Axis(low, high if high > low else low * 10)
    parts = [*_frame(axis, title), *_lines(axis)]
    for n, (name, points) in enumerate(series.items()):
        parts += _series(axis, name, points, n)
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    style = 'font-family="sans-serif" font-size="11"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>'
    return "\n".join((head, *parts, "</svg>")) + "\n"


class _Axis:
    """A logarithmic scale, the same both ways."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high
        self._span = math.log10(high / low)

    def at(self, value: float) -> float:
        """Return where a value lies, 0 to 1."""
        return math.log10(min(max(value, self.low), self.high) / self.low) / self._span

    def x(self, value: float) -> int:
        """Return a value's place across."""
        return round(LEFT + SIDE * self.at(value))

    def y(self, value: float) -> int:
        """Return a value's place down."""
        return round(TOP + SIDE * (1 - self.at(value)))

    def ticks(self) -> Iterator[float]:
        """Yield the powers of ten."""
        for power in range(round(math.log10(self.low)), round(math.log10(self.high)) + 1):
            yield 10.0**power


def _frame(axis: _Axis, title: str) -> Iterator[str]:
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
    yield f'<text x="{LEFT}" y="18" font-size="13" font-weight="bold">{escape(title)}</text>'
    yield f'<rect x="{LEFT}" y="{TOP}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#999"/>'
    for tick in axis.ticks():
        x, y, text = axis.x(tick), axis.y(tick), _time(tick)
        yield f'<path d="M{x} {TOP}v{SIDE}M{LEFT} {y}h{SIDE}" stroke="#eee"/>'
        yield f'<text x="{x}" y="{TOP + SIDE + 15}" text-anchor="middle">{text}</text>'
        yield f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{text}</text>'
    middle = LEFT + SIDE // 2
    yield f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">measured</text>'
    across = TOP + SIDE // 2
    turned = f'transform="translate(12 {across}) rotate(-90)" text-anchor="middle"'
    yield f"<text {turned}>predicted</text>"


def _lines(axis: _Axis) -> Iterator[str]:
    """Yield where predicted is measured, and a quarter more or a fifth less."""
    for factor in (1.0, 1.25, 0.8):
        dash = "" if factor == 1.0 else ' stroke-dasharray="3 3"'
        low, high = axis.low * max(1.0, 1 / factor), axis.high * min(1.0, 1 / factor)
        ends = f"M{axis.x(low)} {axis.y(low * factor)}L{axis.x(high)} {axis.y(high * factor)}"
        yield f'<path d="{ends}" stroke="#888" fill="none"{dash}/>'


def _series(axis: _Axis, name: str, points: Points, n: int) -> Iterator[str]:
    step = max(len(points) // MOST, 1)
    kept = [p for p in points[::step] if p[0] > 0 and p[1] > 0]
    places = dict.fromkeys((axis.x(a), axis.y(b)) for a, b in kept)
    path = "".join(f"M{x} {y}h0" for x, y in places)
    colour, at = COLOURS[n % len(COLOURS)], TOP + 14 + 15 * n
    drawn = f'stroke="{colour}" stroke-width="3" stroke-linecap="round" stroke-opacity=".5"'
    yield f'<path d="{path}" {drawn}/>'
    yield f'<circle cx="{LEFT + SIDE + 12}" cy="{at - 4}" r="4" fill="{colour}"/>'
    yield f'<text x="{LEFT + SIDE + 20}" y="{at}" font-size="9">{escape(name)}</text>'


def _time(value: float) -> str:
    unit, name = next(((u, n) for u, n in UNITS if value >= u * 0.999), UNITS[-1])
    return f"{value / unit:g} {name}"
