"""Commands asked again word by word: what they said is said again, from disk.

It is the same bytes on the same streams, files written anew and the same exit code, and takes
neither sympy nor click. The key is the words, the content of all that they name, the settings of
the environment and of files, how wide and colourful the terminal is, and what every answer rests
on (``query.grounds``). Errors are never remembered, nor what has other effects.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from mansard.cli.tape import ERR, OUT, Tape, taping
from mansard.core.records import dataclass

if TYPE_CHECKING:
    from mansard.query.disk import Disk

COMMANDS = (
    ("compare",), ("sweep",), ("plan",), ("solve",), ("explain",), ("crossovers",),
    ("sensitivity",), ("graph",), ("models", "show"),
)  # fmt: skip
"""Whose answers depend on nothing but what they are asked; ``analyze`` has ``query.remember``."""
HELP = ("-h", "--help")
SAME = (0, 1)
"""Exit codes of answers."""
HEEDED = ("MANSARD_", "HF_", "HUGGINGFACE_", "LC_", "TTY_", "CLICOLOR")
"""How variables begin that an answer or its look may depend on."""
ALSO = (
    "HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "LANG", "TERM", "COLORTERM", "COLUMNS", "LINES",
    "NO_COLOR", "FORCE_COLOR",
)  # fmt: skip
SECRET = "TOKEN"
"""In the name of what opens doors and changes no answer."""


@dataclass(frozen=True)
class Words:
    """A command line, and where what it says is remembered.

    Args:
        words: as they were given.
        disk: of the user.
    """

    words: tuple[str, ...]
    disk: Disk

    @classmethod
    def of(cls, words: Sequence[str]) -> Words | None:
        """Return a command line; None where nothing of it is remembered."""
        known = any(tuple(words[: len(names)]) == names for names in COMMANDS)
        if not known or not set(words).isdisjoint(HELP):
            return None
        from mansard.query.disk import Disk

        disk = Disk.of_user()
        return None if disk is None else cls(tuple(words), disk)

    def key(self) -> str | None:
        """Return a digest of everything the answer depends on; None where it is not known."""
        from mansard.query.disk import VARIABLE
        from mansard.query.grounds import contents, key_of, standing

        heeded = (k for k in os.environ if k in ALSO or k.startswith(HEEDED))
        env = {k: os.environ[k] for k in heeded if k != VARIABLE and SECRET not in k}
        try:
            settings = [str(file) for file in _settings_files()]
        except OSError:  # there is no working folder
            return None
        texts = [*_without_output(self.words), *env.values(), *settings]
        read, rest = contents(texts), standing()
        if read is None or rest is None:
            return None
        looks = [_look(stream) for stream in (sys.stdout, sys.stderr)]
        return key_of(self.words, sorted(env.items()), settings, read, looks, rest)


def answered(words: Sequence[str], ask: Callable[[], object]) -> int:
    """Return the exit code of a command line, asked or said again.

    Args:
        words: of the command line.
        ask: runs it; what it returns is the exit code where that is a number.
    """
    asked = Words.of(words)
    key = asked.key() if asked is not None else None
    if asked is None or key is None:
        return _code(ask())
    found = asked.disk.read(key)
    if found is not None and (said := _pieces(found)) is not None:
        for where, text in said:
            _say(where, text)
        return int(found["code"])
    with taping() as tape:
        code = _code(ask())
    if _is_answer(code, tape) and asked.key() == key:  # no file was changed meanwhile
        asked.disk.write(key, {"code": code, "said": tape.pieces})
    return code


def _code(returned: object) -> int:
    return returned if isinstance(returned, int) else 0


def _is_answer(code: int, tape: Tape) -> bool:
    from mansard.query.grounds import frontends_of_plugins

    return code in SAME and not tape.spoiled and not frontends_of_plugins()


def _pieces(found: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    """Return what was said; None where the document is another's."""
    said = found.get("said")
    if found.get("code") not in SAME or not isinstance(said, list):
        return None
    pieces = [tuple(piece) for piece in said if isinstance(piece, list)]
    texts = all(len(p) == 2 and all(isinstance(part, str) for part in p) for p in pieces)
    return pieces if texts and len(pieces) == len(said) else None


def _say(where: str, text: str) -> None:
    if where == OUT:
        sys.stdout.write(text)
    elif where == ERR:
        sys.stdout.flush()
        sys.stderr.write(text)
    else:
        from mansard.cli.output import write_file

        write_file(Path(where), text)


def _without_output(words: Sequence[str]) -> Iterator[str]:
    """Yield the words, and values written onto a letter, but for the file that is written."""
    follows = False
    for word in words:
        if not follows and not word.startswith(("-o", "--out=")) and word != "--out":
            yield word
            if word.startswith("-") and not word.startswith("--"):
                yield word[2:]  # -plengths.csv
        follows = not follows and word in ("-o", "--out")


def _settings_files() -> tuple[Path, ...]:
    from mansard.query.places import files_of

    return files_of(os.environ, Path.cwd())


def _look(stream: TextIO) -> list[object]:
    """Return what the look of a text depends on."""
    coloured = stream.isatty()
    try:
        width = tuple(os.get_terminal_size(stream.fileno())) if coloured else None
    except (OSError, ValueError):
        width = None
    return [coloured, width, getattr(stream, "encoding", "")]
