"""A folder of the user's for what was computed before: JSON, never code, trusted with care.

``MANSARD_CACHE=off`` turns it off; ``MANSARD_CACHE=DIR`` puts it elsewhere than
``$XDG_CACHE_HOME/mansard``. A file is read only if it is the user's own, nobody else may write it,
and it holds what its checksum says; anything else counts as absent.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

from mansard.core.records import dataclass

VARIABLE = "MANSARD_CACHE"
MOST_BYTES = 32_000_000
MOST_FILES = 512
MOST_TOGETHER = 128_000_000
"""Bytes of all documents; the oldest are forgotten first."""
UNFOOLED = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""Follow no link, and wait for no writer of a pipe; what was opened is looked at before it is read.
"""


@dataclass(frozen=True)
class Disk:
    """A folder of remembered documents.

    Args:
        folder: theirs; made when something is written.
    """

    folder: Path

    @classmethod
    def of_user(cls) -> Disk | None:
        """Return the user's folder; None where it is turned off or there is no home."""
        chosen = os.environ.get(VARIABLE, "").strip()
        if chosen.lower() == "off":
            return None
        if chosen:
            return cls(Path(chosen).expanduser())
        base = os.environ.get("XDG_CACHE_HOME", "").strip()
        try:
            home = Path(base) if base else Path.home() / ".cache"
        except RuntimeError:
            return None
        return cls(home / "mansard") if home.is_absolute() else None

    def read(self, key: str) -> dict[str, Any] | None:
        """Return the document of a key; None where there is none to be trusted."""
        try:
            if not _is_own(os.lstat(self.folder), stat.S_ISDIR):
                return None
            handle = os.open(self._file(key), os.O_RDONLY | UNFOOLED)
            with os.fdopen(handle, "rb") as file:
                about = os.fstat(file.fileno())
                if not _is_own(about, stat.S_ISREG) or about.st_size > MOST_BYTES:
                    return None
                data = file.read(MOST_BYTES)
        except OSError:
            return None
        digest, _, body = data.partition(b"\n")
        if digest.decode("ascii", "replace") != _checksum(key, body):
            return None
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    def write(self, key: str, document: Mapping[str, Any]) -> None:
        """Keep a document for the user alone, whole or not at all; silently not where it cannot."""
        try:
            body = json.dumps(document, separators=(",", ":")).encode()
        except (TypeError, ValueError):
            return
        with contextlib.suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_own(os.lstat(self.folder), stat.S_ISDIR):
                return
            handle, name = tempfile.mkstemp(dir=self.folder, prefix=".new-")  # mode 0600
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(_checksum(key, body).encode() + b"\n" + body)
                os.replace(name, self._file(key))
            except OSError:
                os.unlink(name)
            self._forget_oldest()

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def _forget_oldest(self) -> None:
        sizes = {entry.path: entry.stat() for entry in self.documents()}
        newest = sorted(sizes, key=lambda path: sizes[path].st_mtime_ns, reverse=True)
        together = accumulate(sizes[path].st_size for path in newest)
        for at, (path, size) in enumerate(zip(newest, together, strict=True)):
            if at >= MOST_FILES or (at and size > MOST_TOGETHER):
                os.unlink(path)

    def documents(self) -> list[os.DirEntry[str]]:
        """Return the files of documents; raises OSError where there is no folder."""
        return [entry for entry in os.scandir(self.folder) if entry.name.endswith(".json")]


def _is_own(about: os.stat_result, is_kind: Any) -> bool:
    """Say whether a folder or file is the user's own, and nobody else may write to it."""
    user = getattr(os, "getuid", lambda: about.st_uid)()
    return is_kind(about.st_mode) and about.st_uid == user and not about.st_mode & 0o022


def _checksum(key: str, body: bytes) -> str:
    return hashlib.sha256(key.encode() + b"\n" + body).hexdigest()
