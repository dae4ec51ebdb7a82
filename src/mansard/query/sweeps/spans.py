"""Values of an axis as text: ``1..512``, ``1..512x2``, ``1..512+64``, lists, ``linspace(a,b,n)``.

>>> list(expand("1..16x2", SIZES)), list(expand("1k,8k", SIZES)), expand("1..3", SIZES)
([1, 2, 4, 8, 16], [1024, 8192], range(1, 4))
>>> [str(v) for v in expand("2TB/s..4TB/s+1TB/s", AMOUNTS)]
['2TB/s', '3000000000000B/s', '4000000000000B/s']
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, Protocol

from mansard.core import units
from mansard.core.errors import SpecError
from mansard.core.records import dataclass

MOST_VALUES = 10_000_000
"""Of one axis."""
LONGEST = 10_000
_NUMBER = r"[+-]?[0-9][0-9._]*(?:[eE][+-]?[0-9]+)?\s*[A-Za-zµ%$/]*?"
_RANGE = re.compile(rf"\s*({_NUMBER})\s*\.\.\s*({_NUMBER})\s*(?:([x+])\s*({_NUMBER}))?\s*")
_LINSPACE = re.compile(r"\s*linspace\s*\(([^()]*)\)\s*")
_HINT = "write 1..512, 1..512x2, 1..512+64, 1,2,4 or linspace(a,b,n)"
_UNITS = {
    "bytes": "B", "bytes/s": "B/s", "flop/s": "FLOP/s", "time": "s", "power": "W",
    "frequency": "Hz", "dollars/h": "$/h", "number": "",
}  # fmt: skip


@dataclass(frozen=True)
class Amount:
    """A quantity as it was written, and in SI base units."""

    text: str
    value: int | float

    @property
    def dimension(self) -> str:
        """What it is measured in."""
        return _dimension(self.text)

    def __str__(self) -> str:
        return self.text


class Kind(Protocol):
    """How the values of an axis are read."""

    def one(self, text: str) -> Any:
        """Read one value of a list."""

    def number(self, text: str) -> Fraction:
        """Read an end of a range, or a step."""

    def made(self, number: Fraction, like: str) -> Any:
        """Return the value that a number of a range is; ``like`` is the text of an end."""


class _Sizes:
    """Whole numbers of at least one: ``8k`` is 8192."""

    def __init__(self, dimension: str) -> None:
        self.dimension = dimension

    def one(self, text: str) -> int:
        value = self.number(text)
        if value < 1:
            raise SpecError(f"{text!r} is below 1", hint="sizes are whole numbers from 1")
        return int(value)

    def number(self, text: str) -> Fraction:
        return Fraction(repr(units.parse(text, self.dimension, bare=True)))

    def made(self, number: Fraction, like: str) -> int:
        return round(number)


class _Amounts:
    """Quantities with units, as the files of chips have them."""

    def one(self, text: str) -> Amount | str:
        try:
            return Amount(text.strip(), units.parse(text, _dimension(text)))
        except SpecError:
            return text.strip()

    def number(self, text: str) -> Fraction:
        return Fraction(repr(units.parse(text, _dimension(text))))

    def made(self, number: Fraction, like: str) -> Amount:
        value = int(number) if number.denominator == 1 else float(number)
        return Amount(f"{value!r}{_UNITS[_dimension(like)]}", value)


class _Words:
    """Values of options: names, whole numbers, decimals, ``true``, ``false``."""

    def one(self, text: str) -> Any:
        word = text.strip()
        if word in ("true", "false"):
            return word == "true"
        for kind in (int, float):
            if re.fullmatch(r"[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?", word):
                try:
                    return kind(word)
                except ValueError:
                    continue
        return word

    def number(self, text: str) -> Fraction:
        return Fraction(repr(units.parse(text, "number")))

    def made(self, number: Fraction, like: str) -> int | float:
        return int(number) if number.denominator == 1 else float(number)


SIZES, BATCHES, AMOUNTS, WORDS = _Sizes("tokens"), _Sizes("sequences"), _Amounts(), _Words()


def expand(text: str, kind: Kind) -> Sequence[Any]:
    """Return the values that a text lists.

    Raises:
        SpecError: it is empty or backwards, a step leads nowhere, or there are too many.
    """
    if len(text) > LONGEST:
        raise SpecError(f"values of {len(text):,} characters", hint=f"at most {LONGEST:,}")
    if found := _LINSPACE.fullmatch(text):
        return _linspace(found[1], kind)
    parts = list(_split(text))
    if not any(part.strip() for part in parts):
        raise SpecError("no values", hint=_HINT)
    if len(parts) == 1 and ".." in text:
        if found := _RANGE.fullmatch(text):
            return _range(*found.groups(), kind=kind)
        if not isinstance(kind, _Words):
            raise SpecError(f"cannot read the range {text[:60]!r}", hint=_HINT)
    values: list[Any] = []
    for part in parts:
        if not part.strip():
            raise SpecError(f"{text[:60]!r} has an empty value", hint=_HINT)
        inner = _RANGE.fullmatch(part)
        values += _range(*inner.groups(), kind=kind) if inner else [kind.one(part)]
    return tuple(dict.fromkeys(values))


def _split(text: str) -> Iterator[str]:
    """Split at commas outside brackets and quotes."""
    depth, quoted, start = 0, False, 0
    for at, c in enumerate(text):
        if c == '"':
            quoted = not quoted
        elif not quoted and c in "[({":
            depth += 1
        elif not quoted and c in "])}":
            depth -= 1
        elif c == "," and depth <= 0 and not quoted:
            yield text[start:at]
            start = at + 1
    yield text[start:]


def _range(first: str, last: str, op: str | None, step: str | None, *, kind: Kind) -> Sequence[Any]:
    low, high = kind.number(first), kind.number(last)
    shown = f"{first.strip()}..{last.strip()}{op or ''}{(step or '').strip()}"
    if high < low:
        raise SpecError(f"the range {shown} runs backwards", hint=f"write {last}..{first}")
    if isinstance(kind, _Sizes) and low < 1:
        raise SpecError(f"the range {shown} begins below 1", hint="sizes are whole numbers from 1")
    if op == "x":
        return _multiplied(
            low, high, Fraction(repr(units.parse(str(step), "number"))), shown, kind, first
        )
    if step is None and isinstance(kind, _Amounts):
        hint = f"write {shown}+STEP or linspace"
        if _dimension(first) == "number":
            hint = "write ends and step with their unit: 2TB/s..4TB/s+1TB/s"
        raise SpecError(f"the range {shown} has no step", hint=hint)
    by = Fraction(1) if step is None else kind.number(step)
    if by <= 0:
        raise SpecError(f"the range {shown} steps by {by}", hint="give a step above 0")
    count = math.floor((high - low) / by) + 1
    _check_count(count, shown)
    if isinstance(kind, _Sizes):
        return range(int(low), int(high) + 1, int(by))
    made = (kind.made(low + k * by, first) for k in range(1, count))
    return (kind.one(first), *made)


def _multiplied(
    low: Fraction, high: Fraction, by: Fraction, shown: str, kind: Kind, like: str
) -> Sequence[Any]:
    if by <= 1 or low <= 0:
        raise SpecError(
            f"the range {shown} multiplies by {float(by):g} from {float(low):g}, which never ends",
            hint="begin above 0 and multiply by more than 1",
        )
    count = math.floor(math.log(high / low) / math.log(by) + 1e-9) + 1
    _check_count(count, shown)
    return tuple(dict.fromkeys(kind.made(low * by**k, like) for k in range(count)))


def _linspace(text: str, kind: Kind) -> Sequence[Any]:
    parts = [part.strip() for part in text.split(",")]
    many = _count(parts[2]) if len(parts) == 3 else 0
    if many < 1:
        raise SpecError(
            f"cannot read linspace({text[:60]})", hint="write linspace(first,last,count)"
        )
    low, high, count = kind.number(parts[0]), kind.number(parts[1]), many
    if high < low:
        raise SpecError(f"linspace({text}) runs backwards", hint="put the smaller end first")
    _check_count(count, f"linspace({text})")
    if isinstance(kind, _Sizes) and low < 1:
        raise SpecError(f"linspace({text}) begins below 1", hint="sizes are whole numbers from 1")
    by = (high - low) / max(count - 1, 1)
    return tuple(dict.fromkeys(kind.made(low + k * by, parts[0]) for k in range(count)))


def _count(text: str) -> int:
    """Return how many values are asked for, ``10^12`` too; 0 where it is no whole number."""
    found = re.fullmatch(r"([0-9]{1,30})(?:(?:\^|\*\*)([0-9]{1,2}))?", text)
    if found:
        count: int = int(found[1]) ** int(found[2] or 1)
        return count
    try:
        return int(units.parse(text, "tokens"))
    except SpecError:
        return 0


def _check_count(count: int, shown: str) -> None:
    if count > MOST_VALUES:
        raise SpecError(
            f"{shown} has {count:,} values, more than {MOST_VALUES:,}",
            hint="take larger steps: ..+STEP or ..xFACTOR",
        )


def _dimension(text: str) -> str:
    """Return the dimension whose units a text has."""
    for dimension in _UNITS:
        try:
            units.parse(text, dimension)
        except SpecError:
            continue
        return dimension
    raise SpecError(f"cannot read {text[:60]!r} as a quantity", hint="write it like 4TB/s or 80GB")
