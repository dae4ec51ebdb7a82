"""Where a command writes: stdout or a file, in the form an option or a suffix asks for."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

import click

from mansard.cli.tape import wrote
from mansard.core.errors import SpecError
from mansard.core.records import dataclass

FORMATS = ("table", "json", "jsonl", "csv", "md")
SUFFIXES = {
    ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".md": "md",
    ".markdown": "md", ".txt": "table",
}  # fmt: skip

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Output:
    """Where to and in which form.

    Args:
        form: table, json, jsonl, csv or md (or a form of the command's own).
        path: of the file; None is stdout.
    """

    form: str
    path: Path | None = None

    def write(self, text: str) -> None:
        """Write a whole document: all of it or nothing."""
        if self.path is None:
            sys.stdout.write(text)
        else:
            write_file(self.path, text)
            wrote(self.path, text)

    def print(self, show: Callable[[IO[str]], None]) -> None:
        """Let ``show`` print to stdout, or to the file without colour."""
        if self.path is None:
            show(sys.stdout)
        else:
            stream = io.StringIO()
            show(stream)
            write_file(self.path, stream.getvalue())
            wrote(self.path, stream.getvalue())


def output_options(forms: Sequence[str] = FORMATS) -> Callable[[F], F]:
    """Return a decorator that adds ``-f`` and ``-o``."""

    def decorate(command: F) -> F:
        command = click.option(
            "-o", "--out", metavar="FILE", help="Write to a file, whose suffix picks the format."
        )(command)
        return click.option(
            "-f", "--format", "form", type=click.Choice(forms), help=f"Default: {forms[0]}."
        )(command)

    return decorate


def read_output(form: str | None, out: str | None, forms: Sequence[str] = FORMATS) -> Output:
    """Return where to write; checked before any work is done.

    Raises:
        SpecError: the file is a folder or lies in none, or its suffix names no form.
    """
    if out is None:
        return Output(form or forms[0])
    path = Path(out).expanduser()
    try:
        is_folder, has_folder = path.is_dir(), path.parent.is_dir()
    except (OSError, ValueError) as error:
        raise SpecError(f"--out {out[:80]!r}: {error}", hint="check the path") from error
    if is_folder:
        raise SpecError(f"--out {out!r} is a folder", hint="name a file in it")
    if not has_folder:
        raise SpecError(f"--out {out!r}: there is no folder {str(path.parent)!r}",
                        hint="make it first")  # fmt: skip
    suffix = path.suffix.lower()
    chosen = form or (SUFFIXES.get(suffix) or suffix.lstrip("."))
    if chosen not in forms:
        raise SpecError(
            f"--out {out!r}: the suffix {suffix!r} names no format",
            hint=f"add -f with one of: {', '.join(forms)}",
        )
    return Output(chosen, path)


def write_file(path: Path, text: str) -> None:
    """Write a file beside its final name and move it there; a device is written to directly.

    Raises:
        SpecError: the folder cannot be written to, or the disk is full.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
            return
        target = path.resolve()
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:40]}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
            os.chmod(name, mode)
            os.replace(name, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise SpecError(f"cannot write {str(path)!r}: {reason}", hint="check the path") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
