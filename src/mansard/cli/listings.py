"""What the ``list`` and ``show`` commands share: printing a Listing in the form asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from mansard.cli.output import Output
from mansard.render.listing import Listing, document, show


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
