"""An answer that is a table of rows, in every form, and its notes."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any, Protocol

from mansard.cli.output import Output
from mansard.core.notes import Note


class Tabular(Protocol):
    """What can be written as a document or as rows."""

    def to_dict(self) -> dict[str, Any]:
        """Return the document."""

    def rows(self) -> list[dict[str, Any]]:
        """Return its rows, each with the same keys."""


def write_answer(found: Tabular, notes: Iterable[Note], to: Output, renderer: str) -> None:
    """Write an answer, then its notes.

    Args:
        found: the answer.
        notes: what it rests on.
        to: where, and in which form.
        renderer: the module of ``mansard.render`` that shows it in a terminal.
    """
    from mansard.cli.analyze import print_notes
    from mansard.render.encodings import as_csv, as_json, as_jsonl

    match to.form:
        case "json":
            to.write(as_json(found.to_dict()))
        case "jsonl":
            to.write(as_jsonl([found.to_dict()]))
        case "csv":
            rows = found.rows()
            to.write(as_csv(list(rows[0]) if rows else [], rows))
        case _:
            show = import_module(f"mansard.render.{renderer}").show
            to.print(lambda stream: show(found, stream))
    print_notes(notes)
