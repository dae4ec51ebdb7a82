"""JSON, JSON lines and CSV of plain records."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mansard.query.report import finite


def as_json(document: Any) -> str:
    """Return indented JSON."""
    return json.dumps(finite(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_jsonl(documents: Iterable[Any]) -> str:
    """Return one compact JSON document a line."""
    return "".join(
        json.dumps(finite(d), ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
        for d in documents
    )


def as_csv(fields: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Return CSV with a header; nested values are JSON, unknown ones empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(fields)
    writer.writerows([_cell(row.get(name)) for name in fields] for row in rows)
    return stream.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, (dict, list, tuple)) or hasattr(value, "items"):
        return json.dumps(finite(value), ensure_ascii=False)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if finite(value) is None else value
