"""Compiled programs on disk: a scenario asked with other sizes is neither loaded nor lowered.

What is kept of a program on its hardware are the steps of every figure (``engine.straight``), as
numbers: they hold for any batch, prompt and output. A table is read without sympy. It is one of
the user's own documents (``query.disk``) under a key of all it rests on (``query.grounds``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from mansard.backends.cluster import Cluster
from mansard.backends.engine.arrays import Columns
from mansard.backends.engine.generated import scalar
from mansard.backends.engine.straight import SCALAR, Step, Straight
from mansard.core.notes import Note
from mansard.core.records import dataclass
from mansard.query.disk import Disk
from mansard.query.grounds import contents, frontends_of_plugins, key_of, standing
from mansard.query.target import target_of

if TYPE_CHECKING:
    from mansard.query.prepare import Prepared
    from mansard.query.scenario import Scenario
    from mansard.query.study import Study

FEW = 8
"""Points that are sooner evaluated one by one, as ``engine.compiled`` does."""
MOST_TABLES = 8
"""Of one question; one with more cases computes them."""
ARGUMENTS = {"constant": 0, "symbol": 0, "floor": 1, "where": 3}
"""Operation → the steps it is of; every other one is of two."""
_ON: ContextVar[bool] = ContextVar("tables", default=False)


@contextmanager
def kept_on_disk() -> Iterator[None]:
    """Let tables be read from disk and kept there while the context lasts."""
    token = _ON.set(True)
    try:
        yield
    finally:
        _ON.reset(token)


@dataclass(frozen=True)
class Made:
    """What a sweep says of a program.

    Args:
        name: of the model.
        max_context: tokens it was made for.
        sizes: of batch, prompt and output those its figures depend on.
        notes: of the program and of its techniques.
    """

    name: str
    max_context: int | None
    sizes: frozenset[str]
    notes: tuple[Note, ...]

    def longest(self, scenario: Scenario) -> int:
        """Return the tokens of the longest sequence: a prompt with what is generated."""
        return scenario.prompt + (1 if scenario.single_step else scenario.output)


class Table:
    """Figures of a program that was compiled before; it evaluates as ``engine.Compiled`` does.

    Args:
        steps: of every figure, over batch, prompt and output.
        cluster: the devices.
        made: the program.
    """

    method = "compiled"

    def __init__(self, steps: Straight, cluster: Cluster, made: Made) -> None:
        self.steps, self.cluster, self.made = steps, cluster, made

    def line(self) -> Straight:
        """Return the steps, for sizes in any range."""
        return self.steps

    def figures(self, batch: Any, prompt: Any, output: Any, names: Sequence[str]) -> dict[str, Any]:
        """Return each figure at every point."""
        columns = {"batch": batch, "prompt": prompt, "output": output}
        arrays = [np.asarray(v, dtype=float).reshape(-1) for v in columns.values()]
        count = max(a.size for a in arrays)
        if count > FEW:
            return dict(Columns(self.steps, names).at(columns))
        function = scalar(self.steps, names)
        full = [np.broadcast_to(a, count).tolist() for a in arrays]
        try:
            each = [function(*values) for values in zip(*full, strict=True)]
        except (ZeroDivisionError, OverflowError):
            return dict(Columns(self.steps, names).at(columns))
        return {name: np.array([at[k] for at in each]) for k, name in enumerate(names)}

    def grid(self, axes: object, names: Sequence[str], *, fast: bool = False) -> None:
        """Return nothing: its points are evaluated as lists."""


def recall(study: Study, number: int = 0) -> Table | None:
    """Return the table of a study; None where there is none.

    Args:
        study: the scenario.
        number: of tables the question has had.
    """
    disk, key = _where(study, number)
    found = disk.read(key) if disk is not None and key is not None else None
    if found is None:
        return None
    try:
        notes = tuple(Note(**note) for note in found["notes"])
        sizes = frozenset(map(str, found["sizes"]))
        made = Made(str(found["name"]), found["max_context"], sizes, notes)
        mesh = {str(axis): int(size) for axis, size in found["mesh"].items()}
        cluster = target_of(study.on, study.set).laid_out(mesh)
        return Table(_read(found["steps"]), cluster, made)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        return None  # of another shape


def keep(study: Study, engine: object, ready: Prepared, number: int = 0) -> None:
    """Keep what was compiled, where all it rests on is known.

    Args:
        study: the scenario.
        engine: what was made of it.
        ready: the program and the devices.
        number: of tables the question has had.
    """
    from mansard.backends.engine.compiled import Compiled
    from mansard.core.symbols import output, prompt
    from mansard.ir.occurring import occurring

    if not isinstance(engine, Compiled) or ready.origin.lengths != (prompt + output,):
        return
    disk, key = _where(study, number)
    steps = engine.line() if key is not None else None
    if disk is None or key is None or steps is None or frontends_of_plugins():
        return
    origin, said = ready.origin, (*ready.program.origin.notes, *ready.notes)
    disk.write(key, {
        "name": origin.name, "max_context": origin.max_context,
        "sizes": sorted(occurring(ready.program)),
        "notes": [{f.name: getattr(note, f.name) for f in fields(note)} for note in said],
        "mesh": dict(ready.program.mesh), "steps": _written(steps),
    })  # fmt: skip


def number(study: Study, about: Sequence[object], compute: Callable[[], float]) -> float:
    """Return a figure of a study from disk; computed, and kept, where it is not there.

    Args:
        study: the scenario.
        about: what the figure is, and at which sizes.
        compute: makes it.
    """
    disk, key = _where(study, 0, about)
    found = disk.read(key) if disk is not None and key is not None else None
    if found is not None and isinstance(found.get("number"), float):
        return float(found["number"])
    value = float(compute())
    if disk is not None and key is not None and not frontends_of_plugins():
        disk.write(key, {"number": value})
    return value


def _where(
    study: Study, number: int, what: Sequence[object] = ("steps",)
) -> tuple[Disk | None, str | None]:
    """Return the user's disk, and the key of a study; None where not all of it is known."""
    words = (study.source, study.on, *study.techniques)
    plain = study.kind == "ideal" and study.mix is None and number < MOST_TABLES
    if not _ON.get() or not plain or not all(isinstance(word, str) for word in words):
        return None, None
    disk = Disk.of_user()
    changed = sorted((name, str(value)) for name, value in study.set.items())
    read = contents([*map(str, words), *(value for _, value in changed)])
    rest = standing()
    if disk is None or read is None or rest is None:
        return None, None
    asked = study.scenario
    about = [*words, study.level, changed, asked.phase, asked.single_step]
    return disk, key_of("table", about, list(what), read, rest)


