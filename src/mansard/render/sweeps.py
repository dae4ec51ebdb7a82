"""A sweep as a table: what varies, then the metrics; what is the same in every row is said once."""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, Any

from mansard.core.units import format_bytes, format_count, format_time
from mansard.query.metrics import METRICS
from mansard.query.solving.wording import written as with_unit
from mansard.query.sweeps.axes import dimension_of
from mansard.query.sweeps.metrics import FITS, MAKES
from mansard.query.sweeps.metrics import SHOWN as SWEPT
from mansard.query.sweeps.once import TOKENS
from mansard.render import words
from mansard.render.listing import Column, Listing, document, show

if TYPE_CHECKING:
    from mansard.query.sweeps.result import Sweep

RATE = METRICS["throughput"].field
SHOWN = 60
"""Rows of a table for people; every other form has all."""
HIDDEN = ("capacity", "energy", "cost")
"""Metrics a table leaves out; every other form has them."""
TITLES = {METRICS[n].field: METRICS[n].label for n in SWEPT if n not in HIDDEN} | {FITS: "fits"}
LATENCY = METRICS["latency"].field
"""What is shown where a row is of a model that makes no tokens: others say TTFT and TPOT."""
LENGTHS = ("prompt", "output")
BESIDE = {"ttft_s": "ttft", "tpot_s": "tpot", LATENCY: "latency"}
"""Metrics beside which a calibrated sweep shows people the bound, the ratio and the band."""


def _titles(records: list[dict[str, Any]]) -> dict[str, str]:
    """Return column → title of those that people see; bands are written in one column."""
    once = any(row[MAKES] != TOKENS for row in records)
    titles = {name: title for name, title in TITLES.items() if once or name != LATENCY}
    if not any("ttft_ratio" in row for row in records):
        return titles
    found: dict[str, str] = {}
    for name, title in titles.items():
        found[name] = title
        if name in BESIDE:
            parts = {"ideal_s": "bound", "ratio": "ratio", "band": "band"}
            found |= {f"{BESIDE[name]}_{part}": f"{title} {word}" for part, word in parts.items()}
    return found


def listing(sweep: Sweep, most: int | None = None) -> Listing:
    """Return the rows with the columns people see.

    Args:
        sweep: the result.
        most: rows; all unless given.
    """
    records = [row for row, _ in zip(sweep.records(), range(most or len(sweep)), strict=False)]
    axes = {axis.name: axis for axis in sweep.axes}
    differ = [n for n in LENGTHS if len({row.get(n) for row in records}) > 1]
    labels = [n for n in sweep.labels if n in differ or (n in axes and len(axes[n].values) > 1)]
    titles = _titles(records)
    measured = [n for n in titles if any(_value(r, n) is not None for r in records)]
    if all(r[FITS] for r in records):
        measured = [n for n in measured if n != FITS]
    spare = _spare(measured, len({r[MAKES] for r in records}) > 1)
    measures = {n: dimension_of(axis) for n, axis in axes.items()}

    def text(name: str, value: Any) -> str:
        measure = measures.get(name)
        return with_unit(value, measure) if measure and _is_number(value) else _text(name, value)

    same = [f"{n} {text(n, records[0][n])}" for n in sweep.labels
            if n not in labels and records and records[0][n] is not None]  # fmt: skip
    columns = [
        Column(n, n, flexible=True,
               number=all(_is_number(r[n]) or (n in LENGTHS and r[n] is None) for r in records))
        for n in labels
    ]  # fmt: skip
    columns += [Column(n, titles[n], number=n != FITS, spare=spare.get(n, 0))
                for n in measured]  # fmt: skip
    shown = [
        {n: text(n, _value(r, n)) for n in (*labels, *measured)}
        | ({RATE: words.made_per_s(r[RATE], r[MAKES])} if r[RATE] is not None else {})
        for r in records
    ]
    return Listing(columns, records, shown, _footer(sweep, same, len(records)))


def _spare(measured: list[str], mixed: bool) -> dict[str, int]:
    """Return column → the order in which it is left out, 1 first: from the right.

    Where some rows make tokens and others do not, what stands beside a metric goes first, and then
    what follows from TPOT: every row keeps figures of its own.
    """
    kept = [n for n in measured if n != FITS]
    if mixed:
        kept.sort(key=lambda n: (n not in TITLES, n == METRICS["tokens_per_s_per_user"].field))
    return {n: len(kept) - k for k, n in enumerate(kept)}


def show_sweep(sweep: Sweep, stream: IO[str]) -> None:
    """Print a sweep as a table."""
    show(listing(sweep, SHOWN), stream)


def written(sweep: Sweep, form: str) -> str:
    """Return a sweep as json, jsonl, csv or md."""
    return document(listing(sweep), form)


def plain(sweep: Sweep) -> str:
    """Return the table as text."""
    stream = io.StringIO()
    show_sweep(sweep, stream)
    return stream.getvalue().rstrip("\n")


def _footer(sweep: Sweep, same: list[str], shown: int) -> str:
    what = sweep.reduced or "every point"
    parts = [
        f"{what}: {words.counted(len(sweep), 'point')} of {words.counted(sweep.points, 'point')}"
    ]
    if shown < len(sweep):
        parts.append(f"the first {shown} shown (-f csv has all)")
    if sweep.interrupted:
        parts.append(f"stopped after {words.counted(sweep.evaluated, 'point')}")
    return " · ".join([*parts, *same])


def _text(name: str, value: Any) -> str:
    if value is None:
        return "-"
    match name:
        case "ttft_s" | "tpot_s" | "latency_s":
            return format_time(value)
        case "ttft_ideal_s" | "tpot_ideal_s" | "latency_ideal_s":
            return format_time(value)
        case "ttft_band" | "tpot_band" | "latency_band":
            return words.band(*value)
        case "ttft_ratio" | "tpot_ratio" | "latency_ratio":
            return f"{value:.2f}"
        case "tokens_per_s_per_user":
            return words.tokens_per_s(value)
        case "memory" | "capacity":
            return format_bytes(value)
        case "fits":
            return "yes" if value else "no"
    if isinstance(value, float) or (isinstance(value, int) and abs(value) >= 10**7):
        return format_count(value)
    return str(value)


def _value(row: dict[str, Any], name: str) -> Any:
    """Return a column's value, of a band both ends."""
    if not name.endswith("_band"):
        return row.get(name)
    metric = name.removesuffix("_band")
    ends = row.get(f"{metric}_low_s"), row.get(f"{metric}_high_s")
    return None if None in ends else ends


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
