"""What a command says while it runs - stdout, stderr, files - so that it can be said again."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TextIO, cast

MOST_CHARACTERS = 2_000_000
"""Of what is kept of one command; longer answers are asked anew."""
OUT, ERR = "out", "err"


class Tape:
    """Pieces of text in the order in which they were written, each with where it went.

    A piece is (``out`` or ``err``, text), or (the path of a file, what the whole file holds).
    """

    def __init__(self) -> None:
        self.pieces: list[tuple[str, str]] = []
        self.spoiled = False
        self._length = 0

    def add(self, where: str, text: str) -> None:
        """Keep a piece; of what is too long nothing is kept."""
        self._length += len(text)
        if self._length > MOST_CHARACTERS:
            self.spoil()
        if not self.spoiled:
            self.pieces.append((where, text))

    def spoil(self) -> None:
        """Keep nothing: the command does what saying it again would not do."""
        self.spoiled = True
        self.pieces.clear()


_TAPE: ContextVar[Tape | None] = ContextVar("tape", default=None)


class _Taped:
    """A stream of text whose pieces are kept, too."""

    def __init__(self, stream: TextIO, where: str, tape: Tape) -> None:
        self.stream, self._where, self._tape = stream, where, tape

    def write(self, text: str) -> int:
        """Write a text and keep it."""
        self._tape.add(self._where, text)
        return self.stream.write(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts and keep them."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def taping() -> Iterator[Tape]:
    """Keep what is written while the context lasts."""
    tape, out, err = Tape(), sys.stdout, sys.stderr
    token = _TAPE.set(tape)
    sys.stdout = cast(TextIO, _Taped(out, OUT, tape))
    sys.stderr = cast(TextIO, _Taped(err, ERR, tape))
    try:
        yield tape
    finally:
        sys.stdout, sys.stderr = out, err
        _TAPE.reset(token)


def wrote(path: Path, text: str) -> None:
    """Tell the tape of a file that was written."""
    if (tape := _TAPE.get()) is not None:
        tape.add(str(path), text)


def never_again() -> None:
    """Say that what is done here is done anew whenever it is asked for."""
    if (tape := _TAPE.get()) is not None:
        tape.spoil()


def untaped(stream: TextIO) -> TextIO:
    """Return a stream whose pieces are not kept: what moves on a terminal is no answer."""
    return stream.stream if isinstance(stream, _Taped) else stream
