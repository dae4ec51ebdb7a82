"""Programs of a sweep: cases that differ in the devices alone share one, lowered once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from mansard.core.errors import MansardError, UnknownNameError
from mansard.core.notes import Note
from mansard.query import tables
from mansard.query.concerns import UNRESERVED
from mansard.query.lengths import Averaged
from mansard.query.scenario import Scenario
from mansard.query.study import Study
from mansard.query.sweeps.cases import LISTED, Case
from mansard.query.sweeps.fields import OneByOne, varied
from mansard.query.sweeps.once import Once
from mansard.query.tables import Made, Table
from mansard.query.target import target_of

if TYPE_CHECKING:
    from mansard.backends.table import TableRow
    from mansard.ir.program import Origin
    from mansard.query import engines
    from mansard.query.prepare import Prepared

    Rows: TypeAlias = tuple[Mapping[str, int], tuple[TableRow, ...] | None]
    Engine: TypeAlias = "engines.Engine | OneByOne | Averaged | Once | Table"

MOST_PROGRAMS = 64


@dataclass
class Engines:
    """Programs that cases share, each loaded, rewritten and lowered once.

    Args:
        notes: what their figures rest on.
        prompts: case → the prompt that its model reads, where that is shorter than the default.
        once: case → its engine, where it makes no tokens.
        origins: model → where it is from, and whether it makes tokens, the sizes it has.
        forgot: whether there were too many programs to keep them all.
    """

    notes: list[Note] = field(default_factory=list)
    prompts: dict[int, int] = field(default_factory=dict)
    once: dict[int, Once] = field(default_factory=dict)
    origins: dict[str, tuple[Origin | Made, bool, Set[str]]] = field(default_factory=dict)
    forgot: bool = False
    _programs: dict[object, tuple[Prepared, engines.Engine]] = field(default_factory=dict)
    _tables: dict[int, Table | None] = field(default_factory=dict)
    _last: tuple[object, engines.Engine | OneByOne] | None = None

    def of(self, case: Case) -> Engine:
        """Return the engine of a case.

        Raises:
            MansardError: the model, the hardware or a technique cannot be had like this.
        """
        if (table := self._table(case)) is not None:
            return table
        from mansard.ir.occurring import occurring
        from mansard.query.sequence import as_long_as_it_takes, generates, made_by

        study = case.study
        program = _program(study)
        key = (program, study.on, tuple(sorted((k, str(v)) for k, v in study.set.items())))
        if self._last is None or self._last[0] != key:
            made = self._made(study, program)
            self._last = (key, varied(made, study, case.fields) if case.fields else made)
        engine: Engine = self._last[1]
        if not engine.cluster.chip.reserve_bytes and UNRESERVED not in self.notes:
            self.notes.append(UNRESERVED)
        whole = engine if study.mix is None else Averaged(cast(Any, engine), study.mix)
        ready, _ = self._programs[program]
        tokens = generates(ready.program)
        most: int | None = None
        if study.unsaid and not study.scenario.single_step and study.mix is None:
            asked, said = as_long_as_it_takes(study.scenario, ready.origin)
            self.notes += [note for note in said if note not in self.notes]
            most = asked.prompt if said else None
        if most is not None:
            self.prompts[case.number] = most
        sizes = occurring(ready.program)
        self.origins[ready.origin.name] = ready.origin, tokens, sizes
        if not tokens or most is not None:
            makes = made_by(ready.program)
            found = Once(cast(Any, whole), most, makes, sizes)
            if not tokens:
                self.once[case.number] = found
            return found
        if not case.fields:
            tables.keep(study, engine, ready, case.number)
        return whole

    @property
    def programs(self) -> list[Rows]:
        """Every program with its rows; nothing where not all were kept or built."""
        if self.forgot or any(self._tables.values()):
            return []
        return [rows_of(ready, engine) for ready, engine in self._programs.values()]

    def _table(self, case: Case) -> Table | None:
        """Return the table of a case from disk, its notes taken in; none for a large grid.

        A table is evaluated as lists; a grid is worth the program it is made of.
        """
        if case.fields or case.points >= LISTED:
            return None
        if case.number not in self._tables:
            self._tables[case.number] = tables.recall(case.study, case.number)
            if (found := self._tables[case.number]) is not None:
                unreserved = () if found.cluster.chip.reserve_bytes else (UNRESERVED,)
                said = (*found.made.notes, *unreserved)
                self.notes += [note for note in said if note not in self.notes]
                self.origins[found.made.name] = found.made, True, found.made.sizes
        return self._tables[case.number]

    def _made(self, study: Study, program: object) -> engines.Engine:
        if program in self._programs:
            prepared, first = self._programs[program]
            target = target_of(study.on, study.set)
            if target.devices == prepared.target.devices:
                target.check(prepared.program.mesh)
                return first.on(target.laid_out(prepared.program.mesh))
        engine = study.compiled
        while len(self._programs) >= MOST_PROGRAMS:
            self.forgot = True
            del self._programs[next(iter(self._programs))]
        self._programs[program] = (study.prepared, engine)
        self.notes += (*study.prepared.program.origin.notes, *study.prepared.notes)
        return engine


def rows_of(ready: Prepared, engine: engines.Engine) -> Rows:
    """Return the mesh of a program and its rows; None for those of a schedule that is stepped."""
    lowered = getattr(engine, "lowered", None)
    if lowered is None:
        return ready.program.mesh, None
    tables = {id(s.table): s.table for s in lowered.segments if s.table is not None}
    return ready.program.mesh, tuple(row for table in tables.values() for row in table.rows)


DEVICES = ("hardware", "network")
"""Sections of overrides that change no program."""


def _program(study: Study) -> object:
    """Return what a program is made of: studies that agree on it share one."""
    changed = study.set.items()
    overrides = sorted((k, str(v)) for k, v in changed if k.partition(".")[0] not in DEVICES)
    source = study.source
    if isinstance(source, Mapping):
        source = json.dumps(source, sort_keys=True, default=str)
    asked = study.scenario
    return (source, study.techniques, study.level, tuple(overrides), asked.phase, asked.single_step)


def unusable(error: MansardError) -> bool:
    """Say whether an error is about one combination, not about a name nobody knows."""
    return not isinstance(error, UnknownNameError)


def longest_of(scenario: Scenario, origin: Origin | Made) -> int:
    """Return the tokens of the longest sequence that the model's context bounds."""
    if isinstance(origin, Made):
        return origin.longest(scenario)
    from mansard.query.sequence import longest

    return longest(scenario, origin)


def figures_at(engine: Engine, columns: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the figures at points: batch, prompt and output, then fields of the chip if any."""
    b, p, n = (columns[name] for name in ("batch", "prompt", "output"))
    fields = {k: v for k, v in columns.items() if "." in k}
    given = (fields,) if fields else ()
    found: dict[str, Any] = cast(Any, engine).figures(b, p, n, names, *given)
    return found
