"""What is sent: bytes, packed once where they stay the same, with a tag of their content."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from gzip import compress
from hashlib import sha256
from typing import Any

LEAST = 1000
"""Bytes that are worth packing."""


@dataclass(frozen=True)
class Packed:
    """A body that may be sent as it is or packed.

    Args:
        data: of the body.
        media_type: of it.
        level: of packing, 1 to 9: an answer is packed once for one reader, a file for all.
    """

    data: bytes
    media_type: str
    level: int = 9

    @cached_property
    def tag(self) -> str:
        """The content's name, as ``ETag`` has it: a browser that knows it keeps what it has."""
        return f'"{sha256(self.data).hexdigest()[:20]}"'

    @cached_property
    def zipped(self) -> bytes:
        """The body packed."""
        return compress(self.data, self.level, mtime=0)

    def for_reader(self, accepts: str) -> tuple[bytes, dict[str, str]]:
        """Return the body and its headers for a reader that accepts these encodings."""
        if len(self.data) < LEAST or "gzip" not in accepts:
            return self.data, {"vary": "accept-encoding"}
        return self.zipped, {"vary": "accept-encoding", "content-encoding": "gzip"}


def packed_json(value: Any) -> Packed:
    """Return a JSON answer, to be packed quickly."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Packed(text.encode("utf-8", "replace"), "application/json", 1)
