"""An answer of ``solve`` in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from rich import box
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mansard.core.units import format_bytes
from mansard.query.estimate import Estimate
from mansard.query.solving.solution import Check, Solution
from mansard.query.solving.wording import answer, spans
from mansard.render import estimate_words
from mansard.render.console import PLAIN_WIDTH, show_parts, uncoloured
from mansard.render.headline import packed, worth
from mansard.render.palette import BAD, GOOD, QUIET, STRONG

GOALS = {"maximize": "the greatest", "minimize": "the least", "find": "one"}


def renderables(solution: Solution, width: int) -> Iterator[RenderableType]:
    """Yield the parts of an answer for a terminal of ``width`` columns."""
    estimate = solution.estimate or solution.asked.estimate
    asked = estimate_words.scenario(estimate) if solution.found else _but(solution, estimate)
    heading = [Text(estimate_words.title(estimate), STRONG), *(Text(a, QUIET) for a in asked)]
    yield from packed(heading, width, Text(" · ", QUIET))
    yield ""
    if not solution.found:
        yield Text.assemble((f"no {solution.find}", BAD), "  nothing satisfies the constraints")
        yield _wrapped("why", solution.reason)
        yield _wrapped("method", solution.method)
        return
    shown = answer(solution.value, solution.dimension, solution.goal)
    yield Text.assemble(
        (f"{solution.find} = {shown}", STRONG),
        (f"  {GOALS[solution.goal]} that satisfies {_every(solution.checks)}", QUIET),
    )
    yield _checks(solution)
    if len(solution.checks) > 1 or (len(solution.intervals) > 1 and solution.within):
        together = spans(solution.intervals, solution.dimension, solution.within)
        yield _wrapped("together", together)
    yield _wrapped("method", solution.method)
    yield ""
    yield from packed(list(_metrics(estimate)), width, Text("   "))
    yield from worth(estimate, width)


def plain(solution: Solution, width: int = PLAIN_WIDTH) -> str:
    """Return the text without colour."""
    return uncoloured(renderables(solution, width), width)


def show(solution: Solution, stream: IO[str]) -> None:
    """Print an answer."""
    show_parts(lambda width: renderables(solution, width), stream)


def _but(solution: Solution, estimate: Estimate) -> list[str]:
    """Say what was asked, the unknown left out."""
    return [a for a in estimate_words.scenario(estimate) if not a.startswith(f"{solution.find} ")]


def _every(checks: tuple[Check, ...]) -> str:
    return "the constraint" if len(checks) == 1 else "all constraints"


def _checks(solution: Solution) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style=QUIET)
    table.add_column("constraint", overflow="fold")
    table.add_column(f"holds for {solution.find}", overflow="fold")
    table.add_column("")
    for check in solution.checks:
        where = spans(check.intervals, solution.dimension, solution.within)
        binds = check.text in solution.binding.split(" and ")
        table.add_row(check.text, where, Text("binding", GOOD) if binds else "")
    return Padding(table, (0, 0, 0, 2))


def _wrapped(label: str, text: str) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style=QUIET)
    table.add_column(overflow="fold")
    table.add_row(label, Text(text))
    return Padding(table, (0, 0, 0, 2))


def _metrics(estimate: Estimate) -> Iterator[Text]:
    memory = estimate.memory
    of = f" / {format_bytes(memory.capacity)}" if memory.capacity is not None else ""
    held = ("memory", f"{format_bytes(memory.total)}{of}")
    for name, value in (*estimate_words.measured(estimate), held):
        yield Text.assemble((f"{name} ", QUIET), (value, STRONG))
