"""Where the time goes: one table a phase, columns by the width there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from mansard.backends.estimate import Phase
from mansard.core.records import dataclass
from mansard.core.units import format_count, format_time
from mansard.render import estimate_words, words
from mansard.render.bars import bar
from mansard.render.headline import packed
from mansard.render.ink import Text
from mansard.render.layout import Column, Table
from mansard.render.lines import Line, View, lines, total
from mansard.render.palette import QUIET, STRONG, bound_style

GAP = 2
LONGEST_BAR, SHORTEST_BAR, SHORTEST_NAME = 24, 4, 14


@dataclass(frozen=True)
class _Column:
    title: str
    write: Callable[[Line], str]
    right: bool = True


_COUNT = _Column("×", lambda line: words.times(line.count) if line.count else "")
_BOUND = _Column("bound", lambda line: line.bound, right=False)
_TIME = _Column("time", lambda line: format_time(line.time_s))
_SHARE = _Column("share", lambda line: words.percent(line.share))
FULL = (
    _COUNT,
    _Column("FLOPs", lambda line: format_count(line.flops)),
    _Column("bytes", lambda line: line.moved),
    _Column("FLOP/B", lambda line: words.intensity(line.intensity)),
    _BOUND,
    _TIME,
    _SHARE,
)
NARROW = (_COUNT, _BOUND, _TIME, _SHARE)


def operators(phase: Phase, of: str, view: View, width: int) -> Iterator[Text | Table]:
    """Yield the heading and the table of a phase; figures are of all occurrences in a step.

    Args:
        phase: its rows.
        of: what its time is of, as ``steps.each`` says.
        view: which rows, and how.
        width: of the terminal.
    """
    shown, rest = lines(phase, view)
    yield from _heading(phase, of, width)
    every = [*shown]
    if rest:
        every.append(_summed(rest))
    if len(shown) + len(rest) > 1:
        every.append(total(phase))
    title = {"op": "operator"}.get(view.by, view.by)
    if view.each:
        title = f"one {title}"
        every[len(shown) :] = [replace(e, name=f"{e.name}, all ×") for e in every[len(shown) :]]
    yield _table(every, len(shown), title, width)


def _heading(phase: Phase, of: str, width: int) -> Iterator[Text]:
    head = Text.assemble((estimate_words.heading(phase), STRONG), f"  {format_time(phase.time_s)}")
    head.append(of, QUIET)
    bounds = [
        Text(f"{resource} {words.percent(share)}", bound_style(resource))
        for resource, share in estimate_words.bounds(phase)
    ]
    if estimate_words.overlaps(phase):
        bounds.append(Text(f"{format_time(phase.overlapped_s)} if all of it ran at once", QUIET))
    yield from packed([head, *bounds], width, Text(" · ", QUIET))


def _table(every: list[Line], shown: int, title: str, width: int) -> Table:
    columns, name_width, bar_width = _layout(every, width)
    longest = max((line.share for line in every[:shown]), default=0.0) or 1.0
    heads = [Column(title)]
    for column in columns:
        if column is _SHARE and bar_width:
            heads.append(Column("", least=bar_width))
        heads.append(Column(column.title, right=column.right))
    table = Table(heads, STRONG)
    for at, line in enumerate(every):
        style = bound_style(line.bound)
        name = Text(words.shorten(line.name, name_width), "" if at < shown else QUIET)
        cells = [name]
        for column in columns:
            if column is _SHARE and bar_width:
                drawn = bar(line.share / longest, bar_width) if at < shown else ""
                cells.append(Text(drawn, style))
            cells.append(Text(column.write(line), style if column is _BOUND else ""))
        last = at == len(every) - 1 and at >= shown
        table.add(cells, STRONG if last else "")
    return table


def _layout(every: list[Line], width: int) -> tuple[tuple[_Column, ...], int, int]:
    """Choose the columns that fit, the width of names, and that of the bar (0 for none)."""
    longest = max(len(line.name) for line in every) if every else 0
    columns: tuple[_Column, ...] = NARROW
    room = 0
    for columns in (FULL, NARROW):
        widths = [max(len(t) for t in (c.title, *map(c.write, every))) for c in columns]
        room = width - sum(widths) - GAP * len(columns) - 1
        if room >= min(longest, SHORTEST_NAME):
            break
    bar_width = min(room - GAP - longest, LONGEST_BAR)
    if bar_width < SHORTEST_BAR:
        bar_width = 0  # a name says more than a bar
    name_width = room - (bar_width + GAP if bar_width else 0)
    return columns, max(name_width, 8), bar_width


def _summed(rest: list[Line]) -> Line:
    """Return one line for those left out."""
    greatest = max(rest, key=lambda line: line.time_s)
    return Line(
        f"{len(rest)} more (--all)", 0, sum(r.flops for r in rest), sum(r.bytes for r in rest),
        greatest.bound, sum(r.time_s for r in rest), sum(r.share for r in rest),
        link_bytes=sum(r.link_bytes for r in rest),
    )  # fmt: skip
