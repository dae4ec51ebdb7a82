"""Backends as a list and one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import IO, Any

from mansard.query.backend_list import BackendSheet
from mansard.render.listing import Column, Listing, show
from mansard.render.techniques import SHEET_COLUMNS, option_rows, read

LIST_COLUMNS = (
    Column("name", "backend"),
    Column("summary", "what it does", flexible=True),
    Column("options", "options", flexible=True),
    Column("owner", "from"),
)


def backend_list(sheets: Sequence[BackendSheet]) -> Listing:
    """Return the list: one line a backend."""
    rows = [
        {"name": s.name, "summary": read(s.summary), "owner": s.owner,
         "options": " ".join(option.name for option in s.options)}
        for s in sheets
    ]  # fmt: skip
    footer = (
        f"{len(rows)} backends; without --backend the roofline answers;"
        " `mansard backends show NAME` has options and sources"
    )
    return Listing(LIST_COLUMNS, [asdict(s) for s in sheets], rows, footer)


def backend_record(sheet: BackendSheet) -> dict[str, Any]:
    """Return everything known of a backend."""
    return asdict(sheet)


def backend_options(sheet: BackendSheet) -> Listing:
    """Return the options of a backend."""
    return Listing(SHEET_COLUMNS, [asdict(sheet)], option_rows(sheet.options))


def show_backend(sheet: BackendSheet, stream: IO[str]) -> None:
    """Print a backend: what it is, then the table of its options."""
    stream.write("".join(f"{line}\n" for line in _text(sheet)))
    if sheet.options:
        stream.write("\n")
        show(backend_options(sheet), stream)


def _text(sheet: BackendSheet) -> Iterator[str]:
    yield f"{sheet.name}: {read(sheet.summary) or 'it does not say what it does'}"
    if sheet.text:
        yield from ("", *read(sheet.text).splitlines())
    yield ""
    yield f"{'from':<10} {sheet.owner}"
    if sheet.source:
        yield f"{'source':<10} {sheet.source}"
    yield f"{'write':<10} --backend {sheet.name}{f':{sheet.example}' if sheet.example else ''}"
