"""What the ``list`` and ``show`` commands share: printing a Listing in the form asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, TypeVar

import click

from mansard.cli.output import Output
from mansard.cli.paint import paint
from mansard.core.errors import PluginError
from mansard.core.notes import Note
from mansard.render.listing import Listing, document, show

F = TypeVar("F", bound=Callable[..., Any])


def listing_the_rest(command: F) -> F:
    """Let a command list what works when plugins fail: each is named on stderr, and it exits 4.

    With ``--ignore-broken-plugins`` it exits with 0; it prints the same.
    """

    @wraps(command)
    def lenient(*args: Any, **values: Any) -> Any:
        from mansard.plugins.loading import is_skipping, registry, skipping_broken
        from mansard.query.plugins import left_out

        asked = is_skipping()
        with skipping_broken():
            registry().things.clear()  # what an earlier question left out is not this one's
            try:
                return command(*args, **values)
            finally:
                if say_left_out(left_out()) and not asked and sys.exc_info()[0] is None:
                    click.get_current_context().exit(PluginError.exit_code)

    wrapped: F = lenient  # type: ignore[assignment]
    return wrapped


def say_left_out(notes: Sequence[Note]) -> bool:
    """Print what was left out, and where to look; say whether anything was."""
    from mansard.cli.analyze import print_notes

    print_notes(notes)
    if notes:
        print(f"{paint('hint:', '36')} `mansard plugins check` says what is wrong,"
              " `mansard plugins list` what works", file=sys.stderr)  # fmt: skip
    return bool(notes)


def print_listing(listing: Listing, to: Output) -> None:
    """Write a list where and in the form the options say."""
    if to.form == "table":
        to.print(lambda stream: show(listing, stream))
    else:
        to.write(document(listing, to.form))


def print_record(record: Mapping[str, Any], listing: Listing, to: Output) -> None:
    """Write one thing: JSON as an object, every other form as its list."""
    from mansard.render.encodings import as_json, as_jsonl

    match to.form:
        case "json":
            to.write(as_json(record))
        case "jsonl":
            to.write(as_jsonl([record]))
        case _:
            print_listing(
                Listing(listing.columns, listing.shown, listing.shown, listing.footer), to
            )


def matching(names: Iterable[str], pattern: str | None) -> list[str]:
    """Return the names that contain ``pattern`` in any case; says so when none does."""
    known = list(names)
    found = [name for name in known if pattern is None or pattern.lower() in name.lower()]
    if known and not found:
        print(f"nothing matches {pattern!r}", file=sys.stderr)
    return found
