"""Lengths of a CSV file: one a line, or a prompt and an output."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mansard.core.errors import SpecError

MOST_BYTES = 200_000_000
HINT = "write 2048, lognormal(2k,0.8), uniform(1k,4k) or the path of a .csv"


def read_rows(path: str, columns: tuple[str, ...]) -> Iterator[tuple[int, ...]]:
    """Yield the whole numbers of some columns; without a header, of the first ones."""
    import csv

    file = Path(path).expanduser()
    try:
        if file.stat().st_size > MOST_BYTES:
            raise SpecError(f"{path[:80]}: larger than 200 MB", hint="sample it first")
        with file.open(encoding="utf-8-sig", newline="") as stream:
            at: list[int] | None = None
            found = 0
            for number, row in enumerate(csv.reader(stream), 1):
                if not row or not "".join(row).strip():
                    continue
                if at is None:
                    at, header = _columns(path, row, columns)
                    if header:
                        continue
                found += 1
                yield tuple(_length(path, number, row, k) for k in at)
            if not found:
                raise SpecError(f"{path[:80]}: no lengths in it", hint="write one a line")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SpecError(f"{path[:80]}: cannot be read: {reason}", hint=HINT) from error


def _columns(path: str, row: list[str], columns: tuple[str, ...]) -> tuple[list[int], bool]:
    """Return where columns are, and whether the row is a header."""
    names = [cell.strip().lower() for cell in row]
    if all(re.fullmatch(r"[+-]?[\d.]+", cell) for cell in names if cell):
        return list(range(len(columns))), False
    if len(columns) == 1 and columns[0] not in names and len(names) == 1:
        return [0], True
    missing = next((c for c in columns if c not in names), None)
    if missing is not None:
        raise SpecError(f"{path[:80]}: no column {missing!r} in {', '.join(names)[:80]}",
                        hint="name the columns prompt and output")  # fmt: skip
    return [names.index(c) for c in columns], True


def _length(path: str, line: int, row: list[str], at: int) -> int:
    text = row[at].strip() if at < len(row) else ""
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise SpecError(f"{path[:80]}, line {line}: {text[:40]!r} is no length",
                        hint="lengths are whole numbers from 1")  # fmt: skip
    return int(text)
