"""A plan in a terminal and as Markdown: the best option, its rivals, the front, assumptions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO

from rich import box
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mansard.core.units import format_bytes, format_time
from mansard.query.planning.options import Option, Pool
from mansard.query.planning.plan import Plan
from mansard.render import estimate_words, words
from mansard.render.console import show_parts
from mansard.render.markdown_table import table
from mansard.render.palette import BAD, QUIET, STRONG

OPTIONS, POINTS, FAILED = 8, 8, 4
"""Rows of each table, and layouts that fail."""
WITH_COSTS = 90
"""Columns from which costs and memory stand side by side."""
OPTION_COLUMNS = ("devices", "replicas", "batch", "TTFT", "TPOT", "serves", "memory")
POINT_COLUMNS = ("layout", "batch", "per user", "per device", "TTFT")


def show(plan: Plan, stream: IO[str]) -> None:
    """Print a plan."""
    show_parts(lambda width: renderables(plan, width), stream)


def renderables(plan: Plan, width: int) -> Iterator[RenderableType]:
    """Yield the parts of a plan."""
    yield Text(f"{plan.model} on {plan.on} · {asked(plan)}", STRONG)
    if plan.best:
        yield Text(f"{words.counted(plan.best.devices, 'device')}: {said(plan.best)}", STRONG)
        for line in binding(plan):
            yield Text(line, QUIET)
        yield ""
        columns = option_columns(plan)
        shown = [k for k, name in enumerate(columns) if name != "memory" or fits(plan, width)]
        rows = [option_row(plan, o) for o in plan.options[:OPTIONS]]
        yield _table([columns[k] for k in shown], [[row[k] for k in shown] for row in rows], 2)
    else:
        yield Text("nothing serves it within the objectives:", BAD)
        for miss in plan.misses:
            yield Text(f"  {miss}")
    if len(plan.options) > OPTIONS:
        yield Text(f"{len(plan.options) - OPTIONS} more (-f json)", QUIET)
    for what, why in plan.failed[:FAILED] if plan.best else ():
        yield Text(f"cannot serve: {what}: {why}", QUIET)
    if plan.best and len(plan.failed) > FAILED:
        yield Text(f"and {len(plan.failed) - FAILED} more layouts cannot (-f json)", QUIET)
    yield ""
    yield Text("Front  speed for a user against throughput of a device, prefills included", STRONG)
    yield _table(POINT_COLUMNS, [_point(plan, k) for k in _sampled(len(plan.front))], 1)
    for what, why in plan.skipped:
        yield Text(f"not tried: {what}: {why}", QUIET)
    yield ""
    for sentence in (*plan.assumes, *estimate_words.rests_briefly([plan.alone])):
        yield Padding(Text(f"· {sentence}", QUIET), (0, 0, 0, 1))


def markdown(plan: Plan) -> str:
    """Return the plan as Markdown."""
    best = said(plan.best) if plan.best else "nothing serves it: " + "; ".join(plan.misses)
    return "\n".join([
        f"# {plan.model} on {plan.on}: {asked(plan)}", "", best, "",
        *(f"{line}." for line in binding(plan)), "",
        *table(option_columns(plan), [option_row(plan, o) for o in plan.options], 2), "",
        *(f"- cannot serve: {what}: {why}" for what, why in plan.failed), "",
        *table(POINT_COLUMNS, [_point(plan, k) for k in range(len(plan.front))], 1), "",
        *(f"- {sentence}" for sentence in plan.assumes),
        *(f"- {line}" for line in estimate_words.rests_briefly([plan.alone])),
    ]) + "\n"  # fmt: skip


def asked(plan: Plan) -> str:
    """Say what has to be served."""
    slo = ", ".join(o.text for o in plan.load.objectives)
    return f"{plan.load.rate:g} requests/s, {slo}"


def binding(plan: Plan) -> Iterator[str]:
    """Yield what keeps the best option's replicas from serving more, and what it costs."""
    if plan.best is None:
        return
    if plan.best.stops:
        yield f"A larger batch would serve more, but {plan.best.stops}"
    hourly, each = plan.cost_per_hour(plan.best), plan.cost_per_mtok(plan.best)
    if hourly is not None and each is not None:
        yield f"{hourly:,.2f} $/h, {each:.3g} $ per M generated tokens at that rate"


def fits(plan: Plan, width: int) -> bool:
    """Say whether the memory has room beside what everything costs."""
    return plan.price is None or width >= WITH_COSTS


def option_columns(plan: Plan) -> tuple[str, ...]:
    """Return the columns: costs where there is a price."""
    return OPTION_COLUMNS if plan.price is None else (*OPTION_COLUMNS, "$/h")


def said(option: Option) -> str:
    """Say what an option is made of."""
    parts = [
        f"{words.counted(p.replicas, 'replica')} of {p.layout}"
        f"{'' if p.does == 'all' else f' to {p.does}'}, batch {p.batch}"
        for p in option.pools
    ]
    return " + ".join(parts) + (f", with {option.variant}" if option.variant else "")


def option_row(plan: Plan, option: Option) -> list[str]:
    """Return the cells of an option."""
    hourly = plan.cost_per_hour(option)
    return [
        str(option.devices),
        "\n".join([*map(replicas, option.pools), *([option.variant] if option.variant else [])]),
        "\n".join(str(p.batch) for p in option.pools),
        _time(option.ttft_s, option.ttft_band_s),
        _time(option.tpot_s, option.tpot_band_s),
        f"{option.requests_per_s:.3g} req/s",
        "\n".join(format_bytes(p.memory) for p in option.pools),
        *([] if hourly is None else [f"{hourly:,.2f}"]),
    ]


def _time(value: float, band: tuple[float, float] | None) -> str:
    """Write a time, its band under it."""
    return format_time(value) if band is None else f"{format_time(value)}\n{words.band(*band)}"


def replicas(pool: Pool) -> str:
    """Say how many replicas of what a pool has."""
    return f"{pool.replicas} × {pool.layout}" + ("" if pool.does == "all" else f" {pool.does}")


def _point(plan: Plan, k: int) -> list[str]:
    p = plan.front[k]
    return [
        f"{p.layout} {p.variant}".strip(), str(p.batch),
        words.tokens_per_s(p.tokens_per_s_per_user),
        words.tokens_per_s(p.tokens_per_s_per_device), format_time(p.ttft_s),
    ]  # fmt: skip


def _sampled(count: int) -> list[int]:
    """Return positions of at most ``POINTS`` of ``count``, both ends among them, sparser later."""
    if count <= POINTS:
        return list(range(count))
    return sorted({round(count ** (k / (POINTS - 1))) - 1 for k in range(POINTS)})


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], texts: int) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    for k, name in enumerate(columns):
        number = k != columns.index("replicas" if texts == 2 else "layout")
        shown.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in rows:
        shown.add_row(*map(Text, row))
    return shown
