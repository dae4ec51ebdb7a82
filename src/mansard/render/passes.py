"""What each technique changed: one line each, figures after it, those it left alone dimmed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from mansard.backends.estimate import Phase
from mansard.core.records import dataclass
from mansard.core.units import format_bytes, format_count, format_time
from mansard.query.effects import Effect, Figures
from mansard.render import words
from mansard.render.ink import Text
from mansard.render.layout import Column, Table
from mansard.render.palette import QUIET, STRONG
from mansard.render.technique_words import UNCHANGED, said, written

SAME = "·"
LONGEST_NAME, SHORTEST_NAME, SHORTEST_CHANGE = 44, 20, 24
GAP = 2


@dataclass(frozen=True)
class Measure:
    """A figure of a program that techniques change."""

    title: str
    write: Callable[[Figures], str]


@dataclass(frozen=True)
class Line:
    """A program: what made it, what that changed, and its figures as written."""

    name: str
    changed: str
    figures: tuple[str, ...]


def passes(effects: Sequence[Effect], width: int) -> Iterator[Text | Table]:
    """Yield a heading and a table that begins with the program as it was loaded."""
    if not effects:
        return
    told = "  in the order they ran; figures after each"
    yield Text.assemble(("Techniques", STRONG), (told, QUIET))
    for measures in measured(tuple(effects[0].before.phases)):
        every = lines(effects, measures)
        if _room(every, measures, width) >= _least(every):
            break
    yield _table(every, measures, width)


def measured(phases: Sequence[str]) -> Iterator[list[Measure]]:
    """Yield what is shown of a program, less and less."""
    memory = Measure("memory", lambda f: format_bytes(f.memory.total))
    times = {n: Measure(n, _of(n, lambda p: format_time(p.time_s))) for n in phases}
    moved = {n: Measure("traffic", _of(n, lambda p: format_bytes(p.bytes))) for n in phases}
    launched = Measure("kernels", _of(phases[-1], lambda p: format_count(p.kernels)))
    both = [m for n in phases for m in (times[n], moved[n])]
    yield [memory, *both, launched, Measure("ops", lambda f: format_count(f.ops))]
    yield [memory, *both]
    yield [memory, *times.values()]
    yield [memory]


def _of(name: str, write: Callable[[Phase], str]) -> Callable[[Figures], str]:
    """Return what writes a figure of a phase, which a technique may have taken away."""
    return lambda figures: write(figures.phases[name]) if name in figures.phases else "-"


def lines(effects: Sequence[Effect], measures: Sequence[Measure]) -> list[Line]:
    """Return one line a program, from the one that was loaded."""
    first = tuple(m.write(effects[0].before) for m in measures)
    found = [Line("as loaded", "", first)]
    for effect in effects:
        after = tuple(m.write(effect.after) for m in measures)
        found.append(Line(written(effect.technique), said(effect), after))
    return found


def _room(every: Sequence[Line], measures: Sequence[Measure], width: int) -> int:
    """Return the cells that are left beside the figures, for names and what changed."""
    taken = [max(len(m.title), *(len(line.figures[k]) for line in every)) + GAP
             for k, m in enumerate(measures)]  # fmt: skip
    return width - sum(taken) - 2 * GAP


def _least(every: Sequence[Line]) -> int:
    """Return the cells without which names and what changed cannot be read."""
    name = max(len(part) for line in every for part in _pieces(line.name))
    change = max(len(line.changed) for line in every)
    return min(name, SHORTEST_NAME) + min(change, SHORTEST_CHANGE)


def _widths(every: Sequence[Line], room: int) -> tuple[int, int]:
    """Share the room: names stay whole while what changed can be read beside them."""
    name = max(len(line.name) for line in every)
    change = max(len(line.changed) for line in every)
    piece = max(len(part) for line in every for part in _pieces(line.name))
    narrow = min(change, max(SHORTEST_CHANGE, room - LONGEST_NAME))
    wide = min(name, LONGEST_NAME, max(room - change, min(piece, room - narrow)))
    return wide, max(room - wide, 8)


def _table(every: Sequence[Line], measures: Sequence[Measure], width: int) -> Table:
    name_width, change_width = _widths(every, _room(every, measures, width))
    heads = [Column("technique", most=name_width), Column("changed", most=change_width)]
    table = Table([*heads, *(Column(m.title, right=True) for m in measures)], STRONG)
    before = every[0].figures
    for at, line in enumerate(every):
        pairs = zip(before, line.figures, strict=True)
        cells = [Text(SAME, QUIET) if at and old == new else Text(new) for old, new in pairs]
        name = line.name if len(line.name) <= name_width else _broken(line.name, name_width)
        quiet = QUIET if line.changed == UNCHANGED else ""
        table.add((Text(name, "cyan" if at else QUIET), Text(line.changed, quiet), *cells))
        before = line.figures
    return table


def _pieces(name: str) -> list[str]:
    """Cut a technique between its options."""
    head, brace, rest = name.partition("{")
    return [f"{head}{brace}", *(f" {part}" for part in rest.split(" ") if part)]


def _broken(name: str, width: int) -> str:
    """Break a long technique between its options."""
    pieces = _pieces(name)
    return "\n".join(p if len(p) <= width else words.shorten(p, width) for p in pieces)
