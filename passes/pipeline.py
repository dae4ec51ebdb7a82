"""Pipelines: passes in order, as text and as a run.

quantize{weights=int4 group=128},fuse-attention        the printed form, which reads back
quantize:weights=int4,group=128                        the short form of one pass
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from mansard.core.errors import (
    MansardError,
    SpecError,
    UnknownNameError,
    VerifyError,
    unknown_name,
)
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.ir.program import Program, calls
from mansard.passes.options import Value, build
from mansard.passes.technique import Outcome, Pass

LEVELS: dict[str, str] = {"O0": "", "O1": "fuse-attention,fuse-elementwise,merge-qkv"}
"""Level → what it appends after the user's passes: what every engine does."""

Known = Mapping[str, type[Pass]]
_NAME = re.compile(r"[A-Za-z][\w-]*")
_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[{}\[\],:=]|[^\s{}\[\],:="]+)')
_WHOLE = re.compile(r"[+-]?\d+")
_DECIMAL = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+)([eE][+-]?\d+)?")
MAX_TEXT = 20_000


class PassError(RuntimeError):
    """A pass that raised what no pass should: a bug, of mansard or of a plugin."""

    def __init__(self, technique: Pass, before: Sequence[Pass]):
        super().__init__(f"{technique} failed{_after(before)}")
        self.technique = technique


class InvalidResultError(VerifyError):
    """A pass made a graph or a program that breaks a rule of the IR: its bug, not its user's."""

    def __init__(self, message: str, technique: Pass, hint: str | None):
        super().__init__(message, hint=hint)
        self.technique = technique


@dataclass(frozen=True)
class Applied:
    """One pass of a run.

    Args:
        technique: the pass.
        before: the program it got.
        after: the program it made.
        matches: what it found, bodies counted once.
        changed: the same in words.
        notes: what it said.
    """

    technique: Pass
    before: Program
    after: Program
    matches: int
    changed: str
    notes: tuple[Note, ...]


def parse(text: str, known: Known, what: str = "technique") -> tuple[Pass, ...]:
    """Read a pipeline, in either form.

    Args:
        text: of it.
        known: passes by name.
        what: they are, for errors: other things are written in this form, too.

    Raises:
        UnknownNameError: a pass or an option nothing carries.
        SpecError: the text is no pipeline, or a value is no value of its option.
    """
    if len(text) > MAX_TEXT:
        raise SpecError(f"a pipeline of {len(text)} characters", hint=f"at most {MAX_TEXT}")
    return tuple(_passes(_Reader(text, what), known))


class _Reader:
    """Tokens of a pipeline, one at a time."""

    def __init__(self, text: str, what: str):
        self.text, self.what = text, what
        self.kind = "pipeline" if what == "technique" else what
        self._at = 0
        self._next = self._read()

    def _read(self) -> str:
        if not self.text[self._at :].strip():
            return ""
        m = _TOKEN.match(self.text, self._at)
        if m is None:
            raise self.error("a name, a value or one of { } [ ] , : =")
        self._at = m.end()
        return m[1]

    def peek(self) -> str:
        """Return the next token without taking it; empty at the end."""
        return self._next

    def take(self, wanted: str = "") -> str:
        """Return the next token; it must be ``wanted`` when that is given."""
        token = self._next
        if wanted and token != wanted:
            raise self.error(repr(wanted))
        self._next = self._read()
        return token

    def error(self, expected: str) -> SpecError:
        """Build the error of a token that is not what was expected."""
        found = repr(self._next) if getattr(self, "_next", "") else "the end"
        return SpecError(
            f"{self.kind} {self.text[:80]!r}: expected {expected}, got {found}",
            hint="write name{key=value key=value},name or name:key=value,key=value"
            if self.kind == "pipeline"
            else "write name or name:key=value,key=value",
        )


def _passes(reader: _Reader, known: Known) -> Iterator[Pass]:
    while reader.peek():
        name = reader.take()
        if not _NAME.fullmatch(name):
            raise SpecError(f"{reader.kind} {reader.text[:80]!r}: {name!r} is no name of one",
                            hint="write name{key=value},name")  # fmt: skip
        if name not in known:
            see = f"(`mansard {reader.what}s list`)"
            raise unknown_name(reader.what, name, known, see=see)
        given: dict[str, Value] = {}
        if reader.peek() == "{":
            reader.take()
            while reader.peek() != "}":
                _pair(reader, given, name)
                if reader.peek() == ",":
                    reader.take()
            reader.take("}")
        elif reader.peek() == ":":
            reader.take()
            _pair(reader, given, name)
            while reader.peek() == "," and _is_pair(reader):
                reader.take(",")
                _pair(reader, given, name)
        yield build(known[name], given)
        if reader.peek():
            reader.take(",")


