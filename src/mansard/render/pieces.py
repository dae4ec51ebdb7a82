"""A metric over a size in a terminal: its pieces, or values of it; and the tables of answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich import box
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mansard.backends.rates import COMPUTE
from mansard.query.metrics import METRICS
from mansard.query.solving.explanation import Explanation, Stretch
from mansard.query.solving.wording import written
from mansard.render import words
from mansard.render.palette import QUIET, STRONG, bound_style


def titled(*columns: tuple[str, bool]) -> Table:
    """Return a table; each column has a title and stands right or left."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style=QUIET)
    for title, right in columns:
        table.add_column(title, justify="right" if right else "left", overflow="fold",
                         no_wrap=right)  # fmt: skip
    return table


def inset(table: Table) -> RenderableType:
    """Return a table two columns to the right."""
    return Padding(table, (0, 0, 0, 2))


def pieces(of: Explanation) -> Iterator[RenderableType]:
    """Yield a metric over the parameter: its pieces, values of it, or why there are none."""
    yield Text.assemble((f"Over {of.over}", STRONG), (f"  {of.method}", QUIET))
    if of.samples:
        yield inset(_samples(of))
        shown = {s.at for s in of.samples}
        turns = [low for c in of.crossings for op in c.ops for low, _, _ in op.flips]
        more = sum(low not in shown for low in turns)
        if more:
            yield Text(f"  and {more} more turns (crossovers --over {of.over})", QUIET)
    if not of.stretches:
        return
    shares = dict(of.crossings[0].shares) if len(of.crossings) == 1 else {}
    bound = ("compute-bound", True)
    table = titled((of.over, True), (of.metric, False), *([bound] if shares else []),
                   ("turns at its start", False))  # fmt: skip
    for stretch in of.stretches:
        known = shares.get(stretch.low)
        share = "" if known is None else words.percent(known.get(COMPUTE, 0.0))
        table.add_row(_range(stretch), affine(stretch.base, stretch.slope, of),
                      *([share] if shares else []), _flips(stretch.flips))  # fmt: skip
    yield inset(table)


def _samples(of: Explanation) -> Table:
    """Return the metric at values of the parameter, the bound and the band beside it."""
    banded = of.samples[0].ideal is not None
    more = [("bound", True), ("factor", True), ("band", True)] if banded else []
    table = titled((of.over, True), (of.metric, True), *more, ("turns here", False))
    flips: dict[int, list[tuple[str, str]]] = {}
    for op in (op for crossing in of.crossings for op in crossing.ops):
        for low, _, bound in op.flips[1:]:
            flips.setdefault(low, []).append((op.name, bound))
    dimension = METRICS[of.metric].dimension
    for s in of.samples:
        beside: tuple[str, ...] = ()
        if s.ideal is not None and s.low is not None and s.high is not None:
            band = words.band(s.low, s.high) if dimension == "time" else ""
            beside = written(s.ideal, dimension), f"{s.value / s.ideal:.2f}", band or (
                f"{written(s.low, dimension)}-{written(s.high, dimension)}")  # fmt: skip
        value = written(s.value, dimension)
        table.add_row(f"{s.at:,}", value, *beside, _flips(flips.get(s.at, ())))
    return table


def _range(stretch: Stretch) -> str:
    if stretch.high is None:
        return f"from {stretch.low:,}"
    if stretch.low == stretch.high:
        return f"{stretch.low:,}"
    return f"{stretch.low:,}…{stretch.high:,}"


def _flips(flips: Iterable[tuple[str, str]]) -> Text:
    text = Text()
    for op, bound in flips:
        text.append(", " if text else "").append(f"{op} ").append(bound, bound_style(bound))
    return text


def affine(base: float, slope: float, of: Explanation) -> str:
    """Write ``base + slope·parameter`` in the metric's unit."""
    return affine_in(base, slope, of.over, METRICS[of.metric].dimension)


def affine_in(base: float, slope: float, over: str, dimension: str) -> str:
    """Write ``base + slope·over`` in the units of a dimension."""
    parts = [written(base, dimension)] * bool(base) + [
        f"{written(abs(slope), dimension)}·{over}"
    ] * bool(slope)
    return (" + " if slope >= 0 else " - ").join(parts) or written(0, dimension)


def bounds_of(flips: tuple[tuple[int, int | None, str], ...]) -> str:
    """Say what bounds an op where.

    >>> bounds_of(((1, 9, "memory"), (10, None, "compute"))), bounds_of(((1, None, "memory"),))
    ('memory to 9, compute from 10', 'memory')
    """
    if len(flips) == 1:
        return flips[0][2]
    return ", ".join(
        bound + f" from {low:,}" * (low > 1) + ("" if high is None else f" to {high:,}")
        for low, high, bound in flips
    )
