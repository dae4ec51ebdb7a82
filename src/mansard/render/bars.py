"""Bars of block characters, an eighth of a cell at a time."""

from __future__ import annotations

from collections.abc import Sequence

EIGHTHS = " ▏▎▍▌▋▊▉"


def bar(share: float, width: int) -> str:
    """Return a bar of ``share`` of ``width`` cells; anything above nothing leaves a trace.

    >>> bar(0.5, 4), bar(0.001, 4), bar(0, 4), bar(1, 4)
    ('██', '▏', '', '████')
    """
    eighths = min(round(share * width * 8), width * 8)
    if share > 0:
        eighths = max(eighths, 1)
    full, part = divmod(eighths, 8)
    return "█" * full + (EIGHTHS[part] if part else "")


def cells(parts: Sequence[float], whole: float, width: int) -> list[int]:
    """Divide ``width`` cells among parts of a whole; the cells of all parts add up to theirs.

    Any part that exists has a cell while there are enough.

    >>> cells([1, 1, 2], 8, 16), cells([1, 0, 99], 100, 10)
    ([2, 2, 4], [1, 0, 9])
    """
    if whole <= 0:
        return [0] * len(parts)
    exact = [width * part / whole for part in parts]
    found = [max(round(e), 1) if e > 0 else 0 for e in exact]
    while sum(found) > width:
        largest = max(range(len(found)), key=lambda i: found[i] - exact[i] + found[i] * 1e-9)
        if found[largest] <= 1:
            largest = max(range(len(found)), key=found.__getitem__)
        found[largest] -= 1
    return found