def _is_pair(reader: _Reader) -> bool:
    """Whether what follows the comma is one more option of the short form, not another pass."""
    rest = reader.text[reader._at :]
    return bool(re.match(r"\s*[\w-]+\s*=", rest))


def _pair(reader: _Reader, given: dict[str, Value], name: str) -> None:
    key = reader.take()
    if not _NAME.fullmatch(key):
        found = repr(key) if key else "the end"
        raise SpecError(f"{name}: expected an option, got {found}",
                        hint=f"write {name}{{key=value}} or {name}:key=value")  # fmt: skip
    if key in given:
        raise SpecError(f"{name}: {key} is given twice", hint="give it once")
    reader.take("=")
    given[key] = _value(reader)


def _value(reader: _Reader, *, inside: bool = False) -> Value:
    token = reader.take()
    if token == "[" and not inside:
        found: list[Value] = []
        while reader.peek() != "]":
            if not reader.peek():
                raise reader.error("']'")
            found.append(_value(reader, inside=True))
            if reader.peek() == ",":
                reader.take()
        reader.take("]")
        return tuple(found)
    if not token or token in "{}[],:=":
        raise SpecError(
            f"{reader.kind} {reader.text[:80]!r}: a value is missing", hint="write key=value"
        )
    if token.startswith('"'):
        return re.sub(r"\\(.)", r"\1", token[1:-1])
    while reader.peek() in (":", "="):  # a path, a ratio: 2:4
        token += reader.take() + reader.take()
    if token in ("true", "false"):
        return token == "true"
    if _WHOLE.fullmatch(token) and len(token) < 19:
        return int(token)
    return float(token) if _DECIMAL.fullmatch(token) else token


def written(passes: Sequence[Pass]) -> str:
    """Return the printed form of a pipeline."""
    return ",".join(map(str, passes))


def with_level(passes: Sequence[Pass], level: str, known: Known) -> tuple[Pass, ...]:
    """Append what a level adds, except what the user already placed.

    Raises:
        UnknownNameError: no such level.
    """
    if level not in LEVELS:
        raise unknown_name("level", level, LEVELS)
    placed = {p.name for p in passes if not p.phase}
    return (*passes, *(p for p in parse(LEVELS[level], known) if p.name not in placed))


def run(program: Program, passes: Sequence[Pass]) -> tuple[Program, tuple[Applied, ...]]:
    """Run passes in order; the program is verified after each that changed it.

    Raises:
        MansardError: a pass is out of order, or failed: named, with the passes before it.
    """
    reports: list[Applied] = []
    for at, technique in enumerate(passes):
        before = passes[:at]
        _check_order(technique, before, [p.name for p in passes[at + 1 :]])
        try:
            outcome = technique.run(program)
            after = _checked(outcome, program)
        except MansardError as error:
            where = f"{technique}{_after(before)}"
            if isinstance(error, VerifyError):
                raise InvalidResultError(
                    f"{where}: {error.message}", technique, error.hint
                ) from error
            raise type(error)(f"{where}: {error.message}", hint=error.hint) from error
        except Exception as error:
            raise PassError(technique, before) from error
        reports.append(
            Applied(technique, program, after, outcome.matches, outcome.changed, outcome.notes)
        )
        program = after
    return program, tuple(reports)


def _checked(outcome: Outcome, before: Program) -> Program:
    """Return the program of an outcome, verified where it is another one.

    Raises:
        TypeError: a pass returned something else.
        VerifyError: the program breaks a rule, or calls nothing any more.
    """
    if not isinstance(outcome, Outcome):
        raise TypeError(f"it returned a {type(outcome).__name__}, not an Outcome")
    after = outcome.program
    if not isinstance(after, Program):
        raise TypeError(f"its Outcome has a {type(after).__name__}, not a Program")
    if after is before:
        return before
    try:
        made = after.verified()
    except UnknownNameError as error:  # of a graph, an output, a symbol that calls name
        raise VerifyError(error.message, hint=error.hint) from error
    if any(calls(before.schedule)) and not any(calls(made.schedule)):
        raise VerifyError("no step of its schedule calls a graph")
    return made


def _after(before: Sequence[Pass]) -> str:
    return f" after {written(before)}" if before else ""


def _check_order(technique: Pass, before: Sequence[Pass], later: Sequence[str]) -> None:
    for needed in technique.requires:
        if needed not in [p.name for p in before]:
            hint = f"put {needed} before {technique.name}"
            raise SpecError(
                f"{technique.name} works on what {needed} makes, which "
                f"{'comes after it' if needed in later else 'is not in the pipeline'}",
                hint=hint,
            )
    for other in before:
        if other.name in technique.conflicts:
            either = technique.name in other.conflicts
            raise SpecError(
                f"{technique.name} cannot {'stand beside' if either else 'follow'} {other.name}",
                hint="use one of the two"
                if either
                else f"put {technique.name} before {other.name}",
            )
