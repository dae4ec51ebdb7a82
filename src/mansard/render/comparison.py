"""Answers side by side: a column each, a line each metric, the change against the first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mansard.core.units import format_bytes, format_time
from mansard.query.beside import field, record
from mansard.query.comparing import Comparison, Entry
from mansard.query.metrics import METRICS
from mansard.render import estimate_words, words
from mansard.render.console import PLAIN_WIDTH, show_parts, uncoloured
from mansard.render.markdown_table import table
from mansard.render.palette import BAD, GOOD, QUIET, STRONG, bound_style

SHOWN = ("ttft", "tpot", "latency", "throughput", "tokens_per_s_per_user", "memory", "weights",
         "kv_cache", "cost_per_mtok")  # fmt: skip
"""Metrics with a line, where any answer knows them."""
LABEL, CELL, GAP = 16, 20, 2
"""Columns of a label, of an answer at least, and between them."""
BEST = "★"
BESIDE = ("ttft", "tpot", "latency")
"""Metrics with the bound and the band of a calibrated estimate under them."""


def renderables(comparison: Comparison, width: int) -> Iterator[RenderableType]:
    """Yield tables of as many answers as fit in ``width`` columns."""
    fit = max(1, (width - LABEL) // (CELL + GAP))
    entries = comparison.entries
    for at in range(0, len(entries), fit):
        if at:
            yield ""
        yield _block(comparison, entries[at : at + fit])
    yield Text(f" {_footer(comparison)}", QUIET)
    for line in _rests(comparison):
        yield Text(f" {line}", QUIET)
    for entry in entries:
        if entry.problem:
            yield Text.assemble((" no answer ", BAD), f"{_line(entry)}: {entry.problem.message}")


def plain(comparison: Comparison, width: int = PLAIN_WIDTH) -> str:
    """Return the text without colour."""
    return uncoloured(renderables(comparison, width), width)


def show(comparison: Comparison, stream: IO[str]) -> None:
    """Print the tables."""
    show_parts(lambda width: renderables(comparison, width), stream)


def markdown(comparison: Comparison) -> str:
    """Return a table with a row an answer."""
    names = _metrics(comparison)
    sizes = _differing(comparison)
    header = ("model", "hardware", "techniques", *sizes, *(METRICS[n].label for n in names), "fits")
    rows = [
        (e.model, e.on, e.techniques or "none", *(_size(e, n) for n in sizes),
         *(_written(comparison, e, n) for n in names), _fits(e).plain)
        for e in comparison.entries
    ]  # fmt: skip
    said = [f"*{line}*" for line in (_footer(comparison), *_rests(comparison))]
    return "\n".join([*table(header, rows, 3), "", "  \n".join(said)]) + "\n"


def written(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Return the table as text: its header, and a row a metric with a cell an answer."""
    entries = comparison.entries
    rows = [[n, *(_size(e, n) for e in entries)] for n in _differing(comparison)]
    rows += [
        [METRICS[n].label, *(_cell(comparison, e, n).plain for e in entries)]
        for n in _metrics(comparison)
    ]
    rows.append(["fits", *(_fits(e).plain for e in entries)])
    return ["", *map(_title, entries)], rows


def footer(comparison: Comparison) -> str:
    """Say what was asked and what the marks mean."""
    return _footer(comparison)


def _written(comparison: Comparison, entry: Entry, name: str) -> str:
    cell = _cell(comparison, entry, name).plain
    if name not in BESIDE or entry.estimate is None or entry.estimate.calibrated is None:
        return cell
    beside = _beside(entry, name)
    return f"{cell}, bound {beside['bound']}, band {beside['band']}"


