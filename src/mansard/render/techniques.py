"""Techniques as a list and one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import IO, Any

from mansard.query.catalogue import OptionSheet, TechniqueSheet
from mansard.render.listing import Column, Listing, show

LIST_COLUMNS = (
    Column("name", "technique"),
    Column("level", "level"),
    Column("summary", "what it does", flexible=True),
    Column("owner", "from"),
)
SHEET_COLUMNS = (
    Column("key", "option"),
    Column("default", "default", flexible=True),
    Column("allowed", "allowed", flexible=True),
    Column("help", "what it says", flexible=True),
)


def technique_list(sheets: Sequence[TechniqueSheet]) -> Listing:
    """Return the list: one line a technique."""
    rows = [
        {"name": s.name, "level": s.level, "summary": read(s.summary), "owner": s.owner}
        for s in sheets
    ]
    footer = f"{len(rows)} techniques; `mansard techniques show NAME` has options and sources"
    return Listing(LIST_COLUMNS, [asdict(s) for s in sheets], rows, footer)


def technique_record(sheet: TechniqueSheet) -> dict[str, Any]:
    """Return everything known of a technique."""
    return asdict(sheet)


def technique_sheet(sheet: TechniqueSheet) -> Listing:
    """Return the options of a technique."""
    return Listing(SHEET_COLUMNS, [asdict(sheet)], option_rows(sheet.options))


def option_rows(options: Sequence[OptionSheet]) -> list[Mapping[str, str]]:
    """Return options as people read them."""
    return [
        {
            "key": option.name,
            "default": "-" if option.default in (None, '""') else str(option.default),
            "allowed": option.allowed,
            "help": option.help,
        }
        for option in options
    ]


def show_technique_sheet(sheet: TechniqueSheet, stream: IO[str]) -> None:
    """Print a technique: what it is, then the table of its options."""
    stream.write("".join(f"{line}\n" for line in (*technique_text(sheet), "")))
    show(technique_sheet(sheet), stream)


def technique_text(sheet: TechniqueSheet) -> Iterator[str]:
    """Yield the lines above the options: what it does, its source, what it assumes and omits."""
    yield f"{sheet.name}: {read(sheet.summary)}"
    if sheet.text:
        yield from ("", *read(sheet.text).splitlines())
    yield ""
    yield from (f"{key:<10} {value}" for key, value in _facts(sheet))


def read(text: str) -> str:
    """Return text of a docstring for people: code in single quotation marks."""
    return text.replace("``", "`")


def _facts(sheet: TechniqueSheet) -> Iterator[tuple[str, str]]:
    yield "from", sheet.owner
    if sheet.source:
        yield "source", sheet.source
    if sheet.level:
        yield "level", f"{sheet.level} appends it"
    for key, names in (("requires", sheet.requires), ("conflicts", sheet.conflicts)):
        if names:
            yield key, ", ".join(names)
    for key, sentences in (("assumes", sheet.assumes), ("leaves out", sheet.omits)):
        yield from ((key, sentence) for sentence in sentences)
    yield "write", f"-t {_quoted(sheet)}"


def _quoted(sheet: TechniqueSheet) -> str:
    """Return a technique with the options of its example, as a shell takes it."""
    if not sheet.example:
        return sheet.name
    if set(sheet.example) & set("[]{}\"'"):
        return f"'{sheet.name}{{{sheet.example}}}'"
    return f"{sheet.name}:{','.join(sheet.example.split())}"
