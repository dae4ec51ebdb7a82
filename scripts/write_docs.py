"""Write the pages of ``docs/`` that come from registries; a test compares them.

Usage: ``python scripts/write_docs.py``
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

from mansard.core.notes import CODES, UNKNOWN
from mansard.query.backend_list import known_backends
from mansard.query.catalogue import OptionSheet, TechniqueSheet, techniques
from mansard.render.markdown_table import table

DOCS = Path(__file__).parents[1] / "docs"
TAXONOMY = Path(__file__).parent / "taxonomy.toml"
GENERATED = "*Written by `python scripts/write_docs.py` from the registries; a test compares it.*"


def techniques_page() -> str:
    """Return the catalogue of mansard's own techniques."""
    return "\n".join(_techniques()) + "\n"


def notes_page() -> str:
    """Return the registry of warning codes."""
    return "\n".join(_notes()) + "\n"


def backends_page() -> str:
    """Return the catalogue of mansard's own backends."""
    return "\n".join(_backends()) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "techniques.md": techniques_page,
    "backends.md": backends_page,
    "notes.md": notes_page,
}
"""Page → what writes it."""


def _techniques() -> Iterator[str]:
    yield "# Techniques"
    yield ""
    yield GENERATED
    yield ""
    yield (
        "Each is a pass, named in `-t` or in a pipeline: `name{key=value key=value},name`, or "
        "`name:key=value,key=value`. The level `-O1`, the default, appends those marked so. "
        "Citations resolve in the [references](references.md)."
    )
    own = [sheet for sheet in techniques() if sheet.owner == "mansard"]
    yield ""
    yield from table(
        ("technique", "level", "what it does"),
        [(s.name, s.level, s.summary.replace("``", "")) for s in own],
        numbers=9,
    )
    yield ""
    yield from _taxonomy({sheet.name: sheet.source for sheet in own})
    for sheet in own:
        yield ""
        yield from _technique(sheet)


def _taxonomy(sources: dict[str, str]) -> Iterator[str]:
    """Write the surveys' taxonomies as a table; what nobody provides has a row that says why."""
    from mansard.plugins.registry import backends

    sources = sources | {
        f"--backend {name}": getattr(type(found.thing), "source", "")
        for name, found in backends().items()
    }
    yield "## Both surveys, row by row"
    yield ""
    yield (
        "Sections are those of S1 [Yuan 2024] and S2 [Zhou 2024]. Every technique is a pass or a "
        "plugin of mansard's own, registered through the hooks that [plugins](plugins.md) use."
    )
    yield ""
    rows = tomllib.loads(TAXONOMY.read_text("utf-8"))["row"]
    yield from table(
        ("technique", "section", "provided by", "rewrite", "formula", "source"),
        [_row(row, sources) for row in rows],
        numbers=9,
    )


def _row(row: dict[str, str], sources: dict[str, str]) -> tuple[str, ...]:
    """Return the cells of a technique of a survey."""
    if "why" in row:
        return row["what"], row["section"], "-", row["why"], "-", "-"
    name = re.split(r"[{:]", row["by"])[0]
    source = sources[name]
    return row["what"], row["section"], f"`{row['by']}`", row["rewrite"], row["formula"], source


def _technique(sheet: TechniqueSheet) -> Iterator[str]:
    yield f"## {sheet.name}"
    yield ""
    yield _prose(sheet.summary)
    if sheet.text:
        yield ""
        yield _prose(sheet.text)
    yield ""
    if sheet.source:
        yield f"- Source: {sheet.source}"
    for word, names in (("Needs", sheet.requires), ("Cannot follow", sheet.conflicts)):
        if names:
            yield f"- {word}: {', '.join(names)}"
    for word, sentences in (("Assumes", sheet.assumes), ("Leaves out", sheet.omits)):
        for sentence in sentences:
            yield f"- {word}: {_prose(sentence)}"
    yield ""
    rows = [_option(option) for option in sheet.options]
    yield from table(("option", "default", "allowed", "what it says"), rows, numbers=9)


def _backends() -> Iterator[str]:
    yield "# Backends"
    yield ""
    yield GENERATED
    yield ""
    yield (
        "What may answer in place of the roofline: `--backend name` or `--backend "
        "name:key=value,key=value`. Each says what it assumed, in a line below the headline and "
        "in `assumes` of JSON. `mansard backends list` has those of plugins, too."
    )
    for sheet in known_backends():
        if sheet.owner != "mansard":
            continue
        yield ""
        yield f"## {sheet.name}"
        yield ""
        yield _prose(sheet.summary)
        yield ""
        yield _prose(sheet.text)
        yield ""
        yield f"- Source: {sheet.source}"
        yield ""
        rows = [_option(option) for option in sheet.options]
        yield from table(("option", "default", "allowed", "what it says"), rows, numbers=9)


def _option(option: OptionSheet) -> tuple[str, str, str, str]:
    default = "-" if option.default in (None, '""') else str(option.default)
    return option.name, default, option.allowed, _prose(option.help)


def _prose(text: str) -> str:
    return text.replace("``", "`")


def _notes() -> Iterator[str]:
    yield "# Notes and warnings"
    yield ""
    yield GENERATED
    yield ""
    yield (
        "What an answer rests on that its reader should know: on stderr, in `warnings` of JSON, "
        "at the end of printed objects. `--strict` exits with 3 when a marked one is there, "
        "because then something is unknown."
    )
    yield ""
    rows = [(code, text, "unknown" if code in UNKNOWN else "") for code, text in CODES.items()]
    yield from table(("code", "what it is about", "--strict"), rows, numbers=9)


def main() -> None:
    """Write every page."""
    for name, write in PAGES.items():
        (DOCS / name).write_text(write(), encoding="utf-8")


if __name__ == "__main__":
    main()