def _block(comparison: Comparison, entries: Sequence[Entry]) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP, 0, 0))
    shown.add_column("", width=LABEL - GAP, no_wrap=True)
    for entry in entries:
        shown.add_column(Text(_title(entry)), min_width=CELL, overflow="fold")
    for size in _differing(comparison):
        shown.add_row(Text(size, QUIET), *(Text(_size(e, size)) for e in entries))
    for name in _metrics(comparison):
        shown.add_row(
            Text(METRICS[name].label, QUIET), *(_cell(comparison, e, name) for e in entries)
        )
        if name in BESIDE and any(e.estimate and e.estimate.calibrated for e in entries):
            for part in ("bound", "band"):
                cells = (Text(_beside(e, name)[part], QUIET) for e in entries)
                shown.add_row(Text(f"  {part}", QUIET), *cells)
    shown.add_row(Text("fits", QUIET), *map(_fits, entries))
    for phase in _bounded(comparison):
        if any(e.estimate and phase in e.estimate.phases for e in comparison.entries):
            shown.add_row(Text(f"{phase} bound", QUIET), *(_bound(e, phase) for e in entries))
    return shown


def _bounded(comparison: Comparison) -> dict[str, None]:
    """Return the phases whose bound is shown: of what is called once, every one."""
    once = [e.estimate for e in comparison.entries if e.estimate and e.estimate.makes != "tokens"]
    return dict.fromkeys(("prefill", "decode", *(p for e in once for p in e.phases)))


def _beside(entry: Entry, name: str) -> dict[str, str]:
    """Return the bound, with the ratio to it, and the band of a calibrated metric."""
    found = record(entry.estimate)
    ideal, ratio = found[field(name, "ideal")], found[field(name, "ratio")]
    low, high = found[field(name, "low")], found[field(name, "high")]
    if ideal is None or ratio is None or low is None or high is None:
        return {"bound": "–", "band": "–"}
    return {"bound": f"{format_time(ideal)} ×{ratio:.2f}", "band": words.band(low, high)}


def _metrics(comparison: Comparison) -> list[str]:
    return [n for n in SHOWN if any(e.value(n) is not None for e in comparison.entries)]


def _differing(comparison: Comparison) -> list[str]:
    """Return the lengths that are not the same in all answers: each has a line of its own."""
    each = [estimate_words.lengths(e.estimate) for e in comparison.entries if e.estimate]
    names = dict.fromkeys(name for lengths in each for name in lengths)
    return [n for n in names if len({lengths.get(n) for lengths in each}) > 1]


def _size(entry: Entry, name: str) -> str:
    return estimate_words.lengths(entry.estimate).get(name, "–") if entry.estimate else "–"


def _title(entry: Entry) -> str:
    return "\n".join(_named(entry))


def _line(entry: Entry) -> str:
    return " ".join(_named(entry))


def _named(entry: Entry) -> list[str]:
    return [part for part in (entry.model, f"on {entry.on}", entry.variant) if part]


def _cell(comparison: Comparison, entry: Entry, name: str) -> Text:
    value = entry.value(name)
    if value is None:
        return Text("–", QUIET)
    best = entry in comparison.best(name)
    makes = entry.estimate.makes if entry.estimate else ""
    text = Text(words.figure(name, value, makes), STRONG if best else "")
    if best:
        text.append(f" {BEST}", GOOD)
    change = comparison.change(entry, name)
    if change:
        text.append(f" {words.change(change)}", QUIET)
    return text


def _fits(entry: Entry) -> Text:
    memory = entry.estimate.memory if entry.estimate else None
    if memory is None or memory.capacity is None:
        return Text("unknown" if memory else "–", QUIET)
    words_, style = ("yes", GOOD) if memory.fits else ("no", BAD)
    return Text.assemble((words_, style), f", of {format_bytes(memory.capacity)}")


def _bound(entry: Entry, phase: str) -> Text:
    known = entry.estimate.phases.get(phase) if entry.estimate else None
    return Text(known.bound, bound_style(known.bound)) if known else Text("–", QUIET)


def _rests(comparison: Comparison) -> list[str]:
    return estimate_words.rests_briefly(e.estimate for e in comparison.entries if e.estimate)


def _footer(comparison: Comparison) -> str:
    first = comparison.base.estimate
    assert first is not None
    own = tuple(f"{name} " for name in _differing(comparison))
    asked = " · ".join(part for part in estimate_words.scenario(first) if not part.startswith(own))
    worth = "bounds, not measurements" if first.kind == "ideal" else f"{first.kind} estimates"
    return f"{asked}; changes against the first; {BEST} the best that fits; {worth}"
