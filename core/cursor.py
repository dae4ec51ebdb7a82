"""Reading text from left to right: what is next, what was expected, and where."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from mansard.core.errors import MansardError, SpecError

_BLANK = re.compile(r"(?:\s+|//[^\n]*)*")
_QUOTED = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_WIDTH = 60


class Cursor:
    """A position in a text; every error it makes says line, column and what stands there.

    Args:
        text: to read; ``//`` starts a comment that ends with the line, where ``comments`` says so.
        where: what the text is, as a noun ("dimension", "program"), for errors.
    """

    def __init__(self, text: str, where: str = "expression", *, comments: bool = False) -> None:
        self.text, self.where, self.at, self.depth = text, where, 0, 0
        self.comments = comments
        self._blank = _BLANK if comments else re.compile(r"\s*")

    @contextmanager
    def deeper(self, most: int) -> Iterator[None]:
        """Read something nested, at most so many deep."""
        self.depth += 1
        if self.depth > most:
            self.fail(f"nested more than {most} deep")
        yield
        self.depth -= 1

    def skip(self) -> int:
        """Move past blanks; return the position."""
        found = self._blank.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.at

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Read what ``pattern`` matches here, after blanks, or nothing."""
        found = pattern.match(self.text, self.skip())
        if found:
            self.at = found.end()
        return found

    def next_is(self, literal: str) -> bool:
        """Whether ``literal`` stands here, after blanks."""
        return self.text.startswith(literal, self.skip())

    def accept(self, literal: str) -> bool:
        """Read ``literal`` if it stands here."""
        if not self.next_is(literal):
            return False
        self.at += len(literal)
        return True

    def expect(self, literal: str) -> None:
        """Read ``literal``, which has to stand here."""
        if not self.accept(literal):
            self.fail(f"expected {literal!r}")

    def string(self) -> str:
        """Read a double-quoted string with JSON's escapes."""
        found = self.take(_QUOTED)
        if found is None:
            self.fail("expected a string in double quotes")
        try:
            return str(json.loads(found[0], strict=False))
        except ValueError:
            self.fail("this string has an escape JSON does not know", at=found.start())

    @property
    def ended(self) -> bool:
        """Whether only blanks are left."""
        return self.skip() >= len(self.text)

    def fail(self, message: str, *, at: int | None = None, hint: str | None = None) -> NoReturn:
        """Raise, showing the line with a caret under the position.

        Raises:
            SpecError: always.
        """
        raise SpecError(f"{self.describe(message, at)}", hint=hint)

    def wrap(self, error: MansardError, at: int) -> MansardError:
        """Return the same kind of error, its message telling where in the text it arose."""
        return type(error)(self.describe(error.message, at), hint=error.hint)

    def describe(self, message: str, at: int | None = None) -> str:
        """Return ``message`` with line, column, what was read, and the line with a caret."""
        at = min(self.skip() if at is None else at, len(self.text))
        start = self.text.rfind("\n", 0, at) + 1
        end = self.text.find("\n", at)
        line = self.text[start : len(self.text) if end < 0 else end]
        column = at - start
        cut = max(0, column - _WIDTH // 2)
        shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
        shown = shown[cut : cut + _WIDTH]
        found = re.compile(r"\w+|.", re.DOTALL).match(self.text, at)
        if message.startswith("expected"):
            message += f", found {found[0][:20]!r}" if found else ", found the end"
        number = self.text.count("\n", 0, at) + 1
        place = (
            f"line {number}, column {column + 1}" if "\n" in self.text else f"column {column + 1}"
        )
        caret = " " * (column - cut) + "^"
        return f"{self.where}, {place}: {message}\n    {shown}\n    {caret}"


def quoted(text: str) -> str:
    r"""Write a string in double quotes, as ``Cursor.string`` reads it.

    >>> quoted('a "b"')
    '"a \\"b\\""'
    """
    return json.dumps(text, ensure_ascii=not text.isprintable())
