"""Notes in the order of their codes, those of one code together: the code is said once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from mansard.core.notes import Note
from mansard.core.records import dataclass


@dataclass(frozen=True)
class NoteLine:
    """A line of a note.

    Args:
        opens: whether it is the first of its code.
        message: the sentence.
        code: on the last line of a code; empty on the others.
    """

    opens: bool
    message: str
    code: str


def grouped(notes: Iterable[Note]) -> Iterator[NoteLine]:
    """Yield one line a note; consecutive notes of one code are one group.

    >>> [line.code for line in grouped([Note("M002", "a"), Note("M002", "b"), Note("M004", "c")])]
    ['', 'M002', 'M004']
    """
    for code, members in groupby(notes, key=lambda note: note.code):
        messages = [note.message for note in members]
        for at, message in enumerate(messages):
            yield NoteLine(at == 0, message, code if at == len(messages) - 1 else "")
