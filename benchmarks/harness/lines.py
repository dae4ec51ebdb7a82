"""A measurement beside its limit: printed where it is made, kept for the table at the end."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

KEPT_IN = "BENCH_LINES"
"""The environment variable that names the file in which lines are kept, one JSON object each."""

ROOM = 27
"""Characters of what is measured that the table has room for."""


@dataclass(frozen=True)
class Line:
    """One measurement.

    Args:
        what: is measured; lines of several shapes that have it in common make one row.
        value: that was measured.
        unit: of value and limit.
        limit: that it keeps; None where it is only recorded.
        more: whether more is better.
        shape: the kind of model it was measured on; "" where it is about none.
        script: that measured it.
    """

    what: str
    value: float
    unit: str
    limit: float | None = None
    more: bool = False
    shape: str = ""
    script: str = Path(sys.argv[0]).stem

    def __post_init__(self) -> None:
        if len(self.what) > ROOM:
            raise ValueError(f"{self.what!r} has {len(self.what)} characters: {ROOM} have room")

    @property
    def kept(self) -> bool:
        """Whether the limit is kept; a value that is no number keeps none."""
        if self.limit is None:
            return True
        return self.value >= self.limit if self.more else self.value <= self.limit

    @property
    def allowed(self) -> str:
        """The limit as text.

        >>> Line("a point", 3.0, "us", 60).allowed, Line("a grid", 90, "M/s", 20, True).allowed
        ('<= 60 us', '>= 20 M/s')
        """
        if self.limit is None:
            return ""
        return f"{'>=' if self.more else '<='} {self.limit:.4g} {self.unit}".strip()

    def __str__(self) -> str:
        verdict = "" if self.limit is None else "ok" if self.kept else "MISS"
        return f"  {verdict:4} {self.value:9.4g} {self.unit:6} {self.allowed:14} {self.what}"


def report(lines: Iterable[Line]) -> int:
    """Print lines as they come and keep them; return 1 when one misses its limit, else 0."""
    missed, shape = False, ""
    for line in lines:
        if line.shape != shape:
            print(line.shape or "any model")
            shape = line.shape
        print(line, flush=True)
        keep(line)
        missed |= not line.kept
    return int(missed)


def keep(line: Line) -> None:
    """Add a line to the file in which they are kept, when there is one."""
    if KEPT_IN in os.environ:
        with open(os.environ[KEPT_IN], "a", encoding="utf-8") as file:
            print(json.dumps(asdict(line)), file=file)


def read_kept(file: Path) -> list[Line]:
    """Return the lines of a file in which they are kept."""
    return [Line(**json.loads(text)) for text in file.read_text("utf-8").splitlines()]
