"""Every line of a run in one table of 80 columns: a row for a question, a column for a shape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from harness.lines import ROOM, Line

COLUMNS = ("dense", "MoE", "MLA", "windows")
"""What stands beside each other; a line of another shape has a row to itself."""


def rows(lines: Iterable[Line]) -> list[list[Line]]:
    """Return lines that ask the same together, in the order of their first."""
    found: dict[tuple[object, ...], list[Line]] = {}
    for line in lines:
        alone = "" if line.shape in COLUMNS else line.shape
        key = line.script, line.what, line.unit, line.allowed, alone
        found.setdefault(key, []).append(line)
    return list(found.values())


def table(lines: Sequence[Line]) -> Iterator[str]:
    """Yield the rows of the table, under the script and the shape they are of."""
    yield f"{'':{ROOM + 2}} {'limit':13}" + "".join(f"{title:>8}" for title in COLUMNS)
    head = ""
    for row in rows(lines):
        first, at = row[0], {line.shape: line for line in row}
        beside = any(shape in COLUMNS for shape in at)
        of = first.script if beside or not first.shape else f"{first.script}, {first.shape}"
        if of != head:
            yield of
            head = of
        limit = first.allowed or f"   {first.unit}"
        figures = [_figure(at[c].value) if c in at else "" for c in COLUMNS]
        if not beside:
            figures[0] = _figure(first.value)
        values = "".join(f"{figure:>8}" for figure in figures)
        verdict = "" if first.limit is None else "ok" if all(i.kept for i in row) else "MISS"
        yield f"  {first.what:{ROOM}} {limit:13}{values} {verdict}".rstrip()


def _figure(value: float) -> str:
    """Return a number in seven characters.

    >>> [_figure(v) for v in (0.0412, 3.27, 1276.4, 61304.0, 2.22e-16)]
    ['0.0412', '3.27', '1276', '61304', '2.2e-16']
    """
    if 1000 <= abs(value) < 1e7:
        return f"{value:.0f}"
    return f"{value:.2g}" if 0 < abs(value) < 1e-3 or abs(value) >= 1e7 else f"{value:.3g}"
