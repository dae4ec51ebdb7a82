"""Plans on several chips side by side, in a terminal and as Markdown: the cheapest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mansard.core.units import format_time
from mansard.query.planning.chips import ranked
from mansard.query.planning.plan import Plan
from mansard.render import estimate_words, words
from mansard.render.console import show_parts
from mansard.render.markdown_table import table
from mansard.render.palette import BAD, QUIET, STRONG
from mansard.render.plan import asked, binding, replicas, said

TEXTS = ("hardware", "replicas")
WITH_COSTS = 90
"""Columns from which costs and the rate that is served stand side by side."""


def show(plans: Sequence[Plan], stream: IO[str]) -> None:
    """Print plans."""
    show_parts(lambda width: renderables(plans, width), stream)


def renderables(plans: Sequence[Plan], width: int) -> Iterator[RenderableType]:
    """Yield the parts: what was asked, a row for each chip, why the others cannot."""
    first = plans[0]
    yield Text(f"{first.model} · {asked(first)}", STRONG)
    if served := ranked(plans):
        best = served[0]
        assert best.best is not None
        count = words.counted(best.best.devices, "device")
        yield Text(f"{best.on}: {count}, {said(best.best)}", STRONG)
        for line in binding(best):
            yield Text(line, QUIET)
        yield ""
        columns = [c for c in _columns(plans) if c != "serves" or _wide(plans, width)]
        shown = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
        for name in columns:
            side = "left" if name in TEXTS else "right"
            shown.add_column(name, justify=side, overflow="fold")  # type: ignore[arg-type]
        for plan in served:
            shown.add_row(*map(Text, _row(plan, columns)))
        yield shown
    for plan in plans:
        if not plan.best:
            yield Text(f"{plan.on}: nothing serves it within the objectives:", BAD)
            for miss in plan.misses:
                yield Text(f"  {miss}")
    yield ""
    for line in estimate_words.rests_briefly(plan.alone for plan in plans):
        yield Text(line, QUIET)
    yield Text("One chip alone (--on NAME) shows its other options, its front and what it assumes.",
               QUIET)  # fmt: skip


def markdown(plans: Sequence[Plan]) -> str:
    """Return plans as Markdown."""
    columns = _columns(plans)
    rows = [_row(plan, columns) for plan in ranked(plans)]
    rests = estimate_words.rests_briefly(plan.alone for plan in plans)
    missed = [f"- {p.on}: {'; '.join(p.misses)}" for p in plans if not p.best]
    lines = [f"# {plans[0].model}: {asked(plans[0])}", "",
             *(table(columns, rows, 1) if rows else ["nothing serves it"]), "", *missed, "",
             *(f"- {line}" for line in (*plans[0].assumes, *rests))]  # fmt: skip
    return "\n".join(lines) + "\n"


def _columns(plans: Sequence[Plan]) -> tuple[str, ...]:
    costs = () if any(p.price is None for p in plans) else ("$/h", "$/Mtok")
    return ("hardware", "devices", "replicas", "batch", "TTFT", "TPOT", "serves", *costs)


def _wide(plans: Sequence[Plan], width: int) -> bool:
    return width >= WITH_COSTS or any(p.price is None for p in plans)


def _row(plan: Plan, columns: Sequence[str]) -> list[str]:
    best = plan.best
    assert best is not None
    hourly, each = plan.cost_per_hour(best), plan.cost_per_mtok(best)
    added = [best.variant] if best.variant else []
    cells = {
        "hardware": plan.on, "devices": str(best.devices),
        "replicas": "\n".join([*map(replicas, best.pools), *added]),
        "batch": "\n".join(str(p.batch) for p in best.pools),
        "TTFT": format_time(best.ttft_s), "TPOT": format_time(best.tpot_s),
        "serves": f"{best.requests_per_s:.3g} req/s",
        "$/h": "-" if hourly is None else f"{hourly:,.2f}",
        "$/Mtok": "-" if each is None else f"{each:.3g}",
    }  # fmt: skip
    return [cells[name] for name in columns]
