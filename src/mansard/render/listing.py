"""Lists of things with the same fields: models, chips, techniques, plugins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO, Any

from mansard.core.records import dataclass
from mansard.render.encodings import as_csv, as_json, as_jsonl
from mansard.render.markdown_table import table


@dataclass(frozen=True)
class Column:
    """A field of the records and how a person sees it.

    Args:
        name: key of the records, as in JSON.
        title: heading of the table.
        number: whether it is aligned to the right.
        flexible: whether it may be broken over lines when space is short.
        spare: the order in which columns are left out when space is short: 1 first, 0 never.
    """

    name: str
    title: str
    number: bool = False
    flexible: bool = False
    spare: int = 0


@dataclass(frozen=True)
class Listing:
    """Records with the columns people see; ``shown`` are the same as text.

    Args:
        columns: of the table.
        records: SI values, for programs.
        shown: the same, column → text, for people.
        footer: a line below the table.
    """

    columns: Sequence[Column]
    records: Sequence[Mapping[str, Any]]
    shown: Sequence[Mapping[str, str]]
    footer: str = ""


def document(listing: Listing, form: str) -> str:
    """Return the list as json, jsonl, csv or md."""
    match form:
        case "json":
            return as_json(list(listing.records))
        case "jsonl":
            return as_jsonl(listing.records)
        case "csv":
            fields = list(dict.fromkeys(k for record in listing.records for k in record))
            return as_csv(fields or [c.name for c in listing.columns], listing.records)
        case _:
            rows = [[row.get(c.name, "") for c in listing.columns] for row in listing.shown]
            first = next((i for i, c in enumerate(listing.columns) if c.number), len(rows) + 9)
            return "\n".join(table([c.title for c in listing.columns], rows, first)) + "\n"


def show(listing: Listing, stream: IO[str]) -> None:
    """Print the list as a table."""
    from rich.text import Text

    from mansard.render.console import show_parts

    def parts(width: int) -> list[Any]:
        columns = fitting(listing, width)
        out = [c.title for c in listing.columns if c not in columns]
        said = [f"without {', '.join(out)}, for want of space (-f csv has all)"] if out else []
        footer = "; ".join(filter(None, (listing.footer, *said)))
        return [_table(listing, columns), *([Text(footer, style="dim")] if footer else [])]

    show_parts(parts, stream)


GAP = 2
"""Cells between columns."""

BROKEN = 24
"""Cells below which a column is not broken over lines while another can be left out."""


def fitting(listing: Listing, width: int) -> list[Column]:
    """Return the columns that fit a width, the least important left out; no value is cut."""
    needed = {c.name: GAP + _needed(c, listing) for c in listing.columns}
    kept = {c.name for c in listing.columns if not c.spare}
    for column in sorted((c for c in listing.columns if c.spare), key=lambda c: -c.spare):
        if sum(needed[name] for name in (*kept, column.name)) - GAP <= width:
            kept.add(column.name)
    return [c for c in listing.columns if c.name in kept]


def _needed(column: Column, listing: Listing) -> int:
    longest = max((len(row.get(column.name, "")) for row in listing.shown), default=0)
    return max(len(column.title), min(longest, BROKEN) if column.flexible else longest)


def _table(listing: Listing, columns: Sequence[Column]) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shown = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )
    for column in columns:
        shown.add_column(
            column.title,
            justify="right" if column.number else "left",
            no_wrap=not column.flexible,
            min_width=_needed(column, listing) if column.number else None,
            overflow="fold" if column.flexible else "ellipsis",
        )
    for row in listing.shown:
        shown.add_row(*(Text(row.get(c.name, "")) for c in columns))
    return shown