def _written(line: Straight) -> dict[str, Any]:
    """Return steps as JSON values; numbers keep every digit."""

    def number(value: Any) -> Any:
        return [value.numerator, value.denominator] if isinstance(value, Fraction) else value

    steps = [[step.op, list(step.args), number(step.value)] for step in line.steps]
    return {"axes": list(line.axes), "steps": steps, "masks": line.masks, "shown": line.shown}


def _read(plain: Mapping[str, Any]) -> Straight:
    """Return the steps that ``_written`` wrote.

    Raises:
        ValueError: a step is none, or rests on one that comes after it.
    """
    line = Straight(tuple(map(str, plain["axes"])))
    for op, args, value in plain["steps"]:
        known = (op in SCALAR or op in ARGUMENTS) and len(args) == ARGUMENTS.get(op, 2)
        if not known or not all(type(a) is int and 0 <= a < len(line.steps) for a in args):
            raise ValueError(f"no step: {op!r} of {args!r}")
        if op == "symbol" and value not in line.axes:
            raise ValueError(f"no size: {value!r}")
        line.steps.append(Step(op, tuple(args), _number(value) if op != "symbol" else value))
    line.masks = list(map(int, plain["masks"]))
    line.shown = {str(name): int(step) for name, step in plain["shown"].items()}
    if len(line.masks) != len(line.steps) or any(
        not 0 <= step < len(line.steps) for step in line.shown.values()
    ):
        raise ValueError("steps are missing")
    return line


def _number(value: Any) -> Any:
    if isinstance(value, list):
        above, below = value
        return Fraction(int(above), int(below))
    if not isinstance(value, (int, float)):
        raise ValueError(f"no number: {value!r}")
    return value
